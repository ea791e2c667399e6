"""What the fold networks said of lots that they held out and of new lots, in one small file.

Calibration, intervals and their coverage follow from it: `make evaluate` computes them anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.calibration.conformal import HeldOut, held_out, load_folds
from lotwise_training.calibration.policy import committee_sha256
from lotwise_training.config.schema import RegressorRecipe
from lotwise_training.data.tiles import TileDataset
from lotwise_training.inference.predict import predict_property
from lotwise_training.store.arrays import ResultsError, read_stored, write_stored

FILE: Final = "intervals.npz"


@dataclass(frozen=True, eq=False)
class NewLots:
    """What K fold networks say of N tiles of L lots that nothing learned from.

    Attributes:
        lots: int16 [N], index into the lots.
        predicted: float32 [N, K], in the property's unit.
        values: float64 [L], measured property.
        lot_ids: L names.
    """

    lots: npt.NDArray[np.int16]
    predicted: npt.NDArray[np.float32]
    values: npt.NDArray[np.float64]
    lot_ids: tuple[str, ...]


def interval_predictions(
    data: TileDataset,
    new: TileDataset,
    recipe: RegressorRecipe,
    runs: Path,
    *,
    profile: str,
    benchmark: int,
    reference: Collection[str],
) -> tuple[HeldOut, NewLots, dict[str, Any]]:
    """Ask the fold networks about the lots that they held out and about new lots.

    Args:
        data: The lots that were learned from.
        new: Lots that nothing learned from.
        recipe: Of the run.
        runs: Folder of all runs.
        profile: Name of the recipes' folder.
        benchmark: Its version.
        reference: Names of the lots of `data` that are the benchmark's own.

    Returns:
        Both, and what else is known of the run, in JSON's types.

    Raises:
        CheckpointError: A network is missing or unfinished.
    """
    networks = load_folds(runs, recipe.comparison.folds)
    said = NewLots(
        lots=new.lots.astype(np.int16),
        predicted=np.stack([predict_property(network, new.images) for network in networks], axis=1),
        values=new.table.values,
        lot_ids=new.table.lot_ids,
    )
    stated = {
        "benchmark": benchmark,
        "profile": profile,
        "property": data.table.property_name,
        "unit": data.table.unit,
        "reference_lots": [*reference],
        "coverage": recipe.intervals.coverage,
        "lot_tiles": recipe.intervals.lot_tiles,
        "logarithmic": all(network.logarithmic for network in networks),
        "weights_sha256": committee_sha256(networks),
    }
    return held_out(data, recipe, networks), said, stated


def write_intervals(folder: Path, held: HeldOut, new: NewLots, manifest: Mapping[str, Any]) -> None:
    """Write `intervals.npz` and `intervals.json`.

    Raises:
        ResultsError: More than 8 MB.
    """
    arrays: dict[str, npt.NDArray[Any]] = {
        "held/lots": held.lots,
        "held/predicted": held.predicted,
        "held/folds": held.folds,
        "held/values": held.values,
        "new/lots": new.lots,
        "new/predicted": new.predicted,
        "new/values": new.values,
    }
    names = {
        "held_lot_ids": list(held.lot_ids),
        "held_recipes": list(held.recipes),
        "new_lot_ids": list(new.lot_ids),
    }
    write_stored(folder / FILE, arrays, {**manifest, **names})


def read_intervals(folder: Path) -> tuple[HeldOut, NewLots, dict[str, Any]]:
    """What `write_intervals` wrote.

    Raises:
        ResultsError: A file is missing or unreadable, or the answers are not the manifest's.
    """
    arrays, manifest = read_stored(folder / FILE)
    try:
        held = HeldOut(
            lots=arrays["held/lots"],
            predicted=arrays["held/predicted"],
            folds=arrays["held/folds"],
            values=arrays["held/values"],
            lot_ids=tuple(manifest["held_lot_ids"]),
            recipes=tuple(manifest["held_recipes"]),
        )
        new = NewLots(
            lots=arrays["new/lots"],
            predicted=arrays["new/predicted"],
            values=arrays["new/values"],
            lot_ids=tuple(manifest["new_lot_ids"]),
        )
    except KeyError as error:
        raise ResultsError(f"{folder / FILE} lacks {error}") from None
    return held, new, manifest
