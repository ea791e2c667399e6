"""Measures the attributes that a tile shows, without ever having seen an editor.

An editor is trained to please a network that reads attributes. Asking that network what an edit
changed would be asking the accused. The meter is another network, of another kind, that learned
true attributes from simulated lots of its own, spread evenly over all attributes, so that it can
tell them apart where a few dozen lots would let it guess one from another. What it is worth is
checked on lots that were made twice, alike but for one attribute: see `edit_response.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from scipy.stats import qmc

from lotwise_simulator import ATTRIBUTE_NAMES, Attributes
from lotwise_simulator.lots import Lot
from lotwise_training.checkpoint import load_finished
from lotwise_training.config import MeterRecipe, RegressorNetworkRecipe
from lotwise_training.dataset import Floats, TileDataset
from lotwise_training.lanes import NetworkWork
from lotwise_training.models.wide_resnet import TileRegressor, WideResNet, target_scaling
from lotwise_training.regression import Regression
from lotwise_training.rendering import TileOrder
from lotwise_training.strength_tiles import STRENGTH_GEOMETRY, ordered_tiles
from lotwise_training.training_loop import (
    Job,
    Validation,
    job_identity,
    validation_sample,
)

NAME: Final = "editor/meter"
ATTRIBUTE_RANGE: Final = (0.0, 1.0)
TILES_PER_SIDE: Final = 2
"""Small scenes: many lots matter more than many tiles of each."""
FIRST_SEED: Final = 700_000
"""Of the meter's lots; no other simulated lot has a seed near."""
SOBOL_SEED: Final = 83
VALIDATION_SHARE: Final = 0.1
"""Of the lots, not of the tiles."""


def meter_tiles(recipe: MeterRecipe, cache: Path) -> TileDataset:
    """Tiles of lots spread evenly over all attributes, each with its true attributes.

    Args:
        recipe: How many lots and tiles.
        cache: Folder of rendered data.
    """
    # The next power of two: a prefix of a Sobol sequence is still even.
    sampler = qmc.Sobol(len(ATTRIBUTE_NAMES), rng=np.random.default_rng(SOBOL_SEED))
    points = sampler.random_base2((recipe.lots - 1).bit_length())[: recipe.lots]
    lots = [
        Lot(f"M{number:04d}", Attributes.from_array(point), seed=FIRST_SEED + number)
        for number, point in enumerate(points)
    ]
    orders = [
        TileOrder(lot, 0, recipe.tiles, STRENGTH_GEOMETRY.px, tiles_per_side=TILES_PER_SIDE)
        for lot in lots
    ]
    tiles = ordered_tiles("meter", orders, cache)
    true = np.stack([lot.attributes.as_array() for lot in lots]).astype(np.float64)
    return replace(tiles, table=replace(tiles.table, attributes=true))


def meter_work(data: TileDataset, recipe: MeterRecipe) -> NetworkWork[Job]:
    """The training of a meter.

    Args:
        data: `meter_tiles`.
        recipe: How to train.
    """
    network = recipe.network
    lots = np.random.default_rng(network.seed).permutation(len(data.table.lot_ids))
    held = np.isin(data.lots, lots[: max(1, round(VALIDATION_SHARE * len(lots)))])
    job = Job(
        name=NAME,
        train=np.flatnonzero(~held),
        validation=np.flatnonzero(held),
        seed=network.seed,
        epochs=network.epochs,
        max_seconds=recipe.max_seconds,
        head_tiles=network.head_tiles,
    )
    return NetworkWork(MeterTrainer(data, network), job)


@dataclass(frozen=True, eq=False)
class MeterTrainer:
    """Trains meters; a `Trainer`.

    Attributes:
        data: Lots whose attributes are known.
        recipe: How to train.
    """

    data: TileDataset
    recipe: RegressorNetworkRecipe

    def identity(self, job: Job) -> str:
        """See `Trainer`."""
        return job_identity(self.recipe, self.data.version, job)

    def task(self, job: Job, device: torch.device) -> MeterTask:
        """See `Trainer`."""
        return MeterTask(self.data, job, self.recipe, device)


class MeterTask(Regression):
    """All attributes of the tile's lot; a `Task`."""

    def __init__(
        self, data: TileDataset, job: Job, recipe: RegressorNetworkRecipe, device: torch.device
    ) -> None:
        values: Floats = data.table.attributes[data.lots]
        super().__init__(data.images[job.train], values[job.train], ATTRIBUTE_RANGE, recipe, device)
        sample = validation_sample(job.validation, recipe)
        self._held, self._wanted = data.images[sample], values[sample]
        self._names = data.table.attribute_names
        self._shape = [recipe.depth, recipe.widen, values.shape[1]]

    def validate(self) -> Validation:
        """See `Task`."""
        squared = np.square(self.answers(self._held) - self._wanted)
        errors = dict(zip(self._names, np.sqrt(squared.mean(axis=0)).tolist(), strict=True))
        return Validation(
            float(np.sqrt(squared.mean())),
            {f"validation/rmse_{name}": error for name, error in errors.items()},
            "RMSE " + ", ".join(f"{name} {error:.3f}" for name, error in errors.items()),
        )

    def stored(self) -> Mapping[str, Any]:
        """See `Task`."""
        return {"shape": self._shape, "pool": self.regressor.pool}


def load_meter(path: Path) -> TileRegressor:
    """A finished meter, in evaluation mode on the CPU.

    Args:
        path: Its checkpoint.

    Returns:
        A module from grey values 0..255 [B, 1, H, W] to attributes float32 [B, 4].

    Raises:
        CheckpointError: There is none, or it is unfinished.
    """
    state = load_finished(path, "meter", "editor")
    network = WideResNet(*state["shape"])
    network.load_state_dict(state["network"])
    return TileRegressor(network, *target_scaling(*ATTRIBUTE_RANGE), pool=state["pool"]).eval()
