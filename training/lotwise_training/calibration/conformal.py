"""Calibrates the property's intervals from predictions of fold networks for lots they held out.

Every lot is held out by exactly one network, together with its repeats, whether it is one of the
benchmark's or a further one; so all of them calibrate (docs/adr/0016). A lot that the network had
seen would have too small a residual.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.conformal import most_certifiable, units_needed
from lotwise.core.intervals import CalibrationLot, IntervalCalibration
from lotwise_training.calibration.policy import committee_sha256
from lotwise_training.config.schema import IntervalRecipe, RegressorRecipe
from lotwise_training.data.tiles import TileDataset, some_of_each_lot
from lotwise_training.inference.predict import load_regressor, predict_property
from lotwise_training.models.wide_resnet import TileRegressor
from lotwise_training.store.arrays import Shape, Stored
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.property import fold_count, fold_name, regressor_splits

FOLDS: Final = "regressor_folds"
"""Name of the fold networks in a model repository, and of the run folder of their calibration."""
INTERVALS_FILE: Final = "intervals.json"

_DIGITS: Final = 5
"""Of a residual in the file."""


@dataclass(frozen=True, eq=False)
class HeldOut(Stored):
    """What fold networks say of N tiles of L lots, each lot by the network that held it out.

    Attributes:
        lots: int16 [N], index into the lots; as many tiles of each.
        predicted: float32 [N], in the property's unit.
        folds: int8 [L], number of the network.
        values: float64 [L], measured property.
        lot_ids, recipes: L names.
    """

    lots: Annotated[npt.NDArray[np.int16], Shape("N")]
    predicted: Annotated[npt.NDArray[np.float32], Shape("N")]
    folds: Annotated[npt.NDArray[np.int8], Shape("L")]
    values: Annotated[npt.NDArray[np.float64], Shape("L")]
    lot_ids: tuple[str, ...]
    recipes: tuple[str, ...]

    def only(self, names: Collection[str]) -> HeldOut:
        """The same for some of the lots."""
        kept = np.flatnonzero(np.isin(self.lot_ids, [*names]))
        tiles = np.isin(self.lots, kept)
        return HeldOut(
            lots=np.searchsorted(kept, self.lots[tiles]).astype(np.int16),
            predicted=self.predicted[tiles],
            folds=self.folds[kept],
            values=self.values[kept],
            lot_ids=tuple(self.lot_ids[lot] for lot in kept),
            recipes=tuple(self.recipes[lot] for lot in kept),
        )


def load_folds(runs: Path, folds: int) -> list[TileRegressor]:
    """The fold networks as they are served, in evaluation mode.

    Raises:
        CheckpointError: One is missing or unfinished.
    """
    return [load_regressor(checkpoint_path(runs, fold_name(fold))) for fold in range(folds)]


def held_out(data: TileDataset, recipe: RegressorRecipe, networks: list[TileRegressor]) -> HeldOut:
    """Ask every network about some tiles of the lots that it held out."""
    # As many of each lot: a mean over fewer tiles has other errors.
    tiles = min(recipe.intervals.lot_tiles, int(np.bincount(data.lots).min()))
    splits = regressor_splits(data, recipe)
    folds = np.full(len(data.table.lot_ids), -1, dtype=np.int8)
    lots, predicted = [], []
    for fold, network in enumerate(networks):
        unseen = splits[fold_name(fold)].unseen
        folds[data.lots[unseen]] = fold
        chosen = some_of_each_lot(data, unseen, tiles, recipe.network.seed)
        lots.append(data.lots[chosen].astype(np.int16))
        predicted.append(predict_property(network, data.images[chosen]))
    return HeldOut(
        lots=np.concatenate(lots),
        predicted=np.concatenate(predicted),
        folds=folds,
        values=data.table.values,
        lot_ids=data.table.lot_ids,
        recipes=data.table.recipes,
    )


def calibrated(
    said: HeldOut, recipe: IntervalRecipe, folds: int, *, logarithmic: bool, weights_sha256: str
) -> IntervalCalibration:
    """The calibration that follows from what was said of held-out lots.

    Args:
        said: By the fold networks.
        recipe: Of the intervals.
        folds: Number of networks.
        logarithmic: Whether all learned logarithms, so that residuals are relative.
        weights_sha256: Of the networks.
    """
    scale = np.log if logarithmic else np.asarray
    lots = []
    for number, lot_id in enumerate(said.lot_ids):
        answers = said.predicted[said.lots == number].astype(np.float64)
        true = scale(said.values[number])
        residuals = np.abs(scale(np.append(answers, answers.mean())) - true)
        *of_tiles, of_lot = (float(f"{residual:.{_DIGITS}g}") for residual in residuals)
        lots.append(
            CalibrationLot(
                lot_id=lot_id,
                recipe=said.recipes[number],
                fold=int(said.folds[number]),
                tile_residuals=tuple(of_tiles),
                lot_residual=of_lot,
            )
        )
    return IntervalCalibration(
        calibration_version="unnamed",
        weights_sha256=weights_sha256,
        coverage=recipe.coverage,
        logarithmic=logarithmic,
        folds=folds,
        lots=tuple(lots),
    ).named()


def calibrate_intervals(
    data: TileDataset, recipe: RegressorRecipe, runs: Path
) -> IntervalCalibration:
    """Calibrate with the finished fold networks of a run.

    Raises:
        CheckpointError: A network is missing or unfinished.
    """
    networks = load_folds(runs, fold_count(data, recipe))
    return calibrated(
        held_out(data, recipe, networks),
        recipe.intervals,
        len(networks),
        logarithmic=all(network.logarithmic for network in networks),
        weights_sha256=committee_sha256(networks),
    )


def write_calibration(data: TileDataset, recipe: RegressorRecipe, runs: Path) -> str:
    """Calibrate a run and leave the file in it; what it rests on, as a sentence.

    A run without fold networks has no intervals, and loses those of the run before.
    Errors as in `calibrate_intervals`.
    """
    if not fold_count(data, recipe):
        (runs / FOLDS / INTERVALS_FILE).unlink(missing_ok=True)
        return "No intervals are calibrated: there are too few recipes with values."
    calibration = calibrate_intervals(data, recipe, runs)
    calibration.write(runs / FOLDS / INTERVALS_FILE)
    return in_a_sentence(calibration)


def in_a_sentence(calibration: IntervalCalibration) -> str:
    """What a calibration rests on and what it can certify."""
    said = (
        f"Intervals are calibrated with {len(calibration.lots):,} lots of {calibration.recipes:,} "
        f"recipes, {calibration.tiles_per_lot} tiles of each, and can certify coverages up to "
        f"{most_certifiable(calibration.recipes):.1%}."
    )
    needed = units_needed(calibration.coverage)
    if needed > calibration.recipes:
        said += (
            f" The recipe's {calibration.coverage:g} needs {needed} recipes: requests must name a "
            "lower coverage, or more lots must be tested."
        )
    return said
