"""Intervals of the property on new lots: predictions of the fold networks, and their coverage."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import betabinom, binom

from lotwise.core.conformal import guaranteed_coverage, units_needed
from lotwise.core.intervals import IntervalCalibration, IntervalKind
from lotwise_training.calibration.conformal import HeldOut, calibrated, held_out, load_folds
from lotwise_training.calibration.policy import committee_sha256
from lotwise_training.config.schema import IntervalRecipe, RegressorRecipe
from lotwise_training.data.tiles import TileDataset
from lotwise_training.evaluation.bootstrap import Interval
from lotwise_training.evaluation.records import Measured, Records
from lotwise_training.inference.predict import predict_property
from lotwise_training.store.arrays import Result, Shape, Stored

NOMINAL: Final = (0.80, 0.90, 0.95)
SECTION: Final = "coverage"
ALL_LOTS: Final = "all held-out lots"
REFERENCE: Final = "benchmark's lots alone"
"""Which lots calibrate. The second shows what a laboratory of so few lots can say."""
_TAILS: Final = (0.025, 0.975)
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NewLots(Stored):
    """Predictions by K fold networks of N tiles of L lots that no network was trained on.

    Attributes:
        lots: int16 [N], index into the lots.
        predicted: float32 [N, K], in the property's unit.
        values: float64 [L], measured property.
        lot_ids: L names.
    """

    lots: Annotated[npt.NDArray[np.int16], Shape("N")]
    predicted: Annotated[npt.NDArray[np.float32], Shape("N K")]
    values: Annotated[npt.NDArray[np.float64], Shape("L")]
    lot_ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class IntervalResult(Result):
    """Predictions from which intervals are calibrated and on which they are measured.

    Attributes:
        benchmark: Its version.
        profile: Name of the recipes' folder.
        property, unit: Name and unit of the property.
        reference_lots: Names of the held-out lots that are the benchmark's.
        coverage: Nominal, of the recipe.
        lot_tiles: Tiles of each lot.
        logarithmic: Whether all networks learned logarithms.
        weights_sha256: Of the networks.
        held: Lots that were held out.
        new: Lots that no network was trained on.
    """

    stem: ClassVar[str] = "interval_predictions"
    benchmark: int
    profile: str
    property: str
    unit: str
    reference_lots: tuple[str, ...]
    coverage: float
    lot_tiles: int
    logarithmic: bool
    weights_sha256: str
    held: HeldOut
    new: NewLots


def interval_predictions(
    data: TileDataset,
    new: TileDataset,
    recipe: RegressorRecipe,
    runs: Path,
    *,
    profile: str,
    benchmark: int,
    reference: Collection[str],
) -> IntervalResult:
    """Predict the lots that the fold networks held out, and new lots.

    Args:
        data: The lots of the training.
        new: Lots that no network was trained on.
        recipe: Of the run.
        runs: Folder of all runs.
        profile: Name of the recipes' folder.
        benchmark: Its version.
        reference: Names of the lots of `data` that are the benchmark's own.

    Raises:
        CheckpointError: A network is missing or unfinished.
    """
    networks = load_folds(runs, recipe.comparison.folds)
    predicted = NewLots(
        lots=new.lots.astype(np.int16),
        predicted=np.stack([predict_property(network, new.images) for network in networks], axis=1),
        values=new.table.values,
        lot_ids=new.table.lot_ids,
    )
    return IntervalResult(
        benchmark=benchmark,
        profile=profile,
        property=data.table.property_name,
        unit=data.table.unit,
        reference_lots=tuple(reference),
        coverage=recipe.intervals.coverage,
        lot_tiles=recipe.intervals.lot_tiles,
        logarithmic=all(network.logarithmic for network in networks),
        weights_sha256=committee_sha256(networks),
        held=held_out(data, recipe, networks),
        new=predicted,
    )


@dataclass(frozen=True)
class Intervals:
    """Intervals of N new lots or tiles.

    Attributes:
        true, point, lower, upper: float64 [N], in the property's unit.
    """

    true: Array
    point: Array
    lower: Array
    upper: Array

    @property
    def held(self) -> npt.NDArray[np.bool_]:
        """Whether each holds the measured property: bool [N]."""
        return (self.lower <= self.true) & (self.true <= self.upper)


def calibrations(result: IntervalResult) -> dict[str, IntervalCalibration]:
    """By whom they are calibrated: the calibration that is served first, then by few lots."""
    folds = int(result.held.folds.max()) + 1
    recipe = IntervalRecipe(coverage=result.coverage, lot_tiles=result.lot_tiles)
    groups = {ALL_LOTS: result.held, REFERENCE: result.held.only(result.reference_lots)}
    return {
        name: calibrated(
            held,
            recipe,
            folds,
            logarithmic=result.logarithmic,
            weights_sha256=result.weights_sha256,
        )
        for name, held in groups.items()
    }


def coverage_records(result: IntervalResult) -> Records:
    """Coverage of intervals on new lots, by calibration, kind ("lot" or "tile") and nominal."""
    records = Records()
    for name, calibration in calibrations(result).items():
        for kind in (IntervalKind.LOT, IntervalKind.TILE):
            for coverage in NOMINAL:
                of = {"calibrated": name, "kind": kind.value, "nominal": coverage}
                measured = _coverage(calibration, kind, coverage, result.new)
                records.add(SECTION, of, len(np.unique(result.new.lots)), **measured)
    return records


def intervals_of(
    calibration: IntervalCalibration, new: NewLots, kind: IntervalKind, coverage: float
) -> Intervals:
    """The interval of every new lot, in the order of their numbers, or of every tile."""
    predicted, lots = new.predicted.astype(np.float64), np.unique(new.lots)
    if kind is IntervalKind.LOT:
        made = [calibration.lot_interval(predicted[new.lots == lot], coverage) for lot in lots]
    else:
        made = [calibration.tile_interval(each, coverage) for each in predicted]
    ends = np.array([(each.point, each.lower, each.upper) for each in made])
    return Intervals(new.values[lots if kind is IntervalKind.LOT else new.lots], *ends.T)


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
    made = intervals_of(calibration, new, kind, coverage)
    width = (made.upper - made.lower) / made.point
    if kind is IntervalKind.LOT:
        return float(made.held.mean()), float(width.mean())
    sizes = np.bincount(new.lots, minlength=len(new.values))
    share = 1.0 / (sizes[new.lots] * np.count_nonzero(sizes))
    return float((share * made.held).sum()), float((share * width).sum())
