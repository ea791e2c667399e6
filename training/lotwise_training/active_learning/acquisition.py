"""Which lot to test next: two measures of what a test would tell, and batches of lots.

The covariance of a Gaussian process depends on which lots are tested, not on what the tests give,
so a batch is known before the first test, for hyperparameters that stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from lotwise_training.active_learning.gaussian_process import conditioned
from lotwise_training.data.tiles import Floats, Numbers

RISK: Final = "cut of risk"
INFORMATION: Final = "mutual information"

Gain = Callable[[Floats, Numbers, float], Floats]
"""From the prior covariance [L, L], numbers of tested lots and the variance of a test: what a test
of each untested lot, in rising order, would tell, float64 [U]."""


def untested(lots: int, tested: Numbers) -> Numbers:
    """Numbers of the lots that are not tested, int64 [U], rising."""
    return np.setdiff1d(np.arange(lots), tested)


def mutual_information(prior: Floats, tested: Numbers, noise: float) -> Floats:
    """What a test adds to the mutual information between tested lots and the rest.

    Krause, Singh & Guestrin 2008, Journal of Machine Learning Research 9, Algorithm 1: half the
    logarithm of a measured value's variance given the tested lots, over that given all others.

    Args:
        prior: float64 [L, L], covariance of lots before any test.
        tested: int64 [n].
        noise: Variance of a measured value about the lot's own.

    Returns:
        float64 [U], nats, by untested lot in rising order; it may be negative.
    """
    rest = untested(len(prior), tested)
    given_tested = np.diag(conditioned(prior, tested, noise))[rest] + noise
    # The variance of one given all the others is one over its place in the inverse's diagonal.
    among = prior[np.ix_(rest, rest)] + noise * np.eye(len(rest))
    given_rest = 1.0 / np.diag(np.linalg.inv(among))
    gain: Floats = 0.5 * np.log(given_tested / given_rest)
    return gain


def cut_of_risk(prior: Floats, tested: Numbers, noise: float) -> Floats:
    """How much of the untested lots' mean variance a test is expected to take away.

    Cohn 1996, Neural Networks 9, "Neural network exploration using optimal experiment design",
    section 4, with the untested lots as reference points (ALC). The tested lot counts, too: what
    is left of its variance is that of its tests.

    Args:
        prior: float64 [L, L], covariance of lots before any test.
        tested: int64 [n].
        noise: Variance of a measured value about the lot's own.

    Returns:
        float64 [U], share of the present mean variance, by untested lot in rising order.
    """
    rest = untested(len(prior), tested)
    now = conditioned(prior, tested, noise)[np.ix_(rest, rest)]
    variances = np.diag(now)
    cut: Floats = np.sum(now**2, axis=0) / (variances + noise) / variances.sum()
    return cut


GAINS: Final[dict[str, Gain]] = {RISK: cut_of_risk, INFORMATION: mutual_information}


def greedy(
    prior: Floats, tested: Numbers, noise: float, count: int, gain: Gain = cut_of_risk
) -> list[int]:
    """A batch of lots, each the best after those before.

    Args:
        prior: float64 [L, L], covariance of lots before any test.
        tested: int64 [n].
        noise: Variance of a measured value.
        count: How many; all untested lots at most.
        gain: By which the next is chosen; of equal ones the first.

    Returns:
        Numbers of lots in the order of their choice.
    """
    chosen: list[int] = []
    taken = tested
    for _ in range(min(count, len(prior) - len(tested))):
        rest = untested(len(prior), taken)
        best = int(rest[np.argmax(gain(prior, taken, noise))])
        chosen.append(best)
        taken = np.append(taken, best)
    return chosen
