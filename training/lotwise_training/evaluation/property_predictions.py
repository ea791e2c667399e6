"""Predictions of the property by regressors and their baselines, as they are committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.store.arrays import Result, Shape, Stored

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
class PropertySet(Stored):
    """Predictions of one set of N tiles.

    Attributes:
        lots: int16 [N], index into `lot_ids`.
        lot_ids: L names.
        values: float64 [L], the measured property.
        predicted: By method, float32 [N], in the property's unit.
    """

    lots: Annotated[npt.NDArray[np.int16], Shape("N")]
    lot_ids: tuple[str, ...]
    values: Annotated[npt.NDArray[np.float64], Shape("L")]
    predicted: Mapping[str, Annotated[npt.NDArray[np.float32], Shape("N")]]

    @property
    def true(self) -> npt.NDArray[np.float64]:
        """The property of every tile's lot, float64 [N]."""
        return self.values[self.lots]


@dataclass(frozen=True, eq=False)
class RegressorRun(Stored):
    """Training of one regressor; `seconds` is wall time."""

    weights_sha256: str
    steps: int
    seconds: float
    train_tiles: int
    train_lots: int


@dataclass(frozen=True, eq=False)
class PropertyResult(Result):
    """Predictions of all sets of a run.

    Attributes:
        benchmark: Version of the benchmark; None for a laboratory's own lots.
        profile: Name of the recipes' folder.
        data_version: Of the tiles.
        property, unit: Name and unit of the property.
        networks: By the name of the checkpoint.
        sets: By one of SETS.
        remarks: What lots of a folder made necessary, in sentences.
    """

    stem: ClassVar[str] = "property_predictions"
    benchmark: int | None
    profile: str
    data_version: str
    property: str
    unit: str
    networks: Mapping[str, RegressorRun]
    sets: Mapping[str, PropertySet]
    remarks: tuple[str, ...] = ()
