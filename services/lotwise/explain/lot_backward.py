"""What to change in a whole lot to reach a property, by a sample of its tiles.

Liu et al. 2020, section 4.3 and Figure 7, change every tile on its own and average the changes. A
laboratory makes one change to a lot, so here one change is searched for all tiles: the mean of
their properties takes the place of a tile's in equation 2. Searches begin on a few tiles, where an
evaluation is cheap, and end on the whole sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise.core.counterfactual import (
    Allowed,
    Counterfactual,
    Evaluation,
    Search,
    beginnings,
    changed_attributes,
    cheapest,
    fidelity_of,
    search,
    spread_of_answers,
)
from lotwise.core.lot_statistics import MeanInterval, Spread
from lotwise.core.preprocessing import PreparedTile
from lotwise.core.tile import Grey
from lotwise.explain.editing import EditableTile, Editor, edit_rows, evaluate_rows
from lotwise.explain.lot_question import DEFAULT_LOT_EVALUATIONS, LotBackwardQuestion
from lotwise.explain.searching import Asked, Deadline, Progress, searched

Floats = npt.NDArray[np.float64]
Images = npt.NDArray[np.uint8]

COARSE: Final = 8
"""Tiles on which searches begin: one batch for most engines."""
ENCODING_SHARE: Final = 0.25
"""Of a call's time; what is encoded by then is the sample."""
FRONT_REACH: Final = 1.5
"""How far the front goes, as a share of the way to the target."""


@dataclass(frozen=True)
class FrontPoint:
    """A change of the lot, what it costs, and the mean property that it gives."""

    attributes: Floats
    cost: float
    value: float


@dataclass(frozen=True)
class LotBackward:
    """The one change of a lot that brings its mean property to a target.

    Attributes:
        before: float64 [n_attributes], as the lot is.
        found: The change, on the whole sample; evaluations of all searches.
        searches: Where the searches on the first tiles ended.
        cost: Of the change.
        sensitivities: float64 [n_attributes], mean over the first tiles.
        tolerance: How near was near enough.
        reached: Whether the mean after it is within tolerance of the target.
        values_before, values_after: Of the tiles.
        after_mean: Their mean after it.
        share_reaching: Share of tiles that it brings to the target, or beyond.
        own: Where single tiles' own searches ended.
        front: Cheapest first.
        image: uint8 [px, px], the edited tile whose property is nearest to the mean.
        image_of: Its number in the sample.
        familiarity: Of that picture; None where nobody can say.
        measured: float64 [n_attributes], mean changes over the tiles as the meter reads them; None
            without one.
        tiles: How many tiles were worked on.
        ended_by_deadline: Whether searches were ended early or left out, or tiles were.
    """

    before: Floats
    found: Counterfactual
    searches: tuple[Counterfactual, ...]
    cost: float
    sensitivities: Floats
    tolerance: float
    reached: bool
    values_before: Spread
    values_after: Spread
    after_mean: MeanInterval
    share_reaching: float
    own: tuple[Counterfactual, ...]
    front: tuple[FrontPoint, ...]
    image: Grey
    image_of: int
    familiarity: float | None
    measured: Floats | None
    tiles: int
    ended_by_deadline: bool

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


async def backward_lot(
    editor: Editor,
    question: LotBackwardQuestion,
    sample: Sequence[PreparedTile],
    progress: Progress,
) -> LotBackward:
    """Find the smallest sparse change that brings the mean over a lot's tiles to the target.

    Where the call's deadline comes near, the best so far is the answer.

    Args:
        editor: As the engine describes it.
        question: Already checked.
        sample: Tiles of the lot, at least one; the first COARSE of them begin.
        progress: Is kept up to date.

    Raises:
        InvalidRequest: As `Editor.lot_attributes` and `BackwardQuestion.allowed`.
        InvalidTile, NotFound, InferenceError: As `Editor`.
    """
    lot = editor.lot_attributes(question.lot.lot_id, question.lot.attributes)
    allowed = question.change.allowed(editor.attribute_names, lot)
    tiles, deadline = [], Deadline()
    for tile in sample:
        tiles.append(await editor.encode(tile, lot))
        if deadline.spent(ENCODING_SHARE):
            break
    work = _LotSearch(editor, question, lot, allowed, tiles, progress)
    return await work.answer(short=len(tiles) < len(sample))


class _LotSearch:
    """The searches of one lot."""

    def __init__(
        self,
        editor: Editor,
        question: LotBackwardQuestion,
        lot: Floats,
        allowed: Allowed,
        tiles: Sequence[EditableTile],
        progress: Progress,
    ) -> None:
        learned = editor.property
        self._span = learned.maximum - learned.minimum
        self._editor, self._question = editor, question
        self._tolerance = question.change.tolerance_within(self._span)
        self._lot, self._allowed = lot, allowed
        self._tiles, self._progress = tiles, progress
        self._original = np.array([tile.original for tile in tiles])
        self._shift = np.zeros(len(tiles))
        self._ended = False

    async def answer(self, *, short: bool) -> LotBackward:
        """Search in all ways, each while there is time.

        Args:
            short: Whether time ended the sample early.
        """
        lot, change = self._lot, self._question.change
        redrawn = await edit_rows([(tile, lot) for tile in self._tiles])
        self._shift = redrawn.values - self._original
        starts, budget = change.searches(DEFAULT_LOT_EVALUATIONS)
        coarse = range(min(COARSE, len(self._tiles)))
        begun = await self._search(
            coarse,
            [
                self._to(change.target, budget, begin)
                for begin in beginnings(lot, self._allowed, starts)
            ],
        )
        assert begun is not None
        searches, first = begun
        found = cheapest(searches, lot, change.target, self._allowed)
        if len(coarse) < len(self._tiles):
            refined = await self._search(
                range(len(self._tiles)), [self._to(change.target, budget, found.attributes)]
            )
            if refined is not None:
                (ended,), _ = refined
                found = replace(ended, evaluations=found.evaluations + ended.evaluations)
        edits = await edit_rows([(tile, found.attributes) for tile in self._tiles])
        after = edits.values - self._shift
        mean = MeanInterval.of(after, self._question.lot.sampling.seed)
        nearest = int(np.abs(after - mean.mean).argmin())
        own = await self._own(budget)
        front = await self._front(coarse, budget, first.value)
        return LotBackward(
            before=lot,
            found=found,
            searches=tuple(searches),
            cost=self._allowed.cost_of(found.attributes - lot),
            sensitivities=first.gradient,
            tolerance=self._tolerance,
            reached=abs(mean.mean - change.target) <= self._tolerance,
            values_before=Spread.of(self._original),
            values_after=Spread.of(after),
            after_mean=mean,
            share_reaching=self._share_reaching(after),
            own=own,
            front=front,
            image=edits.images[nearest],
            image_of=nearest,
            familiarity=edits.looks.at(nearest).familiarity,
            measured=await self._measured(redrawn.images, edits.images),
            tiles=len(self._tiles),
            ended_by_deadline=self._ended or short,
        )

    async def _measured(self, before: Images, after: Images) -> Floats | None:
        """Mean changes over tiles, from one set of their pictures to another."""
        read = await self._editor.read_attributes(np.concatenate([before, after]))
        if read is None:
            return None
        was, became = np.split(read, 2)
        changes: Floats = (became - was).mean(axis=0)
        return changes

    def _to(self, target: float, evaluations: int, begin: Floats | None) -> Search:
        return search(
            self._lot,
            target,
            tolerance=self._tolerance,
            allowed=self._allowed,
            max_evaluations=evaluations,
            begin=begin,
        )

    async def _search(
        self, numbers: Sequence[int], searches: Sequence[Search]
    ) -> tuple[list[Counterfactual], Evaluation] | None:
        """Run searches for the mean over some tiles; None where there is no time left for any."""

        async def evaluate(asked: Asked) -> list[Evaluation]:
            rows = [(number, at) for _, at in asked for number in numbers]
            by_tile = await self._evaluate(rows)
            parts = [
                by_tile[start : start + len(numbers)]
                for start in range(0, len(by_tile), len(numbers))
            ]
            return [
                Evaluation(
                    float(np.mean([each.value for each in part])),
                    np.mean([each.gradient for each in part], axis=0),
                )
                for part in parts
            ]

        if self._ended:
            return None
        done = await searched(evaluate, searches)
        self._ended = done.by_deadline
        return done.ended, done.first

    async def _evaluate(self, rows: Sequence[tuple[int, Floats]]) -> list[Evaluation]:
        """(Number of a tile, attributes) -> its property, less the editor's own shift."""
        seen = await evaluate_rows([(self._tiles[number], at) for number, at in rows])
        self._progress.judged += len(rows)
        return [
            replace(each, value=each.value - self._shift[number])
            for each, (number, _) in zip(seen, rows, strict=True)
        ]

    async def _own(self, budget: int) -> tuple[Counterfactual, ...]:
        """What single tiles would ask for; Liu et al. 2020, Figure 7."""
        numbers = range(min(self._question.alone, len(self._tiles)))
        if self._ended or not numbers:
            return ()

        async def evaluate(asked: Asked) -> list[Evaluation]:
            return await self._evaluate(asked)

        target = self._question.change.target
        done = await searched(evaluate, [self._to(target, budget, None) for _ in numbers])
        self._ended = done.by_deadline
        return tuple(done.ended)

    async def _front(
        self, numbers: Sequence[int], budget: int, now: float
    ) -> tuple[FrontPoint, ...]:
        """Changes to targets on the way and beyond, each from the one before."""
        points: list[FrontPoint] = []
        begin: Floats | None = None
        target, count = self._question.change.target, self._question.front
        for share in FRONT_REACH * np.arange(1, count + 1) / max(1, count):
            done = await self._search(
                numbers, [self._to(now + share * (target - now), budget, begin)]
            )
            if done is None:
                break
            (found,), _ = done
            begin = found.attributes
            cost = self._allowed.cost_of(begin - self._lot)
            points.append(FrontPoint(begin, cost, found.value))
        return undominated(points, rising=target >= now)

    def _share_reaching(self, after: Floats) -> float:
        target = self._question.change.target
        if target >= float(self._original.mean()):
            return float((after >= target - self._tolerance).mean())
        return float((after <= target + self._tolerance).mean())


def undominated(points: Sequence[FrontPoint], *, rising: bool) -> tuple[FrontPoint, ...]:
    """The points than which none is cheaper and goes as far, cheapest first.

    Args:
        points: Any order.
        rising: Whether far means a large property.
    """
    kept: list[FrontPoint] = []
    sign = 1.0 if rising else -1.0
    for point in sorted(points, key=lambda each: (each.cost, -sign * each.value)):
        if not kept or sign * point.value > sign * kept[-1].value:
            kept.append(point)
    return tuple(kept)
