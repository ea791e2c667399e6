"""Predictions of the fold networks: of the lots that they held out, and of new lots.

Calibration, intervals and their coverage follow from them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from lotwise_training.calibration.conformal import HeldOut, held_out, load_folds
from lotwise_training.calibration.policy import committee_sha256
from lotwise_training.config.schema import RegressorRecipe
from lotwise_training.data.tiles import TileDataset
from lotwise_training.inference.predict import predict_property
from lotwise_training.store.arrays import Result, Shape, Stored


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
