"""Forward and backward explanations of one tile; Liu et al. 2020, section 4.3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise.core.counterfactual import Counterfactual, search
from lotwise.core.errors import InvalidRequest
from lotwise.core.tile import DecodedTile, Grey
from lotwise.explain.editing import EditableTile, Editor, EditorModels
from lotwise.runtime.inference import Inference

DEFAULT_STEPS: Final = 11
MAX_STEPS: Final = 101
DEFAULT_EVALUATIONS: Final = 200
MAX_EVALUATIONS: Final = 2000
DEFAULT_TOLERANCE_SHARE: Final = 0.01


@dataclass(frozen=True)
class ForwardExplanation:
    """The property along one attribute.

    Attributes:
        tile: The tile.
        attribute: Its name.
        grid: float64 [steps], the attribute's values.
        values: float64 [steps], the property, less the editor's own shift.
        images: uint8 [steps, px, px].
        reconstructed: The property of the tile redrawn unchanged.
    """

    tile: EditableTile
    attribute: str
    grid: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    images: npt.NDArray[np.uint8]
    reconstructed: float


@dataclass(frozen=True)
class BackwardExplanation:
    """The change that reaches a property.

    Attributes:
        tile: The tile.
        names: Of the attributes.
        before: float64 [n_attributes], as the lot is.
        found: Where the search ended.
        tolerance: How near was near enough.
        reached: Whether `after` is within it of the target.
        after: The property of the edited picture, less the editor's own shift.
        image: uint8 [px, px], the edited picture.
        reconstructed: The property of the tile redrawn unchanged.
    """

    tile: EditableTile
    names: tuple[str, ...]
    before: npt.NDArray[np.float64]
    found: Counterfactual
    tolerance: float
    reached: bool
    after: float
    image: Grey
    reconstructed: float


class ExplainHandler:
    """Explains what the regressor would say of hypothetical lots.

    Args:
        inference: The engine.
        models: The networks to compose.
    """

    def __init__(self, inference: Inference, models: EditorModels) -> None:
        self.inference = inference
        self.models = models

    async def forward(
        self,
        tile: DecodedTile,
        lot_id: str,
        attributes: Mapping[str, float],
        vary: str,
        steps: int = 0,
    ) -> ForwardExplanation:
        """Vary one attribute over 0 to 1, all others fixed.

        Raises:
            InvalidRequest: ATTRIBUTE_UNKNOWN, ATTRIBUTES_MISSING, ATTRIBUTE_OUT_OF_RANGE,
                STEPS_OUT_OF_RANGE.
            InvalidTile, NotFound, Contradiction, InferenceError: As `Editor`.
        """
        steps = steps or DEFAULT_STEPS
        if not 2 <= steps <= MAX_STEPS:
            raise InvalidRequest("STEPS_OUT_OF_RANGE", f"steps must be 2 to {MAX_STEPS}.")
        editor = await Editor.describe(self.inference, self.models)
        names = _names(editor)
        axis = _index(names, vary)
        lot = _lot_attributes(editor, lot_id, attributes)
        editable = await editor.encode(tile, lot)
        grid = np.linspace(0.0, 1.0, steps)
        wanted = np.tile(lot, (steps + 1, 1))
        wanted[:-1, axis] = grid
        edits = await editable.edit(wanted)
        reconstructed = float(edits.values[-1])
        return ForwardExplanation(
            tile=editable,
            attribute=vary,
            grid=grid,
            values=editable.original + edits.values[:-1] - reconstructed,
            images=edits.images[:-1],
            reconstructed=reconstructed,
        )

    async def backward(
        self,
        tile: DecodedTile,
        lot_id: str,
        attributes: Mapping[str, float],
        target: float,
        tolerance: float = 0.0,
        immutable: Sequence[str] = (),
        max_evaluations: int = 0,
    ) -> BackwardExplanation:
        """Find the smallest sparse change of attributes that reaches the target; equation 2.

        Raises:
            InvalidRequest: As `forward`; TARGET_INVALID, TOLERANCE_INVALID,
                EVALUATIONS_OUT_OF_RANGE, NOTHING_MUTABLE.
            InvalidTile, NotFound, Contradiction, InferenceError: As `Editor`.
        """
        if not np.isfinite(target):
            raise InvalidRequest("TARGET_INVALID", f"The target must be finite, not {target}.")
        if not np.isfinite(tolerance) or tolerance < 0:
            raise InvalidRequest("TOLERANCE_INVALID", "The tolerance must not be negative.")
        budget = max_evaluations or DEFAULT_EVALUATIONS
        if budget > MAX_EVALUATIONS:
            raise InvalidRequest(
                "EVALUATIONS_OUT_OF_RANGE", f"max_evaluations may be {MAX_EVALUATIONS} at most."
            )
        editor = await Editor.describe(self.inference, self.models)
        learned = editor.property
        span = learned.maximum - learned.minimum
        tolerance = tolerance or DEFAULT_TOLERANCE_SHARE * (abs(target) or span)
        names = _names(editor)
        mutable = np.ones(len(names), dtype=bool)
        for name in immutable:
            mutable[_index(names, name)] = False
        if not mutable.any():
            raise InvalidRequest(
                "NOTHING_MUTABLE", "Every attribute is immutable. Leave one free to change."
            )
        lot = _lot_attributes(editor, lot_id, attributes)
        editable = await editor.encode(tile, lot)
        reconstructed = float((await editable.edit(lot[None])).values[0])
        # The editor alone moves the prediction; aiming beside the target by as much cancels it.
        shift = reconstructed - editable.original
        searching = search(
            lot,
            target + shift,
            tolerance=tolerance,
            scale=span,
            mutable=mutable,
            max_evaluations=budget,
        )
        at = next(searching)
        while True:
            try:
                at = searching.send(await editable.evaluate(at))
            except StopIteration as finished:
                found: Counterfactual = finished.value
                break
        edits = await editable.edit(found.attributes[None])
        after = float(edits.values[0]) - shift
        return BackwardExplanation(
            tile=editable,
            names=names,
            before=lot,
            found=found,
            tolerance=tolerance,
            reached=abs(after - target) <= tolerance,
            after=after,
            image=edits.images[0],
            reconstructed=reconstructed,
        )

    async def ready(self) -> bool:
        """Whether all networks can be asked."""
        return await self.inference.ready(self.models.all)


def _names(editor: Editor) -> tuple[str, ...]:
    return tuple(attribute.name for attribute in editor.metadata.attributes)


def _index(names: tuple[str, ...], name: str) -> int:
    if name not in names:
        raise InvalidRequest(
            "ATTRIBUTE_UNKNOWN",
            f"The model has no attribute '{name}'. It has {', '.join(names)}.",
        )
    return names.index(name)


def _lot_attributes(
    editor: Editor, lot_id: str, stated: Mapping[str, float]
) -> npt.NDArray[np.float64]:
    """What the caller states, completed by what the model knows of the lot."""
    names = _names(editor)
    for name, value in stated.items():
        _index(names, name)
        if not 0.0 <= value <= 1.0:
            raise InvalidRequest(
                "ATTRIBUTE_OUT_OF_RANGE", f"Attribute '{name}' must be within 0 to 1, not {value}."
            )
    known = {lot.lot_id: lot.attributes for lot in editor.metadata.reference_lots}.get(lot_id)
    missing = [name for name in names if name not in stated] if known is None else []
    if missing:
        raise InvalidRequest(
            "ATTRIBUTES_MISSING",
            f"'{lot_id}' is no lot whose attributes the model knows. "
            f"State {', '.join(missing)}, each within 0 to 1.",
        )
    base = dict(zip(names, known or [0.0] * len(names), strict=True))
    return np.array([stated.get(name, base[name]) for name in names])
