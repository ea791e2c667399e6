"""Figures of calibration, familiarity and the policy's promise, from stored answers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from lotwise.core.policy import PolicyRequest
from lotwise.core.policy_fit import Scored
from lotwise.core.selective_risk import bonferroni_bisection, candidates, certify_risk
from lotwise.core.temperature import error_probability, scaled
from lotwise.core.uncertainty import Array, entropy
from lotwise_training.evaluation.bootstrap import Interval, wilson
from lotwise_training.evaluation.predictions import (
    ENSEMBLE,
    TEST,
    CalibrationCheck,
    FreshPredictions,
    Predictions,
)
from lotwise_training.evaluation.tile_sets import NEW_REGIONS, TILE_RANDOM, in_order
from lotwise_training.metrics import (
    ECE_BINS,
    auroc,
    expected_calibration_error,
    risk_coverage,
)

RECALIBRATIONS: Final = 1000
CALIBRATION_TILES: Final = 2000
"""Drawn for each recalibration to test the threshold on; as many again give the candidates."""
SIMULATIONS: Final = 1000
"""Of a perfectly calibrated model."""
COVERAGE: Final = 0.9
LEAST_RISK: Final = 0.001
_AT_ONCE: Final = 4_000_000

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CalibrationFigures:
    """How well probabilities say how often they are right, on fresh tiles.

    Attributes:
        tiles: How many.
        temperature: That was fitted before, on other tiles.
        ece_before, ece: Of pooled probabilities, and of scaled ones; 20 bins of equal width.
        perfect_ece: 95% quantile of a perfectly calibrated model of the same confidences.
        accuracy: Share of tiles whose lot is named.
    """

    tiles: int
    temperature: float
    ece_before: float
    ece: float
    perfect_ece: float
    accuracy: float


@dataclass(frozen=True)
class GuaranteeFigures:
    """How often the promise of a risk is broken when a policy is fitted again and again.

    Attributes:
        risk, confidence: What is promised.
        pool: Tiles that calibration sets are drawn from, with replacement; theirs is the truth.
        tiles: Of each calibration set.
        recalibrations: How many.
        unreachable: Of them, where nothing could be promised.
        violations: Of them, where the error among accepted tiles of the pool is above the risk.
        most_violations: 97.5% quantile of violations, if each had the chance 1 - confidence.
        coverage: Mean share of the pool that is accepted.
        bonferroni_coverage: The same by Geifman & El-Yaniv's own bisection.
    """

    risk: float
    confidence: float
    pool: int
    tiles: int
    recalibrations: int
    unreachable: int
    violations: int
    most_violations: int
    coverage: float
    bonferroni_coverage: float

    @property
    def kept(self) -> bool:
        """Whether violations stay within their binomial band."""
        return self.violations <= self.most_violations


@dataclass(frozen=True)
class FamiliarityFigures:
    """How well familiarity tells shifted tiles from known ones in new regions.

    Attributes:
        set: Of shifted tiles.
        against: Of known tiles.
        tiles, known_tiles: How many.
        auroc: Of familiarity; 0.5 tells nothing apart.
        auroc_interval: 95%, see `auroc_interval`.
        entropy_auroc: Of plain predictive entropy on the same tiles.
        referred: Share of the shifted tiles that are unfamiliar to the policy.
        known_referred: The same of the known tiles.
    """

    set: str
    against: str
    tiles: int
    known_tiles: int
    auroc: float
    auroc_interval: Interval
    entropy_auroc: float
    referred: float
    known_referred: float


@dataclass(frozen=True)
class SelectiveFigures:
    """Error among the surest tiles, by the policy's own score.

    Attributes:
        set: Of tiles.
        tiles: How many.
        error: Among the 90% of the tiles with the least chance of error.
        interval: 95%, Wilson.
    """

    set: str
    tiles: int
    error: float
    interval: Interval


def calibration_figures(judged: CalibrationCheck, *, seed: int = 0) -> CalibrationFigures:
    """Calibration on fresh tiles."""
    fresh, temperature = judged.fresh, judged.calibration.temperature
    labels = fresh.labels.astype(np.int64)
    pooled = fresh.pooled
    probabilities = scaled(pooled, temperature)
    return CalibrationFigures(
        tiles=len(fresh),
        temperature=temperature,
        ece_before=expected_calibration_error(pooled, labels),
        ece=expected_calibration_error(probabilities, labels),
        perfect_ece=perfect_ece(probabilities.max(axis=1), seed=seed),
        accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
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


def scored_fresh(fresh: FreshPredictions, temperature: float) -> Scored:
    """Fresh tiles as a policy sees them."""
    probabilities = scaled(fresh.pooled, temperature)
    return Scored(
        error_probability(probabilities),
        fresh.familiarity.astype(np.float64),
        np.asarray(probabilities.argmax(axis=1) != fresh.labels),
    )


def guarantee_figures(
    pool: Scored, request: PolicyRequest, risk: float, *, seed: int = 0
) -> GuaranteeFigures:
    """Fit a policy of a risk again and again, on tiles drawn from a pool.

    Args:
        pool: Labelled tiles; drawn with replacement, so that each draw is one of independent tiles
            whose true error is known.
        request: Confidence and least familiarity.
        risk: To be promised.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    scores = pool.acceptable(request.min_familiarity)
    order = np.argsort(scores, kind="stable")
    ordered, wrong = scores[order], pool.wrong[order]
    errors = np.concatenate([[0], np.cumsum(wrong)])
    violations = unreachable = 0
    coverages, others = [], []
    for _ in range(RECALIBRATIONS):
        first, second = rng.integers(0, len(ordered), (2, CALIBRATION_TILES))
        thresholds = candidates(ordered[first], CALIBRATION_TILES, risk, request.confidence)
        drawn = (ordered[second], wrong[second])
        found = (
            certify_risk(thresholds, *drawn, risk, request.confidence) if len(thresholds) else None
        )
        theirs = bonferroni_bisection(*drawn, risk, request.confidence)
        others.append(_accepted(ordered, theirs) / len(ordered))
        accepted = _accepted(ordered, None if found is None else found.threshold)
        coverages.append(accepted / len(ordered))
        unreachable += found is None
        violations += accepted > 0 and errors[accepted] / accepted > risk
    return GuaranteeFigures(
        risk=risk,
        confidence=request.confidence,
        pool=len(ordered),
        tiles=CALIBRATION_TILES,
        recalibrations=RECALIBRATIONS,
        unreachable=int(unreachable),
        violations=int(violations),
        most_violations=int(binom.ppf(0.975, RECALIBRATIONS, 1 - request.confidence)),
        coverage=float(np.mean(coverages)),
        bonferroni_coverage=float(np.mean(others)),
    )


def familiarity_figures(outputs: Predictions, min_familiarity: float) -> list[FamiliarityFigures]:
    """Of every shifted set whose familiarity is stored, against known lots in new regions."""
    known = outputs.get((TILE_RANDOM, NEW_REGIONS))
    if known is None or known.familiarity is None:
        return []
    figures = []
    before = entropy(known.answers[ENSEMBLE].probabilities)
    for split, name in in_order(outputs):
        asked = outputs[split, name]
        if split != TILE_RANDOM or name in (TEST, NEW_REGIONS) or asked.familiarity is None:
            continue
        area = auroc(-known.familiarity, -asked.familiarity)
        figures.append(
            FamiliarityFigures(
                set=name,
                against=NEW_REGIONS,
                tiles=len(asked.tiles),
                known_tiles=len(known.tiles),
                auroc=area,
                auroc_interval=auroc_interval(area, len(known.tiles), len(asked.tiles)),
                entropy_auroc=auroc(before, entropy(asked.answers[ENSEMBLE].probabilities)),
                referred=float((asked.familiarity < min_familiarity).mean()),
                known_referred=float((known.familiarity < min_familiarity).mean()),
            )
        )
    return figures


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


def selective_figures(name: str, scored: Scored) -> SelectiveFigures:
    """Error among the 90% of tiles that are least likely to be wrong."""
    curve = risk_coverage(scored.scores, scored.wrong)
    accepted = int(np.ceil(COVERAGE * len(scored) - 1e-9))
    error = curve.at(COVERAGE)
    return SelectiveFigures(name, len(scored), error, wilson(error * accepted, accepted))


def promised_risk(judged: CalibrationCheck) -> float:
    """The risk whose promise is checked: the policy's own target, or else what was found."""
    request = judged.policy.request
    risk = request.target if request.kind == "risk" else judged.policy.risk_bound
    return max(risk, LEAST_RISK)


def _accepted(ordered: Array, threshold: float | None) -> int:
    return 0 if threshold is None else int(np.searchsorted(ordered, threshold, side="right"))
