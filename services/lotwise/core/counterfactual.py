"""The smallest sparse change of attributes that reaches a property.

Liu et al. 2020, equation 2: min over A' of lambda |p - R(G(I, A'))| + ||A - A'||_1. The two
terms are minimised apart: a gradient step on the squared miss, a proximal step (soft
threshold) on the L1 term, then a projection onto the box. Unlike a gradient of |.|, the
proximal step leaves attributes that do not help exactly where they were (Beck & Teboulle
2009, ISTA). lambda grows until the target is met within tolerance or the budget is spent.

The caller evaluates the networks; this module holds no I/O, so it runs in any loop.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

INITIAL_LAMBDA: Final = 1.0
LAMBDA_GROWTH: Final = 2.0
STEPS_PER_LAMBDA: Final = 12
MAX_MOVE: Final = 0.1  # of an attribute in one step: the networks are only locally linear


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
    """Where the search ended.

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


def search(
    start: npt.ArrayLike,
    target: float,
    *,
    tolerance: float,
    scale: float,
    mutable: npt.ArrayLike,
    max_evaluations: int,
) -> Generator[Array, Evaluation, Counterfactual]:
    """Search for the smallest sparse change; a coroutine that asks for evaluations.

    Yields the attributes [n_attributes] to evaluate next, expects their `Evaluation` by
    `send`, and returns the `Counterfactual`.

    Args:
        start: float [n_attributes], the lot's attributes, in 0-1.
        target: Property to reach.
        tolerance: How near is near enough, same unit.
        scale: Spread of the property over the model's range, same unit: makes lambda
            dimensionless.
        mutable: bool [n_attributes]; the others stay as they are.
        max_evaluations: Budget, at least 1.
    """
    origin = np.asarray(start, dtype=np.float64)
    free = np.asarray(mutable, dtype=bool)
    at = origin.copy()
    weight = INITIAL_LAMBDA
    best: tuple[tuple[bool, float], Array, float] | None = None
    spent = 0
    while spent < max_evaluations:
        seen = yield at.copy()
        spent += 1
        miss = seen.value - target
        met = abs(miss) <= tolerance
        # Among answers that meet the target the smallest change wins, else the nearest value.
        rank = (not met, float(np.abs(at - origin).sum()) if met else abs(miss))
        if best is None or rank < best[0]:
            best = (rank, at.copy(), seen.value)
        if met:
            break
        if spent % STEPS_PER_LAMBDA == 0:
            weight *= LAMBDA_GROWTH
        moved = _proximal_step(at, origin, free, miss / scale, seen.gradient / scale, weight)
        if np.array_equal(moved, at):
            if _held(at, miss, seen.gradient)[free].all():
                break  # no allowed change brings it nearer
            weight *= LAMBDA_GROWTH
        at = moved
    if best is None:
        raise ValueError("max_evaluations must be at least 1")
    (not_met, _), attributes, value = best
    return Counterfactual(attributes, value, not not_met, spent)


def _proximal_step(
    at: Array,
    origin: Array,
    free: npt.NDArray[np.bool_],
    miss: float,
    gradient: Array,
    weight: float,
) -> Array:
    # Gradient of weight * miss**2 / 2, with the step at which a linear model would just meet
    # the target (Gauss-Newton), bounded per attribute. One that the box holds back does not
    # help to meet it, so it must not shorten the others' steps either.
    useful = free & ~_held(at, miss, gradient)
    curvature = float((gradient[useful] ** 2).sum()) + 1e-12
    step = 1.0 / (weight * curvature + 1e-12)
    move = np.where(free, -step * weight * miss * gradient, 0.0)
    move *= min(1.0, MAX_MOVE / (float(np.abs(move[useful]).max(initial=0.0)) + 1e-12))
    moved = at + move
    # Soft threshold about the origin: small changes vanish, large ones shrink.
    threshold = min(step, MAX_MOVE / 4 / weight)
    change = moved - origin
    change = np.sign(change) * np.maximum(np.abs(change) - threshold, 0.0)
    return np.clip(np.where(free, origin + change, origin), 0.0, 1.0)


def _held(at: Array, miss: float, gradient: Array) -> npt.NDArray[np.bool_]:
    """Attributes that cannot bring the property nearer: at their bound, or without effect."""
    downhill = -miss * gradient
    held: npt.NDArray[np.bool_] = (
        ((at >= 1.0) & (downhill > 0)) | ((at <= 0.0) & (downhill < 0)) | (downhill == 0.0)
    )
    return held
