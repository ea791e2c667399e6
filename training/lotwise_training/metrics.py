"""Figures of merit, as the papers define them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

ECE_BINS: Final = 20
"""Equal bins of confidence, as in Zhang et al. 2020."""


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
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = [
        abs(float(right[bins == b].mean()) - float(confidence[bins == b].mean()))
        * float((bins == b).mean())
        for b in np.unique(bins)
    ]
    return float(sum(gaps))


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


def rmse(predicted: npt.ArrayLike, true: npt.ArrayLike) -> float:
    """Root mean square error, in the unit of its arguments."""
    difference = np.asarray(predicted, dtype=np.float64) - np.asarray(true, dtype=np.float64)
    return float(np.sqrt((difference**2).mean()))


def mape(predicted: npt.ArrayLike, true: npt.ArrayLike) -> float:
    """Mean absolute error relative to the true value, in percent."""
    truth = np.asarray(true, dtype=np.float64)
    return float(100.0 * (np.abs(np.asarray(predicted) - truth) / truth).mean())
