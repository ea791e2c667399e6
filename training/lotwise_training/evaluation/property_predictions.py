"""What regressors and their baselines said of every tile, in one small file of the repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.store.arrays import ResultsError, read_stored, write_stored

FILE: Final = "property.npz"

NETWORK: Final = "network"
PAIR: Final = "mean of two networks"
MEAN: Final = "mean of the lots"
SCORES: Final = "forest on scores"
TEXTURE: Final = "forest on texture"
METHODS: Final = (NETWORK, PAIR, TEXTURE, SCORES, MEAN)
BASELINES: Final = (TEXTURE, SCORES, MEAN)

TILE_RANDOM: Final = "tile-random"
REGION_BLOCKED: Final = "region-blocked"
LOT_HELD_OUT: Final = "lot-held-out"
NEW_LOTS: Final = "new lots"
FIRST_FOLD: Final = "lot-held-out, first fold"
SETS: Final = (TILE_RANDOM, REGION_BLOCKED, LOT_HELD_OUT, FIRST_FOLD, NEW_LOTS)
"""Test tiles of the first two splits; every lot by a network that has not seen its recipe, and a
fold of them by two such networks, too; lots of benchmark v1 that nothing learns from, by the
network that is served."""


@dataclass(frozen=True, eq=False)
class PropertySet:
    """Predictions of one set of N tiles.

    Attributes:
        lots: int16 [N], index into `lot_ids`.
        lot_ids: L names.
        values: float64 [L], the measured property.
        predicted: By method, float32 [N], in the property's unit.
    """

    lots: npt.NDArray[np.int16]
    lot_ids: tuple[str, ...]
    values: npt.NDArray[np.float64]
    predicted: Mapping[str, npt.NDArray[np.float32]]

    @property
    def true(self) -> npt.NDArray[np.float64]:
        """The property of every tile's lot, float64 [N]."""
        return self.values[self.lots]


def write_property(
    folder: Path, sets: Mapping[str, PropertySet], manifest: Mapping[str, Any]
) -> None:
    """Write `property.npz` and `property.json`.

    Raises:
        ResultsError: More than 8 MB.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, each in sets.items():
        arrays[f"{name}/lots"] = each.lots
        arrays[f"{name}/values"] = each.values
        for method, predicted in each.predicted.items():
            arrays[f"{name}/{method}"] = predicted
    stated = {**manifest, "lot_ids": {name: list(each.lot_ids) for name, each in sets.items()}}
    write_stored(folder / FILE, arrays, stated)


def read_property(folder: Path) -> tuple[dict[str, PropertySet], dict[str, Any]]:
    """Sets and manifest, as `write_property` wrote them.

    Raises:
        ResultsError: A file is missing or unreadable, or the sets are not the manifest's.
    """
    arrays, manifest = read_stored(folder / FILE)
    try:
        sets = {
            name: PropertySet(
                lots=arrays[f"{name}/lots"],
                lot_ids=tuple(lot_ids),
                values=arrays[f"{name}/values"],
                predicted={
                    method: arrays[f"{name}/{method}"]
                    for method in METHODS
                    if f"{name}/{method}" in arrays
                },
            )
            for name, lot_ids in manifest["lot_ids"].items()
        }
    except (KeyError, AttributeError) as error:
        raise ResultsError(f"{folder / FILE} lacks {error}") from None
    return sets, manifest
