"""Thresholds with a promise, from labelled tiles: selective classification with guaranteed risk.

Geifman & El-Yaniv 2017 (arXiv 1705.08500): among what a threshold accepts, k errors of m tiles
bound the true error by inverting the binomial tail. They search thresholds by bisection and pay for
each step (Bonferroni). Here candidates are fixed beforehand, from other tiles, and tested from the
strictest on until one fails (fixed sequence testing; Angelopoulos et al. 2021, arXiv 2110.01052):
that costs nothing, because the first false step is the only one that can break the promise.

A score is high where a tile is doubtful; a tile is accepted up to the threshold. A tile that can
never be accepted has an infinite score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import beta, binom

from lotwise.core.uncertainty import Array

Flags = npt.NDArray[np.bool_]

STEP: Final = 0.01
"""Candidates accept so much more of the tiles from one to the next."""
HEAD_START: Final = 3.0
"""The strictest candidate accepts so many times the tiles that would be needed without any error:
with fewer, a single error fails the first test and ends the sequence."""


@dataclass(frozen=True)
class Certified:
    """A threshold and what was measured on labelled tiles.

    Attributes:
        threshold: Tiles up to it are accepted.
        tiles: Labelled tiles that it was tested on.
        accepted: Of them.
        errors: Among those accepted.
        risk_bound: The true error among accepted tiles is at most this, with the confidence.
        coverage_bound: Likewise, the true share of accepted tiles is at least this.
    """

    threshold: float
    tiles: int
    accepted: int
    errors: int
    risk_bound: float
    coverage_bound: float

    @property
    def coverage(self) -> float:
        """Share of the tiles that are accepted."""
        return self.accepted / self.tiles


def tiles_needed(risk: float, confidence: float) -> int:
    """Accepted tiles, all of them right, from which on a risk can be promised."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-risk))


def candidates(scores: Array, tiles: int, risk: float, confidence: float) -> Array:
    """Thresholds to be tested, the strictest first.

    Args:
        scores: float64 [M], of tiles that take no part in the test; infinite ones are never taken.
        tiles: How many there will be in the test.
        risk: To be promised.
        confidence: Of the promise.

    Returns:
        float64 [J], rising; empty where no test on so few tiles could succeed.
    """
    needed = tiles_needed(risk, confidence)
    ordered = np.sort(scores)
    finite = int(np.isfinite(ordered).sum())
    if needed > tiles or finite == 0:
        return np.empty(0)
    start = min(HEAD_START * needed / tiles, 1.0)
    shares = np.arange(start, 1.0 + STEP / 2, STEP)
    ranks = np.ceil(shares * len(ordered) - 1e-9).astype(int)
    # What lies beyond the most that can be accepted is the same acceptance once more.
    return np.unique(ordered[np.minimum(ranks, finite) - 1])


def measure_threshold(
    threshold: float, scores: Array, wrong: Flags, confidence: float
) -> Certified:
    """Measure a threshold on labelled tiles whose labels had no part in its choice.

    Args:
        threshold: Of the score.
        scores: float64 [N].
        wrong: bool [N], whether the named lot is not the true one.
        confidence: Of each bound.
    """
    accepted = scores <= threshold
    m, n = int(accepted.sum()), len(scores)
    k = int(wrong[accepted].sum())
    # Clopper & Pearson 1934, one-sided each.
    risk = 1.0 if k == m else float(beta.ppf(confidence, k + 1, m - k))
    coverage = 0.0 if m == 0 else float(beta.ppf(1 - confidence, m, n - m + 1))
    return Certified(threshold, n, m, k, risk, coverage)


def certify_risk(
    thresholds: Array, scores: Array, wrong: Flags, risk: float, confidence: float
) -> Certified | None:
    """The widest threshold whose error among accepted tiles is at most `risk`.

    With probability of at least `confidence` over the labelled tiles, the true error among accepted
    tiles of their kind is at most `risk`.

    Args:
        thresholds: float64 [J], rising, fixed before the labelled tiles were seen.
        scores: float64 [N].
        wrong: bool [N].
        risk: Error among accepted tiles, 0 to 1.
        confidence: 0 to 1.

    Returns:
        None where not even the first threshold passes.
    """
    rejected = rejections(thresholds, scores, wrong, risk, confidence)
    if rejected == 0:
        return None
    return measure_threshold(float(thresholds[rejected - 1]), scores, wrong, confidence)


def rejections(
    thresholds: Array, scores: Array, wrong: Flags, risk: float, confidence: float
) -> int:
    """How many thresholds pass, from the first on, before one fails. Arguments as above."""
    order = np.argsort(scores, kind="stable")
    errors = np.concatenate([[0], np.cumsum(wrong[order])])
    m = np.searchsorted(scores[order], thresholds, side="right")
    # Chance of so few errors if the risk were just above the promised one.
    p = binom.cdf(errors[m], m, risk)
    failed = np.flatnonzero(~(p <= 1 - confidence))
    return int(failed[0]) if len(failed) else len(thresholds)


def certify_coverage(
    scores: Array, wrong: Flags, coverage: float, confidence: float
) -> Certified | None:
    """The strictest threshold that accepts at least a share of tiles (Wilks 1941).

    With probability of at least `confidence` over the tiles, the true share of accepted tiles of
    their kind is at least `coverage`. Labels have no part in the choice, so the bound on the error
    among accepted tiles holds as well.

    Args:
        scores: float64 [N].
        wrong: bool [N].
        coverage: Share of tiles, 0 to 1.
        confidence: 0 to 1.

    Returns:
        None where too many tiles can never be accepted, or there are too few tiles at all.
    """
    n = len(scores)
    # The k-th smallest of n covers a Beta(k, n - k + 1) share.
    ranks = np.arange(1, n + 1)
    enough = np.flatnonzero(beta.ppf(1 - confidence, ranks, n - ranks + 1) >= coverage)
    if not len(enough):
        return None
    threshold = float(np.sort(scores)[enough[0]])
    return (
        measure_threshold(threshold, scores, wrong, confidence)
        if math.isfinite(threshold)
        else None
    )


def bonferroni_bisection(
    scores: Array, wrong: npt.NDArray[Any], risk: float, confidence: float
) -> float | None:
    """The threshold by Geifman & El-Yaniv's own Algorithm 2, to compare with.

    Bisection over the N scores; each of its ceil(log2 N) steps may fail with an equal part of
    1 - confidence.

    Returns:
        None where no step meets the risk.
    """
    ordered = np.sort(scores)
    steps = math.ceil(math.log2(len(scores)))
    each = 1 - (1 - confidence) / steps
    low, high, best = 0, len(scores) - 1, None
    for _ in range(steps):
        middle = math.ceil((low + high) / 2)
        threshold = float(ordered[middle])
        if (
            math.isfinite(threshold)
            and measure_threshold(threshold, scores, wrong, each).risk_bound <= risk
        ):
            low, best = middle, threshold
        else:
            high = middle
    return best
