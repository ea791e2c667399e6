"""Coverage of the property's intervals on new lots, computed from stored predictions alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import betabinom, binom

from lotwise.core.conformal import guaranteed_coverage, units_needed
from lotwise.core.intervals import IntervalCalibration, IntervalKind, PropertyInterval
from lotwise_training.calibration.conformal import HeldOut, calibrated
from lotwise_training.config.schema import IntervalRecipe
from lotwise_training.evaluation.bootstrap import Interval
from lotwise_training.evaluation.interval_predictions import NewLots
from lotwise_training.evaluation.records import Measured, Records

NOMINAL: Final = (0.80, 0.90, 0.95)
SECTION: Final = "coverage"
ALL_LOTS: Final = "all held-out lots"
REFERENCE: Final = "benchmark's lots alone"
"""Which lots calibrate. The second shows what a laboratory of so few lots can say."""
_TAILS: Final = (0.025, 0.975)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LotIntervals:
    """Lot intervals of new lots.

    Attributes:
        true, point, lower, upper: float64 [L], in the property's unit.
        coverage: Nominal.
    """

    true: Array
    point: Array
    lower: Array
    upper: Array
    coverage: float


def calibrations(held: HeldOut, manifest: Mapping[str, Any]) -> dict[str, IntervalCalibration]:
    """By whom they are calibrated: the calibration that is served first, then by few lots."""
    folds = int(held.folds.max()) + 1
    recipe = IntervalRecipe(coverage=manifest["coverage"], lot_tiles=manifest["lot_tiles"])
    stated = {"logarithmic": manifest["logarithmic"], "weights_sha256": manifest["weights_sha256"]}
    return {
        ALL_LOTS: calibrated(held, recipe, folds, **stated),
        REFERENCE: calibrated(held.only(manifest["reference_lots"]), recipe, folds, **stated),
    }


def coverage_records(held: HeldOut, new: NewLots, manifest: Mapping[str, Any]) -> Records:
    """Coverage of intervals on new lots, by calibration, kind ("lot" or "tile") and nominal."""
    records = Records()
    for name, calibration in calibrations(held, manifest).items():
        for kind in (IntervalKind.LOT, IntervalKind.TILE):
            for coverage in NOMINAL:
                of = {"calibrated": name, "kind": kind.value, "nominal": coverage}
                measured = _coverage(calibration, kind, coverage, new)
                records.add(SECTION, of, len(np.unique(new.lots)), **measured)
    return records


def lot_intervals(
    calibration: IntervalCalibration, new: NewLots, coverage: float | None = None
) -> LotIntervals:
    """The interval of every new lot, in the order of their numbers."""
    lots = np.unique(new.lots)
    made = [
        calibration.lot_interval(new.predicted[new.lots == lot].astype(np.float64), coverage)
        for lot in lots
    ]
    return LotIntervals(
        true=new.values[lots],
        point=np.array([each.point for each in made]),
        lower=np.array([each.lower for each in made]),
        upper=np.array([each.upper for each in made]),
        coverage=made[0].coverage,
    )


def binomial_band(coverage: float, lots: int) -> Interval:
    """Central 95% of the share of so many independent lots that are held."""
    low, high = (float(binom.ppf(tail, lots, coverage)) / lots for tail in _TAILS)
    return low, high


def beta_binomial_band(coverage: float, lots: int, units: int) -> Interval:
    """The same where n calibration units are drawn, too: their coverage is a beta variable.

    Exact for split conformal intervals (Vovk 2012, "Conditional validity of inductive conformal
    predictors"); a guide for CV+.
    """
    rank = math.ceil(coverage * (units + 1) - 1e-9)
    a, b = rank, units + 1 - rank
    low, high = (float(betabinom.ppf(tail, lots, a, b)) / lots for tail in _TAILS)
    return low, high


def card_rows(records: Records) -> dict[str, str]:
    """Rows of the fold networks' model card, by name."""
    rows = {}
    for row in records.rows(SECTION, calibrated=ALL_LOTS):
        held, band = row.metrics["held"], row.metrics["binomial"].interval
        if held.value is not None and band is not None:
            rows[f"{row.of['kind']} interval, {row.of['nominal']:.0%} nominal"] = (
                f"held {held.value:.1%} of {held.count} new lots ({row.value('tiles'):,.0f} tiles; "
                f"binomial band {band[0]:.1%} to {band[1]:.1%}), mean width "
                f"{row.value('width'):.1%} of the point"
            )
    return rows


def _coverage(
    calibration: IntervalCalibration, kind: IntervalKind, coverage: float, new: NewLots
) -> dict[str, Measured]:
    units, lots = calibration.recipes, len(np.unique(new.lots))
    needed, band = units_needed(coverage), binomial_band(coverage, lots)
    held = width = both = within = None
    if needed <= units:
        held, width = _measured(calibration, kind, coverage, new)
        both, within = beta_binomial_band(coverage, lots, units), band[0] <= held <= band[1]
    return {
        "calibration_lots": len(calibration.lots),
        "calibration_recipes": units,
        "recipes_needed": needed,
        "guaranteed": guaranteed_coverage(coverage, units, calibration.folds),
        "lots": lots,
        "tiles": len(new.lots),
        "held": held,
        "binomial": (None, band),
        "beta_binomial": (None, both),
        "within_band": within,
        "width": width,
    }


def _measured(
    calibration: IntervalCalibration, kind: IntervalKind, coverage: float, new: NewLots
) -> tuple[float, float]:
    """Share of lots that were held, every lot counting the same, and mean relative width."""
    if kind is IntervalKind.LOT:
        made = lot_intervals(calibration, new, coverage)
        held = (made.lower <= made.true) & (made.true <= made.upper)
        return float(held.mean()), float(((made.upper - made.lower) / made.point).mean())
    tiles = [calibration.tile_interval(each.astype(np.float64), coverage) for each in new.predicted]
    true = new.values[new.lots]
    inside = np.array([_holds(each, value) for each, value in zip(tiles, true, strict=True)])
    widths = np.array([(each.upper - each.lower) / each.point for each in tiles])
    sizes = np.bincount(new.lots, minlength=len(new.values))
    share = 1.0 / (sizes[new.lots] * np.count_nonzero(sizes))
    return float((share * inside).sum()), float((share * widths).sum())


def _holds(interval: PropertyInterval, value: float) -> bool:
    return interval.lower <= value <= interval.upper
