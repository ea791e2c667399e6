"""The smallest sparse change of attributes that reaches a property.

Liu et al. 2020, equation 2: min over A' of lambda |p - R(G(I, A'))| + ||A - A'||_1, here with a
cost for each attribute and within allowed ranges. The two terms are minimised apart: a gradient
step on the squared miss, a proximal step (soft threshold) on the L1 term, then a projection onto
the box. Unlike a gradient of |.|, the proximal step leaves attributes that do not help exactly
where they were (Beck & Teboulle 2009, ISTA). lambda grows until the target is met within tolerance
or the budget is spent. An answer is then made cheaper: along the slopes that were seen there, the
change that costs least is known exactly, and as much of the way to it is taken as keeps the target
met.

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

INITIAL_LAMBDA: Final = 1.0
LAMBDA_GROWTH: Final = 2.0
STEPS_PER_LAMBDA: Final = 12
MAX_MOVE: Final = 0.1  # of an attribute in one step: the networks are only locally linear
PATIENCE: Final = 2 * STEPS_PER_LAMBDA
"""Evaluations that come no nearer before a search gives up: lambda has doubled twice."""
LEAST_NEARER: Final = 0.1
"""Of the tolerance; less is not nearer."""
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
    scale: float,
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
        scale: Spread of the property over the model's range, same unit: makes lambda
            dimensionless.
        allowed: Ranges and costs.
        max_evaluations: Budget, at least 1.
        begin: float [n_attributes], where to look first; None for `start`.

    Raises:
        ValueError: `max_evaluations` is below 1.
    """
    if max_evaluations < 1:
        raise ValueError("max_evaluations must be at least 1")
    origin = np.asarray(start, dtype=np.float64)
    at = origin.copy() if begin is None else np.asarray(begin, dtype=np.float64).copy()
    best = _Best(origin, target, tolerance, allowed)
    weight, nearest, nearest_at = INITIAL_LAMBDA, float("inf"), 0
    while best.evaluations < max_evaluations:
        seen = yield at.copy()
        if seen is None:
            break
        best.see(at, seen)
        if best.reached:
            break
        miss = seen.value - target
        if abs(miss) < nearest - LEAST_NEARER * tolerance:
            nearest, nearest_at = abs(miss), best.evaluations
        elif best.evaluations - nearest_at >= PATIENCE:
            break  # out of reach, as far as this search can tell
        if best.evaluations % STEPS_PER_LAMBDA == 0:
            weight *= LAMBDA_GROWTH
        moved = _proximal_step(at, origin, allowed, miss / scale, seen.gradient / scale, weight)
        if np.array_equal(moved, at):
            if _held(at, miss, seen.gradient, allowed)[allowed.free].all():
                break  # no allowed change brings it nearer
            weight *= LAMBDA_GROWTH
        at = moved
    if best.reached:
        yield from _cheapened(best, min(CHEAPENINGS, max_evaluations - best.evaluations))
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


def _cheapened(best: _Best, evaluations: int) -> Generator[Array, Evaluation | None, None]:
    """Go from an answer towards the cheapest one by its slopes, while the target stays met."""
    share, goal = 1.0, _cheapest_by_slopes(best)
    for _ in range(evaluations):
        if goal is None:
            return
        # All of the way is the goal itself: what stays then stays to the last digit.
        at = goal if share == 1.0 else best.attributes + share * (goal - best.attributes)
        saved = best.cost - best.allowed.cost_of(at - best.origin)
        fewer = (at != best.origin).sum() < (best.attributes != best.origin).sum()
        if saved <= 0.0 or (saved <= LEAST_SAVED * best.cost and not fewer):
            return
        seen = yield at.copy()
        if seen is None:
            return
        if best.see(at, seen):
            share, goal = 1.0, _cheapest_by_slopes(best)
        else:
            share /= 2.0


def _cheapest_by_slopes(best: _Best) -> Array | None:
    """The attributes that would meet the target at the least cost, were the property linear.

    A linear programme with one equality: attributes move in the order of what a unit of cost gains,
    each as far as it may, until the target is met. None where that does not meet it.
    """
    gradient, allowed, origin = best.seen.gradient, best.allowed, best.origin
    # Half the tolerance is left for what is not linear.
    slack = best.tolerance / 2.0
    aim = float(np.clip(best.seen.value, best.target - slack, best.target + slack))
    missing = aim - best.seen.value - float(gradient @ (origin - best.attributes))
    goal = origin.copy()
    for i in np.argsort(-np.abs(gradient) / allowed.cost):
        if gradient[i] == 0.0 or abs(missing) <= ROUNDING * max(1.0, abs(aim)):
            break
        wanted = float(
            np.clip(origin[i] + missing / gradient[i], allowed.lower[i], allowed.upper[i])
        )
        missing -= float(gradient[i] * (wanted - origin[i]))
        goal[i] = wanted
    return goal if abs(missing) <= slack else None


def _proximal_step(
    at: Array, origin: Array, allowed: Allowed, miss: float, gradient: Array, weight: float
) -> Array:
    # Gradient of weight * miss**2 / 2, with the step at which a linear model would just meet
    # the target (Gauss-Newton), bounded per attribute. One that the box holds back does not
    # help to meet it, so it must not shorten the others' steps either.
    free = allowed.free
    useful = free & ~_held(at, miss, gradient, allowed)
    # In units of cost, so that all weigh alike in the L1 term.
    slope = gradient / allowed.cost
    curvature = float((slope[useful] ** 2).sum()) + 1e-12
    step = 1.0 / (weight * curvature + 1e-12)
    move = np.where(free, -step * weight * miss * slope / allowed.cost, 0.0)
    move *= min(1.0, MAX_MOVE / (float(np.abs(move[useful]).max(initial=0.0)) + 1e-12))
    moved = at + move
    # Soft threshold about the origin: small changes vanish, large ones shrink.
    threshold = min(step, MAX_MOVE / 4 / weight) / allowed.cost
    change = moved - origin
    change = np.sign(change) * np.maximum(np.abs(change) - threshold, 0.0)
    return np.clip(np.where(free, origin + change, origin), allowed.lower, allowed.upper)


def _held(at: Array, miss: float, gradient: Array, allowed: Allowed) -> npt.NDArray[np.bool_]:
    """Attributes that cannot bring the property nearer: at their bound, or without effect."""
    downhill = -miss * gradient
    held: npt.NDArray[np.bool_] = (
        ((at >= allowed.upper) & (downhill > 0))
        | ((at <= allowed.lower) & (downhill < 0))
        | (downhill == 0.0)
    )
    return held
