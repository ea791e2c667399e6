"""Calibration and familiarity, measured from stored predictions alone."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.policy_fit import Scored
from lotwise.core.temperature import error_probability, scaled
from lotwise.core.uncertainty import Array, entropy
from lotwise_training.evaluation.bootstrap import Interval
from lotwise_training.evaluation.classification import selective_risk
from lotwise_training.evaluation.predictions import ENSEMBLE, TEST, CalibrationCheck, Predictions
from lotwise_training.evaluation.records import Records
from lotwise_training.evaluation.tile_sets import NEW_REGIONS, TILE_RANDOM, in_order
from lotwise_training.metrics import ECE_BINS, auroc, expected_calibration_error

SIMULATIONS: Final = 1000
"""Of a perfectly calibrated model."""
_AT_ONCE: Final = 4_000_000
SCALING: Final = "scaling"
SELECTIVE: Final = "selective"
FAMILIARITY: Final = "familiarity"


def add_scaling(records: Records, check: CalibrationCheck, *, seed: int = 0) -> None:
    """Add ECE before and after temperature scaling, and accuracy, on fresh tiles."""
    fresh, temperature = check.fresh, check.calibration.temperature
    labels = fresh.labels.astype(np.int64)
    probabilities = scaled(fresh.pooled, temperature)
    records.add(
        SCALING,
        {"method": ENSEMBLE},
        len(fresh),
        temperature=temperature,
        ece_before=expected_calibration_error(fresh.pooled, labels),
        ece=expected_calibration_error(probabilities, labels),
        perfect_ece=perfect_ece(probabilities.max(axis=1), seed=seed),
        accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
    )


def add_selective(records: Records, name: str, scored: Scored) -> None:
    """Add the error among the 90% of a set's tiles that are least likely to be wrong."""
    risk = selective_risk(scored.scores, scored.wrong)
    records.add(SELECTIVE, {"set": name}, len(scored), selective_risk=risk)


def add_familiarity(records: Records, outputs: Predictions, min_familiarity: float) -> None:
    """Add AUROCs of every shifted set with stored OOD p-values, against known lots' new regions."""
    known = outputs.get((TILE_RANDOM, NEW_REGIONS))
    if known is None or known.familiarity is None:
        return
    before = entropy(known.predictions[ENSEMBLE].probabilities)
    for split, name in in_order(outputs):
        shifted = outputs[split, name]
        if split != TILE_RANDOM or name in (TEST, NEW_REGIONS) or shifted.familiarity is None:
            continue
        area = auroc(-known.familiarity, -shifted.familiarity)
        records.add(
            FAMILIARITY,
            {"set": name, "against": NEW_REGIONS},
            len(shifted.tiles),
            known_tiles=len(known.tiles),
            familiarity_auroc=(area, auroc_interval(area, len(known.tiles), len(shifted.tiles))),
            entropy_auroc=auroc(before, entropy(shifted.predictions[ENSEMBLE].probabilities)),
            unfamiliar=float((shifted.familiarity < min_familiarity).mean()),
            known_unfamiliar=float((known.familiarity < min_familiarity).mean()),
        )


def perfect_ece(confidence: Array, *, seed: int = 0, quantile: float = 0.95) -> float:
    """ECE that a perfectly calibrated model stays below, as often as the quantile says.

    Args:
        confidence: float64 [N]; each tile is right with just this chance.
        seed: Of the draws.
        quantile: Of `SIMULATIONS` draws.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(confidence, kind="stable")
    ordered = confidence[order]
    bins = np.minimum((ordered * ECE_BINS).astype(int), ECE_BINS - 1)
    starts = np.flatnonzero(np.append(True, np.diff(bins) > 0))
    expected = np.add.reduceat(ordered, starts)
    errors = []
    per_draw = max(1, _AT_ONCE // len(ordered))
    for first in range(0, SIMULATIONS, per_draw):
        n = min(per_draw, SIMULATIONS - first)
        right = rng.random((n, len(ordered))) < ordered
        sums = np.add.reduceat(right.astype(np.float64), starts, axis=1)
        errors.append(np.abs(sums - expected).sum(axis=1) / len(ordered))
    return float(np.quantile(np.concatenate(errors), quantile))


def scored(
    pooled: Array,
    labels: npt.NDArray[np.integer[Any]],
    familiarity: npt.NDArray[np.float32] | None,
    temperature: float,
) -> Scored:
    """Tiles as a policy sees them.

    Args:
        pooled: float64 [N, K], probabilities before temperature scaling.
        labels: int [N], true classes.
        familiarity: [N], p-values; None takes all tiles for familiar.
        temperature: Of the calibration.
    """
    probabilities = scaled(pooled, temperature)
    return Scored(
        error_probability(probabilities),
        np.ones(len(labels)) if familiarity is None else familiarity.astype(np.float64),
        np.asarray(probabilities.argmax(axis=1) != labels),
    )


def auroc_interval(area: float, negatives: int, positives: int) -> Interval:
    """95% interval of an AUROC by its standard error (Hanley & McNeil 1982).

    It takes tiles for independent; those of one region are not, so it is too narrow.
    """
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area)
        + (positives - 1) * (first - area**2)
        + (negatives - 1) * (second - area**2)
    ) / (negatives * positives)
    half = 1.96 * float(np.sqrt(max(variance, 0.0)))
    return max(0.0, area - half), min(1.0, area + half)
