"""Forward and backward explanations of one tile; Liu et al. 2020, section 4.3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lotwise.core.counterfactual import (
    Counterfactual,
    Evaluation,
    beginnings,
    changed_attributes,
    cheapest,
    fidelity_of,
    search,
    spread_of_answers,
)
from lotwise.core.tile import DecodedTile, Grey
from lotwise.explain.editing import EditableTile, Editor, EditorModels
from lotwise.explain.question import BackwardQuestion, index_of, steps_of
from lotwise.explain.searching import Asked, searched
from lotwise.runtime.inference import Inference


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
        measured: float64 [steps], change of the attribute as the meter reads it; None without one.
    """

    tile: EditableTile
    attribute: str
    grid: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    images: npt.NDArray[np.uint8]
    reconstructed: float
    sensitivity: float
    measured: npt.NDArray[np.float64] | None


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
        measured: float64 [n_attributes], changes as the meter reads them; None without one.
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
    measured: npt.NDArray[np.float64] | None

    @property
    def changed(self) -> int:
        """How many attributes change."""
        return changed_attributes(self.found, self.before)

    @property
    def spread(self) -> float:
        """Largest standard deviation of an attribute over the searches that met the target."""
        return spread_of_answers(self.searches)

    @property
    def fidelity(self) -> float | None:
        """How much of the change the meter sees; None where nobody can say."""
        return fidelity_of(self.found.attributes - self.before, self.measured)


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
        steps = steps_of(steps)
        editor = await Editor.describe(self.inference, self.models)
        names = editor.attribute_names
        axis = index_of(names, vary)
        lot = editor.lot_attributes(lot_id, attributes)
        editable = await editor.encode(tile, lot)
        grid = np.linspace(0.0, 1.0, steps)
        wanted = np.tile(lot, (steps + 1, 1))
        wanted[:-1, axis] = grid
        edits = await editable.edit(wanted)
        reconstructed = float(edits.values[-1])
        (at_lot,) = await editable.evaluate(lot[None])
        read = await editor.read_attributes(edits.images)
        return ForwardExplanation(
            tile=editable,
            attribute=vary,
            grid=grid,
            values=editable.original + edits.values[:-1] - reconstructed,
            images=edits.images[:-1],
            reconstructed=reconstructed,
            sensitivity=float(at_lot.gradient[axis]),
            measured=None if read is None else read[:-1, axis] - read[-1, axis],
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
        names = editor.attribute_names
        lot = editor.lot_attributes(lot_id, attributes)
        allowed = question.allowed(names, lot)
        editable = await editor.encode(tile, lot)
        redrawn = await editable.edit(lot[None])
        reconstructed = float(redrawn.values[0])
        # The editor alone moves the prediction; aiming beside the target by as much cancels it.
        shift = reconstructed - editable.original
        target = question.target + shift
        starts, evaluations = question.searches()

        async def evaluate(asked: Asked) -> list[Evaluation]:
            return await editable.evaluate([at for _, at in asked])

        done = await searched(
            evaluate,
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
        found = cheapest(done.ended, lot, target, allowed)
        edits = await editable.edit(found.attributes[None])
        after = float(edits.values[0]) - shift
        read = await editor.read_attributes(np.concatenate([redrawn.images, edits.images]))
        return BackwardExplanation(
            tile=editable,
            names=names,
            before=lot,
            sensitivities=done.first.gradient,
            found=found,
            searches=tuple(done.ended),
            cost=allowed.cost_of(found.attributes - lot),
            ended_by_deadline=done.by_deadline,
            tolerance=tolerance,
            reached=abs(after - question.target) <= tolerance,
            after=after,
            image=edits.images[0],
            reconstructed=reconstructed,
            measured=None if read is None else read[1] - read[0],
        )

    async def ready(self) -> bool:
        """Whether all networks can be asked."""
        return await self.inference.ready(self.models.needed)
