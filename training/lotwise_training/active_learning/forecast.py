"""How large the error will be once more lots are tested: from variances, without labels.

Up to the lots at hand the process says it itself. Beyond, a power law with a floor goes on with it
(as learning curves go: Hestness et al. 2017, "Deep learning scaling is predictable, empirically",
section 3): error(n) = floor + a n^-b. The floor is the lots' own deviation, which no test of other
lots takes away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import ndtr

from lotwise_training.active_learning.acquisition import greedy
from lotwise_training.active_learning.gaussian_process import (
    LotProcess,
    conditioned,
    fitted_hyperparameters,
)
from lotwise_training.active_learning.power_law import INTERVAL, PowerLaw, fit_above_floor
from lotwise_training.data.tiles import Floats, Numbers

RESAMPLES: Final = 200
ORDERS: Final = 4
"""Random orders of all lots, whose errors the power law is fitted to."""
POINTS: Final = 8
"""Sizes at which they are computed."""
LEAST_SIZE: Final = 4
"""Fewer tested lots do not follow a power law yet."""
LARGEST_SHARE: Final = 0.8
"""Of all lots tested; the few that would be left say little."""
FARTHEST: Final = 10
"""A size over so many times the lots at hand is beyond what they can tell."""


def expected_error(deviation: Floats) -> Floats:
    """Expected relative error of exp(mean), where ln(property) is Gaussian.

    E|exp(s z) - 1| = exp(s^2 / 2) (2 Phi(s) - 1); for small s it is sqrt(2 / pi) s, the mean
    absolute error of a Gaussian.

    Args:
        deviation: float64, standard deviation s of ln(property).

    Returns:
        float64, as many; share of the true property.
    """
    error: Floats = np.exp(deviation**2 / 2) * (2 * ndtr(deviation) - 1)
    return error


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Expected relative errors by the number of further tests.

    Attributes:
        tested: Lots tested by now.
        errors: float64 [U], of the lots still untested after 0, 1, ... U - 1 chosen tests.
        beyond: What follows once all U are tested.
    """

    tested: int
    errors: Floats
    beyond: PowerLaw

    @property
    def lots(self) -> int:
        """Lots at hand, tested or not."""
        return self.tested + len(self.errors)

    def error(self, size: int) -> float:
        """Expected relative error with so many tested lots, not fewer than now."""
        further = size - self.tested
        return float(self.errors[further]) if size < self.lots else self.beyond.error(size)

    def more(self, target: float) -> float:
        """Further lots to be tested for a relative error; infinite where it is out of reach."""
        reached = np.flatnonzero(self.errors <= target)
        if len(reached):
            return float(reached[0])
        size = max(float(np.ceil(self.beyond.size(target))), float(self.lots))
        return size - self.tested if size <= FARTHEST * self.lots else float("inf")


@dataclass(frozen=True, eq=False)
class Outlook:
    """A learning curve, and those that the tested lots allow as well.

    Attributes:
        curve: Of the process.
        others: Of processes fitted to values drawn from it.
        chosen: int64 [U], all untested lots in the order in which the curve tests them.
    """

    curve: LearningCurve
    others: tuple[LearningCurve, ...]
    chosen: Numbers

    def error(self, size: int) -> tuple[float, float, float]:
        """Expected relative error with so many tested lots, and its 90% interval."""
        low, high = np.quantile([each.error(size) for each in self.others], INTERVAL)
        return self.curve.error(size), float(low), float(high)

    def more(self, target: float) -> tuple[float, float, float]:
        """Further lots for a relative error, and their 90% interval; infinite: out of reach."""
        needed = [each.more(target) for each in self.others]
        # Whole numbers of lots: no mean of two, of which one may be infinite.
        low = np.quantile(needed, INTERVAL[0], method="lower")
        high = np.quantile(needed, INTERVAL[1], method="higher")
        return self.curve.more(target), float(low), float(high)


def learning_curve(process: LotProcess, chosen: Numbers) -> LearningCurve:
    """Expected errors when lots are tested in an order.

    Args:
        process: Of all lots.
        chosen: int64 [U], all untested lots, in the order of their tests.
    """
    prior = process.prior()
    errors = []
    now = conditioned(prior, process.tested, process.noise)
    left = chosen
    for lot in chosen:
        errors.append(float(expected_error(np.sqrt(np.diag(now)[left])).mean()))
        now = now - np.outer(now[lot], now[lot]) / (now[lot, lot] + process.noise)
        left = left[1:]
    return LearningCurve(len(process.tested), np.array(errors), _beyond(process, prior))


def _beyond(process: LotProcess, prior: Floats) -> PowerLaw:
    """The law of lots tested in random orders: that lots which are not at hand follow, too."""
    count = len(prior)
    last = max(round(LARGEST_SHARE * count), LEAST_SIZE + 1)
    sizes = np.unique(np.geomspace(max(LEAST_SIZE, count // 5), last, POINTS).round().astype(int))
    errors = np.zeros(len(sizes))
    for order in range(ORDERS):
        lots = np.random.default_rng(order).permutation(count)
        for number, size in enumerate(sizes):
            given, rest = lots[:size], lots[size:]
            left = np.diag(conditioned(prior, given, process.noise))[rest]
            errors[number] += float(expected_error(np.sqrt(left)).mean()) / ORDERS
    floor = float(expected_error(np.array(process.nugget)))
    return fit_above_floor(sizes, errors, floor)


def outlook(process: LotProcess, resamples: int = RESAMPLES, seed: int = 0) -> Outlook:
    """The learning curve with what is uncertain of the hyperparameters.

    A parametric bootstrap (Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 6.5):
    values of the tested lots are drawn from the process and it is fitted anew. Drawing lots with
    repetition would put some twice at the same place, which no process with a nugget allows.
    """
    rng = np.random.default_rng(seed)
    prior = process.prior()
    chosen = np.array(greedy(prior, process.tested, process.noise, len(prior)))
    kernel = process.kernel.take(process.tested)
    noise = np.full(len(process.tested), process.noise / process.spread**2)
    covariance = kernel.covariance(process.hyperparameters) + np.diag(noise)
    factor = np.linalg.cholesky(covariance + 1e-10 * np.eye(len(noise)))
    others = []
    for _ in range(resamples):
        drawn = factor @ rng.standard_normal(len(noise))
        drawn -= drawn.mean()
        found = fitted_hyperparameters(kernel, drawn, noise)
        others.append(learning_curve(replace(process, hyperparameters=found), chosen))
    return Outlook(learning_curve(process, chosen), tuple(others), chosen)
