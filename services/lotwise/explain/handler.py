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
from lotwise.core.known_tiles import KnownTiles
from lotwise.core.tile import DecodedTile, Grey
from lotwise.explain.editing import EditableTile, Editor, EditorModels
from lotwise.explain.looking import Looks
from lotwise.explain.question import BackwardQuestion, grid_of, index_of
from lotwise.explain.recent import RecentTiles, Redrawn
from lotwise.explain.searching import Asked, searched
from lotwise.runtime.inference import Inference

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ForwardExplanation:
    """The property along one attribute, or over a pair of them.

    Attributes:
        tile: The tile.
        attributes: One name or two.
        grid: float64 [steps, attributes], their values; of a pair the second runs faster.
        values: float64 [steps], the property, less the editor's own shift.
        images: uint8 [steps, px, px].
        familiarities: Of the edited pictures; None where nobody can say.
        reconstructed: The property of the tile redrawn unchanged.
        sensitivities: Derivatives of the property along the attributes at the lot as it is.
        measured: float64 [steps], change of a single attribute as the meter reads it; None without
            one, and of a pair.
    """

    tile: EditableTile
    attributes: tuple[str, ...]
    grid: Floats
    values: Floats
    images: npt.NDArray[np.uint8]
    familiarities: tuple[float, ...] | None
    reconstructed: float
    sensitivities: tuple[float, ...]
    measured: Floats | None


@dataclass(frozen=True)
class Edited:
    """One edit of a tile.

    Attributes:
        tile: The tile.
        names: Of the attributes.
        before, after: float64 [n_attributes].
        value: The property, less the editor's own shift.
        image: uint8 [px, px], the edited picture.
        familiarity: Of that picture; None where nobody can say.
        measured: float64 [n_attributes], changes as the meter reads them; None without one.
    """

    tile: EditableTile
    names: tuple[str, ...]
    before: Floats
    after: Floats
    value: float
    image: Grey
    familiarity: float | None
    measured: Floats | None


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
        looks: What the regressor says of that picture.
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
    looks: Looks
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
        known: Tiles that the regressor knows; None to say nothing of it.
        min_familiarity: A tile below it is explained only where the caller insists.
    """

    def __init__(
        self,
        inference: Inference,
        models: EditorModels,
        known: KnownTiles | None = None,
        min_familiarity: float = 0.0,
    ) -> None:
        self.inference = inference
        self.models = models
        self.min_familiarity = min_familiarity
        self._known = known
        self._recent = RecentTiles()

    async def editor(self) -> Editor:
        """The networks, as the engine describes them.

        Raises:
            NotFound, Contradiction, InferenceError: As `Editor.describe`.
        """
        return await Editor.describe(self.inference, self.models, self._known, self.min_familiarity)

    async def forward(
        self,
        tile: DecodedTile,
        lot_id: str,
        attributes: Mapping[str, float],
        vary: str,
        steps: int = 0,
        *,
        also: str = "",
        anyhow: bool = False,
    ) -> ForwardExplanation:
        """Vary one attribute, or a pair, over 0 to 1, all others fixed.

        Args:
            tile: As decoded.
            lot_id: Its lot.
            attributes: Of the lot, as far as the model does not know them.
            vary: An attribute.
            steps: Values of each; 0 for the default.
            also: Another attribute; every pair of values is then a step.
            anyhow: Whether a strange tile is explained, too.

        Raises:
            InvalidRequest: ATTRIBUTE_UNKNOWN, ATTRIBUTES_MISSING, ATTRIBUTE_OUT_OF_RANGE,
                ATTRIBUTE_TWICE, STEPS_OUT_OF_RANGE.
            InvalidTile, NotFound, Contradiction, InferenceError: As `Editor`.
        """
        varied = (vary, also) if also else (vary,)
        grid = grid_of(varied, steps)
        editor = await self.editor()
        names = editor.attribute_names
        axes = [index_of(names, each) for each in varied]
        lot = editor.lot_attributes(lot_id, attributes)
        editable = (await self._recent.encoded(editor, tile, lot, anyhow=anyhow)).tile
        wanted = np.tile(lot, (len(grid) + 1, 1))
        wanted[:-1, axes] = grid
        edits = await editable.edit(wanted)
        reconstructed = float(edits.values[-1])
        (at_lot,) = await editable.evaluate(lot[None])
        read = None if also else await editor.read_attributes(edits.images)
        familiarities = edits.looks.familiarities
        return ForwardExplanation(
            tile=editable,
            attributes=varied,
            grid=grid,
            values=editable.original + edits.values[:-1] - reconstructed,
            images=edits.images[:-1],
            familiarities=None if familiarities is None else familiarities[:-1],
            reconstructed=reconstructed,
            sensitivities=tuple(float(at_lot.gradient[axis]) for axis in axes),
            measured=None if read is None else read[:-1, axes[0]] - read[-1, axes[0]],
        )

    async def edit(
        self,
        tile: DecodedTile,
        lot_id: str,
        attributes: Mapping[str, float],
        wanted: Mapping[str, float],
        *,
        anyhow: bool = False,
    ) -> Edited:
        """Edit a tile once.

        Args:
            tile: As decoded.
            lot_id: Its lot.
            attributes: Of the lot, as far as the model does not know them.
            wanted: What some of them are to be; the others stay.
            anyhow: Whether a strange tile is edited, too.

        Raises:
            InvalidRequest: ATTRIBUTE_UNKNOWN, ATTRIBUTES_MISSING, ATTRIBUTE_OUT_OF_RANGE.
            InvalidTile, NotFound, Contradiction, InferenceError: As `Editor`.
        """
        editor = await self.editor()
        names = editor.attribute_names
        lot = editor.lot_attributes(lot_id, attributes)
        goal = editor.lot_attributes(lot_id, {**dict(zip(names, lot, strict=True)), **wanted})
        recent = await self._recent.encoded(editor, tile, lot, anyhow=anyhow)
        first = recent.redrawn is None
        edits = await recent.tile.edit([goal, lot] if first else [goal])
        read = await editor.read_attributes(edits.images)
        if recent.redrawn is None:
            recent.redrawn = Redrawn(float(edits.values[1]), None if read is None else read[1])
        redrawn = recent.redrawn
        measured = None
        if read is not None and redrawn.read is not None:
            measured = read[0] - redrawn.read
        return Edited(
            tile=recent.tile,
            names=names,
            before=lot,
            after=goal,
            value=recent.tile.original + float(edits.values[0]) - redrawn.value,
            image=edits.images[0],
            familiarity=edits.looks.familiarity,
            measured=measured,
        )

    async def backward(
        self,
        tile: DecodedTile,
        lot_id: str,
        attributes: Mapping[str, float],
        question: BackwardQuestion,
        *,
        anyhow: bool = False,
    ) -> BackwardExplanation:
        """Find the smallest sparse change of attributes that reaches the target; equation 2.

        Where the call's deadline comes near, the best so far is the answer.

        Raises:
            InvalidRequest: As `forward` and `BackwardQuestion`.
            InvalidTile, NotFound, Contradiction, InferenceError: As `Editor`.
        """
        question.check()
        editor = await self.editor()
        learned = editor.property
        span = learned.maximum - learned.minimum
        tolerance = question.tolerance_within(span)
        names = editor.attribute_names
        lot = editor.lot_attributes(lot_id, attributes)
        allowed = question.allowed(names, lot)
        editable = (await self._recent.encoded(editor, tile, lot, anyhow=anyhow)).tile
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
            looks=edits.looks,
            reconstructed=reconstructed,
            measured=None if read is None else read[1] - read[0],
        )

    async def ready(self) -> bool:
        """Whether all networks can be asked."""
        return await self.inference.ready(self.models.needed)
