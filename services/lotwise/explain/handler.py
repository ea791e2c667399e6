"""Forward and backward explanations of one tile; Liu et al. 2020, section 4.3."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise.core.counterfactual import (
    Counterfactual,
    Evaluation,
    Search,
    beginnings,
    cheapest,
    search,
    side_by_side,
)
from lotwise.core.errors import InvalidRequest
from lotwise.core.tile import DecodedTile, Grey
from lotwise.explain.editing import EditableTile, Editor, EditorModels
from lotwise.explain.question import BackwardQuestion, index_of
from lotwise.runtime.inference import Inference
from lotwise.runtime.request import current_request

DEFAULT_STEPS: Final = 11
MAX_STEPS: Final = 101
STEPS_IN_HAND: Final = 3
"""So many times the slowest evaluation is left of a deadline for the last edit and the answer."""


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
        sensitivity: Derivative of the property along the attribute at the lot as it is.
    """

    tile: EditableTile
    attribute: str
    grid: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    images: npt.NDArray[np.uint8]
    reconstructed: float
    sensitivity: float


@dataclass(frozen=True)
class BackwardExplanation:
    """The change that reaches a property.

    Attributes:
        tile: The tile.
        names: Of the attributes.
        before: float64 [n_attributes], as the lot is.
        sensitivities: float64 [n_attributes], derivatives of the property there.
        found: The best of all searches.
        searches: Where each of them ended.
        cost: Of the change that was found.
        ended_by_deadline: Whether the searches were ended early.
        tolerance: How near was near enough.
        reached: Whether `after` is within it of the target.
        after: The property of the edited picture, less the editor's own shift.
        image: uint8 [px, px], the edited picture.
        reconstructed: The property of the tile redrawn unchanged.
    """

    tile: EditableTile
    names: tuple[str, ...]
    before: npt.NDArray[np.float64]
    sensitivities: npt.NDArray[np.float64]
    found: Counterfactual
    searches: tuple[Counterfactual, ...]
    cost: float
    ended_by_deadline: bool
    tolerance: float
    reached: bool
    after: float
    image: Grey
    reconstructed: float

    @property
    def changed(self) -> int:
        """How many attributes change."""
        return int((self.found.attributes != self.before).sum())

    @property
    def spread(self) -> float:
        """Largest standard deviation of an attribute over the searches that met the target."""
        met = [each.attributes for each in self.searches if each.reached]
        return float(np.std(met, axis=0).max()) if met else 0.0


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
        axis = index_of(names, vary)
        lot = _lot_attributes(editor, lot_id, attributes)
        editable = await editor.encode(tile, lot)
        grid = np.linspace(0.0, 1.0, steps)
        wanted = np.tile(lot, (steps + 1, 1))
        wanted[:-1, axis] = grid
        edits = await editable.edit(wanted)
        reconstructed = float(edits.values[-1])
        (at_lot,) = await editable.evaluate(lot[None])
        return ForwardExplanation(
            tile=editable,
            attribute=vary,
            grid=grid,
            values=editable.original + edits.values[:-1] - reconstructed,
            images=edits.images[:-1],
            reconstructed=reconstructed,
            sensitivity=float(at_lot.gradient[axis]),
        )

    async def backward(
        self,
        tile: DecodedTile,
        lot_id: str,
        attributes: Mapping[str, float],
        question: BackwardQuestion,
    ) -> BackwardExplanation:
        """Find the smallest sparse change of attributes that reaches the target; equation 2.

        Where the call's deadline comes near, the best so far is the answer.

        Raises:
            InvalidRequest: As `forward` and `BackwardQuestion`.
            InvalidTile, NotFound, Contradiction, InferenceError: As `Editor`.
        """
        question.check()
        editor = await Editor.describe(self.inference, self.models)
        learned = editor.property
        span = learned.maximum - learned.minimum
        tolerance = question.tolerance_within(span)
        names = _names(editor)
        lot = _lot_attributes(editor, lot_id, attributes)
        allowed = question.allowed(names, lot)
        editable = await editor.encode(tile, lot)
        reconstructed = float((await editable.edit(lot[None])).values[0])
        # The editor alone moves the prediction; aiming beside the target by as much cancels it.
        shift = reconstructed - editable.original
        target = question.target + shift
        starts, evaluations = question.searches()
        searches, at_lot, ended_by_deadline = await searched(
            editable,
            [
                search(
                    lot,
                    target,
                    tolerance=tolerance,
                    scale=span,
                    allowed=allowed,
                    max_evaluations=evaluations,
                    begin=begin,
                )
                for begin in beginnings(lot, allowed, starts)
            ],
        )
        found = cheapest(searches, lot, target, allowed)
        edits = await editable.edit(found.attributes[None])
        after = float(edits.values[0]) - shift
        return BackwardExplanation(
            tile=editable,
            names=names,
            before=lot,
            sensitivities=at_lot.gradient,
            found=found,
            searches=tuple(searches),
            cost=allowed.cost_of(found.attributes - lot),
            ended_by_deadline=ended_by_deadline,
            tolerance=tolerance,
            reached=abs(after - question.target) <= tolerance,
            after=after,
            image=edits.images[0],
            reconstructed=reconstructed,
        )

    async def ready(self) -> bool:
        """Whether all networks can be asked."""
        return await self.inference.ready(self.models.all)


async def searched(
    tile: EditableTile, searches: Sequence[Search]
) -> tuple[list[Counterfactual], Evaluation, bool]:
    """Run searches side by side, the first of which begins at the lot.

    Returns:
        Where each ended; what was seen at the lot; whether the deadline ended them.
    """
    running = side_by_side(searches)
    questions, slowest, at_lot = next(running), 0.0, None
    while True:
        left = current_request().remaining_s()
        # The first evaluation is always made: without it there is no answer.
        ended = at_lot is not None and left is not None and left < STEPS_IN_HAND * slowest
        answers = None
        if not ended:
            began = time.monotonic()
            answers = await tile.evaluate(np.stack([at for _, at in questions]))
            slowest = max(slowest, time.monotonic() - began)
            at_lot = at_lot or answers[0]
        try:
            questions = running.send(answers)
        except StopIteration as finished:
            assert at_lot is not None
            return finished.value, at_lot, ended


def _names(editor: Editor) -> tuple[str, ...]:
    return tuple(attribute.name for attribute in editor.metadata.attributes)


def _lot_attributes(
    editor: Editor, lot_id: str, stated: Mapping[str, float]
) -> npt.NDArray[np.float64]:
    """What the caller states, completed by what the model knows of the lot."""
    names = _names(editor)
    for name, value in stated.items():
        index_of(names, name)
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
