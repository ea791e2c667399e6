"""The smallest sparse change of attributes that reaches a property.

Liu et al. 2020, equation 2: min over A' of lambda |p - R(G(I, A'))| + ||A - A'||_1, here with a
cost for each attribute and within allowed ranges. It is minimised by proximal linear steps
(Drusvyatskiy & Paquette 2019, section 3): R(G(I, .)) is replaced by its value and slopes at the
best place so far, the L1 term and the box stay as they are, and a trust region says how far the
slopes hold. What is left is a linear programme with one equality, solved by going through the
attributes in the order of what a unit of cost gains; attributes that are not needed stay exactly
where they were. lambda is its multiplier: just as large as the target needs, anew in every step.
Steps go on until no change costs less, or until nothing brings the property nearer.

The networks have more than one answer, so searches begin at several places (`beginnings`) and run
side by side (`side_by_side`); the cheapest that meets the target is taken (`cheapest`).

The caller evaluates the networks; this module holds no I/O, so it runs in any loop.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

FIRST_RADIUS: Final = 0.25
"""How far an attribute may move in the first step."""
LARGEST_RADIUS: Final = 0.5
LEAST_RADIUS: Final = 0.001
"""A search that comes no nearer or cheaper by steps as small as this has ended."""
TRUSTED: Final = 0.75
DISTRUSTED: Final = 0.25
"""Shares of what slopes promised. Above the first a step may be twice as far, below the second half
as far."""
LEAST_NEARER: Final = 0.1
"""Of the tolerance; a promise of less is not worth an evaluation."""
CHEAPENINGS: Final = 6
"""Evaluations spent on making an answer cheaper, at most."""
LEAST_SAVED: Final = 0.02
"""Of the cost of an answer; less is not worth an evaluation."""
ROUNDING: Final = 1e-9
"""Of the target: what is missing by less is met."""
SEED: Final = 0
"""Of the places at which searches begin: the same question has the same answer."""


@dataclass(frozen=True)
class Evaluation:
    """R(G(I, A)) at one A.

    Attributes:
        value: In the property's unit.
        gradient: float64 [n_attributes], unit per unit attribute.
    """

    value: float
    gradient: Array


@dataclass(frozen=True)
class Counterfactual:
    """Where a search ended.

    Attributes:
        attributes: float64 [n_attributes], the changed attributes.
        value: The editor's prediction there.
        reached: Whether it lies within tolerance of the target.
        evaluations: Gradient evaluations spent.
    """

    attributes: Array
    value: float
    reached: bool
    evaluations: int


@dataclass(frozen=True)
class Allowed:
    """Where attributes may go, and what moving them costs.

    Attributes:
        lower, upper: float64 [n_attributes] within 0-1. The lot lies between them; where they are
            equal, an attribute cannot move.
        cost: float64 [n_attributes], above 0, of a unit of each attribute: weights of the L1 term.
    """

    lower: Array
    upper: Array
    cost: Array

    @classmethod
    def everywhere(cls, n_attributes: int) -> Allowed:
        """All of 0-1, at a cost of 1."""
        return cls(np.zeros(n_attributes), np.ones(n_attributes), np.ones(n_attributes))

    @property
    def free(self) -> npt.NDArray[np.bool_]:
        """Which attributes can move, bool [n_attributes]."""
        free: npt.NDArray[np.bool_] = self.upper > self.lower
        return free

    def cost_of(self, change: Array) -> float:
        """The weighted L1 norm of a change, float64 [n_attributes]."""
        return float((self.cost * np.abs(change)).sum())


Search = Generator[Array, Evaluation | None, Counterfactual]
"""Asks for the evaluation of attributes [n_attributes]; None in its place ends it with the best so
far."""


def search(
    start: npt.ArrayLike,
    target: float,
    *,
    tolerance: float,
    allowed: Allowed,
    max_evaluations: int,
    begin: npt.ArrayLike | None = None,
) -> Search:
    """Search for the smallest sparse change; a coroutine that asks for evaluations.

    Yields the attributes [n_attributes] to evaluate next, expects their `Evaluation` by
    `send`, and returns the `Counterfactual`.

    Args:
        start: float [n_attributes], the lot's attributes, in 0-1; changes are counted from them.
        target: Property to reach.
        tolerance: How near is near enough, same unit.
        allowed: Ranges and costs.
        max_evaluations: Budget, at least 1.
        begin: float [n_attributes], where to look first; None for `start`.

    Raises:
        ValueError: `max_evaluations` is below 1.
    """
    if max_evaluations < 1:
        raise ValueError("max_evaluations must be at least 1")
    origin = np.asarray(start, dtype=np.float64)
    best = _Best(origin, target, tolerance, allowed)
    at = origin if begin is None else np.asarray(begin, dtype=np.float64)
    region, cheapenings = _TrustRegion(), 0
    while True:
        was, reached = best.miss, best.reached
        seen = yield at.copy()
        if seen is None:
            break
        step = float(np.abs(at - best.attributes).max())
        better = best.see(at, seen)
        if best.evaluations > 1:
            region.learn(step, was, seen.value - target, better=better, cheaper=reached)
        cheapenings += reached
        if best.evaluations >= max_evaluations or cheapenings >= CHEAPENINGS:
            break
        if region.radius < LEAST_RADIUS:
            break
        at, promised = _proximal_step(best, region.radius)
        if not _worthwhile(best, at, promised):
            break
        region.promised = promised
    return best.found()


def beginnings(start: npt.ArrayLike, allowed: Allowed, count: int) -> list[Array | None]:
    """Where searches begin: at the lot itself (None), then all over the allowed ranges.

    Args:
        start: float [n_attributes], the lot's attributes.
        allowed: Ranges.
        count: How many, at least 1.

    Returns:
        `count` of None or float64 [n_attributes]; the first are the same for a larger count.
    """
    origin = np.asarray(start, dtype=np.float64)
    rng = np.random.default_rng(SEED)
    spread = allowed.upper - allowed.lower
    drawn = [allowed.lower + spread * rng.random(len(origin)) for _ in range(count - 1)]
    return [None, *drawn]


def side_by_side(
    searches: Sequence[Search],
) -> Generator[list[tuple[int, Array]], list[Evaluation] | None, list[Counterfactual]]:
    """Run searches in step, so that their evaluations can be asked for in one batch.

    Yields (number of the search, attributes [n_attributes]) for every search that goes on,
    expects their evaluations in this order or None to end all with their best so far, and
    returns where each ended.

    Args:
        searches: None of them begun.
    """
    ended: dict[int, Counterfactual] = {}
    asking: list[tuple[int, Array]] = []

    def advance(number: int, answer: Evaluation | None) -> None:
        try:
            question = searches[number].send(answer)
        except StopIteration as end:
            ended[number] = end.value
        else:
            asking.append((number, question))

    for number in range(len(searches)):
        advance(number, None)  # begins it
    while asking:
        answers = yield list(asking)
        asked, asking = asking, []
        for place, (number, _) in enumerate(asked):
            advance(number, None if answers is None else answers[place])
    return [ended[number] for number in range(len(searches))]


def cheapest(
    found: Sequence[Counterfactual], start: npt.ArrayLike, target: float, allowed: Allowed
) -> Counterfactual:
    """Of several searches the cheapest change that meets the target, else the nearest value.

    Args:
        found: Where they ended, at least one.
        start: float [n_attributes], the lot's attributes.
        target: Property to reach.
        allowed: Costs.

    Returns:
        One of them, with the evaluations of all.
    """
    origin = np.asarray(start, dtype=np.float64)

    def rank(each: Counterfactual) -> tuple[bool, float]:
        if each.reached:
            return False, allowed.cost_of(each.attributes - origin)
        return True, abs(each.value - target)

    return replace(min(found, key=rank), evaluations=sum(each.evaluations for each in found))


def changed_attributes(found: Counterfactual, start: Array) -> int:
    """Sparsity: how many attributes change from `start`, float64 [n_attributes]."""
    return int((found.attributes != start).sum())


def fidelity_of(
    asked: npt.NDArray[np.float64], measured: npt.NDArray[np.float64] | None
) -> float | None:
    """How much of a change is there: the part of the measured one along it, as a share of it.

    Args:
        asked: float64 [n_attributes].
        measured: float64 [n_attributes]; None where nothing was measured.

    Returns:
        1 for all of it, 0 for nothing; None where nothing was measured or asked for.
    """
    length = float(asked @ asked)
    if measured is None or not length:
        return None
    return float(measured @ asked) / length


def spread_of_answers(found: Sequence[Counterfactual]) -> float:
    """Stability: largest standard deviation of an attribute over the searches that met the target.

    0 where none did.
    """
    met = [each.attributes for each in found if each.reached]
    return float(np.std(met, axis=0).max()) if met else 0.0


class _Best:
    """The best of what a search has seen."""

    def __init__(self, origin: Array, target: float, tolerance: float, allowed: Allowed) -> None:
        self.origin, self.target, self.tolerance, self.allowed = origin, target, tolerance, allowed
        self.evaluations = 0
        self.attributes = origin
        self.seen = Evaluation(float("nan"), np.zeros(len(origin)))
        self._rank = (True, float("inf"))

    @property
    def reached(self) -> bool:
        return not self._rank[0]

    @property
    def miss(self) -> float:
        return self.seen.value - self.target

    @property
    def cost(self) -> float:
        return self.allowed.cost_of(self.attributes - self.origin)

    def see(self, at: Array, seen: Evaluation) -> bool:
        """Count an evaluation; whether it is better than all before."""
        self.evaluations += 1
        miss = abs(seen.value - self.target)
        met = miss <= self.tolerance
        # Among answers that meet the target the cheapest change wins, else the nearest value.
        rank = (not met, self.allowed.cost_of(at - self.origin) if met else miss)
        better = rank < self._rank
        if better:
            self._rank, self.attributes, self.seen = rank, at.copy(), seen
        return better

    def found(self) -> Counterfactual:
        return Counterfactual(self.attributes, self.seen.value, self.reached, self.evaluations)


class _TrustRegion:
    """How far the slopes at the best place are believed.

    Attributes:
        radius: Of each attribute.
        promised: What the next step will miss by, if the slopes hold.
    """

    def __init__(self) -> None:
        self.radius, self.promised = FIRST_RADIUS, 0.0

    def learn(self, step: float, was: float, miss: float, *, better: bool, cheaper: bool) -> None:
        """What came of a step.

        Args:
            step: Its length, the largest move of an attribute.
            was: What was missed by before it.
            miss: And after it.
            better: Whether it is the best place now.
            cheaper: Whether it went from one place that meets the target to another.
        """
        if cheaper:
            self.radius = self.radius if better else step / 2.0
            return
        kept = (abs(was) - abs(miss)) / max(abs(was) - abs(self.promised), ROUNDING)
        if not better and was * miss < 0.0:
            # It went too far: the target lies on the way.
            self.radius = step * float(np.clip(was / (was - miss), 0.1, 0.5))
        elif not better or kept < DISTRUSTED:
            self.radius = step / 2.0
        elif kept > TRUSTED:
            self.radius = min(LARGEST_RADIUS, max(self.radius, 2.0 * step))


def _proximal_step(best: _Best, radius: float) -> tuple[Array, float]:
    """The least cost that meets the target by the slopes at the best place, or comes nearest.

    A linear programme: attributes move away from the lot in the order of what a unit of cost gains,
    each as far as it may, until the target is met.

    Returns:
        float64 [n_attributes] and the miss there, were the property linear.
    """
    gradient, allowed = best.seen.gradient, best.allowed
    lower = np.maximum(allowed.lower, best.attributes - radius)
    upper = np.minimum(allowed.upper, best.attributes + radius)
    goal = np.clip(best.origin, lower, upper)
    value = best.seen.value + float(gradient @ (goal - best.attributes))
    # Half the tolerance is left for what is not linear.
    slack = best.tolerance / 2.0
    missing = float(np.clip(value, best.target - slack, best.target + slack)) - value
    for i in np.argsort(-np.abs(gradient) / allowed.cost, kind="stable"):
        if gradient[i] == 0.0 or abs(missing) <= ROUNDING * max(1.0, abs(best.target)):
            break
        moved = float(np.clip(goal[i] + missing / gradient[i], lower[i], upper[i]))
        change = float(gradient[i] * (moved - goal[i]))
        goal[i], value, missing = moved, value + change, missing - change
    return goal, value - best.target


def _worthwhile(best: _Best, at: Array, promised: float) -> bool:
    """Whether a step is worth an evaluation."""
    if not best.reached:
        return abs(best.miss) - abs(promised) > LEAST_NEARER * best.tolerance
    if abs(promised) > best.tolerance:
        return False
    saved = best.cost - best.allowed.cost_of(at - best.origin)
    fewer = (at != best.origin).sum() < (best.attributes != best.origin).sum()
    return saved > LEAST_SAVED * best.cost or (fewer and saved > 0.0)
