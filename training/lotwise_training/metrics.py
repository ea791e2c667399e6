"""Figures of merit, as the papers define them.

Tiles that a score does not tell apart are ties. No figure here depends on the order in which ties
are given: stored answers are float16, and the surest tiles of a good model tie by the hundred.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

ECE_BINS: Final = 20
"""Equal bins of confidence, as in Zhang et al. 2020; as many of equal mass."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence against accuracy, bin by bin; every array float64 [bins].

    Attributes:
        tiles: How many fell into the bin.
        confidence: Their mean confidence, 0 to 1; NaN in an empty bin.
        accuracy: Share of them that is right; NaN in an empty bin.
    """

    tiles: Array
    confidence: Array
    accuracy: Array

    @property
    def error(self) -> float:
        """Mean gap between confidence and accuracy, weighted by tiles, 0 to 1."""
        gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float((gaps * self.tiles).sum() / self.tiles.sum())


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """What is wrong among the tiles that are accepted, the surest first.

    Attributes:
        coverage: float64 [N], share of tiles accepted: 1/N, 2/N, ... 1.
        risk: float64 [N], share of errors among them; among ties, the mean over their orders.
    """

    coverage: Array
    risk: Array

    @property
    def area(self) -> float:
        """AURC, the mean risk over the N coverages (Geifman et al. 2019)."""
        return float(self.risk.mean())

    def at(self, coverage: float) -> float:
        """Risk at the least number of tiles that are at least this share of all."""
        # A share such as 0.7 of 10 tiles must not round up to eight.
        accepted = int(np.ceil(coverage * len(self.risk) - 1e-9))
        return float(self.risk[max(accepted, 1) - 1])


def accuracy(probabilities: Array, labels: Labels) -> float:
    """Share of tiles whose most likely lot is the true one.

    Args:
        probabilities: float64 [N, K].
        labels: int64 [N].
    """
    return float((probabilities.argmax(axis=1) == labels).mean())


def negative_log_likelihood(probabilities: Array, labels: Labels) -> float:
    """Mean of -log p(true lot), in nats.

    Args:
        probabilities: float64 [N, K].
        labels: int64 [N].
    """
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(true, 1e-300, 1.0)).mean())


def expected_calibration_error(probabilities: Array, labels: Labels) -> float:
    """Mean gap between confidence and accuracy over equal bins of confidence, weighted by tiles.

    Even a perfect classifier has one: about 0.7% on 6,000 tiles, more on fewer.

    Args:
        probabilities: float64 [N, K].
        labels: int64 [N].
    """
    return reliability(probabilities, labels).error


def reliability(probabilities: Array, labels: Labels) -> Reliability:
    """The bins behind `expected_calibration_error`: equally wide, from 0 to 1.

    Args:
        probabilities: float64 [N, K].
        labels: int64 [N].
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    tiles, sure, correct = (
        np.bincount(bins, weights, ECE_BINS).astype(np.float64)
        for weights in (None, confidence, right)
    )
    with np.errstate(invalid="ignore"):
        return Reliability(tiles, sure / tiles, correct / tiles)


def adaptive_calibration_error(probabilities: Array, labels: Labels) -> float:
    """Gap between confidence and accuracy over bins that hold equally many tiles.

    The adaptive calibration error of Nixon et al. 2019 for the likeliest lot alone; their own also
    averages over all classes. Equal bins leave all tiles of a good model in the last few.

    Args:
        probabilities: float64 [N, K].
        labels: int64 [N].
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    values, tie = np.unique(confidence, return_inverse=True)
    # A border may pass through ties: each then counts as right as all of them are on average.
    expected = np.bincount(tie, right) / np.bincount(tie)
    order = np.argsort(tie)
    gaps = values[tie[order]] - expected[tie[order]]
    parts = np.array_split(gaps, min(ECE_BINS, len(gaps)))
    return float(sum(abs(part.sum()) for part in parts) / len(gaps))


def brier_score(probabilities: Array, labels: Labels) -> float:
    """Brier score in its original form (1950): squared error summed over lots, mean over tiles.

    Args:
        probabilities: float64 [N, K].
        labels: int64 [N].

    Returns:
        0 to 2. Twice what the binary form, of one class alone, gives for two lots.
    """
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def risk_coverage(uncertainty: npt.ArrayLike, wrong: npt.ArrayLike) -> RiskCoverage:
    """Risk-coverage curve: Zhang et al. 2020, Figure 5; Geifman & El-Yaniv 2017.

    A threshold accepts ties together or not at all. Where the curve passes through them it shows
    what accepting some of them at random gives on average.

    Args:
        uncertainty: float [N], such as the predictive entropy; the least is accepted first.
        wrong: bool [N], whether the answer is.
    """
    errors = np.asarray(wrong, dtype=np.float64)
    _, tie = np.unique(np.asarray(uncertainty), return_inverse=True)
    expected = np.bincount(tie, errors) / np.bincount(tie)
    accepted = np.arange(1, len(errors) + 1)
    return RiskCoverage(accepted / len(errors), np.cumsum(expected[np.sort(tie)]) / accepted)


def excess_aurc(uncertainty: npt.ArrayLike, wrong: npt.ArrayLike) -> float:
    """E-AURC: AURC less that of the best order, which has every error last (Geifman et al. 2019).

    Exact for the tiles given; the paper takes the limit of many.

    Args:
        uncertainty: float [N].
        wrong: bool [N].
    """
    return risk_coverage(uncertainty, wrong).area - risk_coverage(wrong, wrong).area


def auroc(known: npt.ArrayLike, shifted: npt.ArrayLike) -> float:
    """Chance that a shifted tile scores above a known one; ties count half (Mann-Whitney U).

    Args:
        known: Scores, float [N].
        shifted: Scores, float [M].

    Returns:
        0 to 1; 0.5 tells nothing apart.
    """
    negatives, positives = np.asarray(known), np.asarray(shifted)
    ranks = rankdata(np.concatenate([negatives, positives]))
    n, m = len(negatives), len(positives)
    return float((ranks[n:].sum() - m * (m + 1) / 2) / (n * m))


def false_positive_rate(
    known: npt.ArrayLike, shifted: npt.ArrayLike, true_positive_rate: float = 0.95
) -> float:
    """Share of known tiles that are flagged where the threshold flags 95% of the shifted ones.

    A tile is flagged that scores at or above the threshold, so ties with it are.

    Args:
        known: Scores, float [N].
        shifted: Scores, float [M].
        true_positive_rate: Least share of shifted tiles to be flagged.
    """
    falling = np.sort(np.asarray(shifted))[::-1]
    flagged = int(np.ceil(true_positive_rate * len(falling) - 1e-9))
    return float((np.asarray(known) >= falling[max(flagged, 1) - 1]).mean())


def rmse(predicted: npt.ArrayLike, true: npt.ArrayLike) -> float:
    """Root mean square error, in the unit of its arguments."""
    difference = np.asarray(predicted, dtype=np.float64) - np.asarray(true, dtype=np.float64)
    return float(np.sqrt((difference**2).mean()))


NEAR_ZERO: Final = 0.01
"""Of the largest true value: below it, an error relative to the value says nothing."""


def mape(predicted: npt.ArrayLike, true: npt.ArrayLike) -> float:
    """Mean absolute error relative to the true value, in percent; NaN near zero, see NEAR_ZERO."""
    truth = np.asarray(true, dtype=np.float64)
    if near_zero(truth):
        return math.nan
    return float(100.0 * (np.abs(np.asarray(predicted) - truth) / np.abs(truth)).mean())


def near_zero(true: npt.ArrayLike) -> bool:
    """Whether relative errors say nothing: a value lies near zero, or two differ in sign."""
    truth = np.asarray(true, dtype=np.float64)
    size = np.abs(truth)
    return bool(size.min() <= NEAR_ZERO * size.max() or truth.min() < 0.0 < truth.max())
