"""Teaches a network a property, such as peak stress, from one tile.

Liu et al. 2020, supplement B: WRN-28-1 with a tanh head, tiles normalised by their mean and
standard deviation, mean squared error, Adam. What differs from the paper:

- Views under other states of the microscope. Every lot was imaged in one state; without them a
  network may learn the instrument's blur and noise where it should learn the material.
- Beside the network that is served, others are measured on regions and on lots that they never
  saw. Tiles of a known lot carry its value, so recognising the lot is enough to predict them; only
  an unseen lot shows what was learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lotwise_training.augmentation import disturb_instrument, random_crops
from lotwise_training.config import RegressorNetworkRecipe, RegressorRecipe
from lotwise_training.dataset import DatasetError, Floats, Numbers, TileDataset
from lotwise_training.head import Head, refit_head, served_features
from lotwise_training.lanes import timed
from lotwise_training.metrics import mape, rmse
from lotwise_training.models.wide_resnet import (
    TileRegressor,
    WideResNet,
    mixed_precision_forward,
    target_scaling,
)
from lotwise_training.prediction import regressed
from lotwise_training.splits import Split, recipe_folds, region_blocked, tile_random
from lotwise_training.training_loop import Job, Validation, job_identity, validation_sample

SERVED: Final = "regressor"
"""Folder of the network that is served; its name within is the same."""
COMPARISONS: Final = "regressor-comparisons"
REGION_BLOCKED: Final = f"{COMPARISONS}/region-blocked"
SEEDS: Final = 100
"""Seeds of the comparisons are this far from the served network's."""


def fold_name(fold: int) -> str:
    """Name of the network that has not seen a fold's lots."""
    return f"{COMPARISONS}/fold_{fold}"


def served_name() -> str:
    """Name of the network that is served."""
    return f"{SERVED}/{SERVED}"


def regressor_splits(data: TileDataset, recipe: RegressorRecipe) -> dict[str, Split]:
    """What each network of a full run learns from, by the network's name; the served one first.

    Args:
        data: Lots with a measured property.
        recipe: What to train.

    Raises:
        DatasetError: PROPERTY_UNKNOWN: a lot has no value. The lots cannot be split so.
    """
    table = data.table
    if len(unknown := np.flatnonzero(np.isnan(table.values))):
        raise DatasetError(
            "PROPERTY_UNKNOWN",
            f"Lot {table.lot_ids[unknown[0]]} has no measured property. State it, or leave the "
            "lot out.",
        )
    seed = recipe.network.seed
    folds = recipe_folds(data, seed, recipe.comparison.folds)
    return {
        served_name(): tile_random(data, seed),
        REGION_BLOCKED: region_blocked(data, seed),
        **{fold_name(number): fold for number, fold in enumerate(folds)},
    }


def regressor_jobs(data: TileDataset, recipe: RegressorRecipe) -> list[Job]:
    """Every network of a full run, the one that is served first.

    Args:
        data: Lots with a measured property.
        recipe: What to train.

    Raises:
        DatasetError: As `regressor_splits`.
    """
    network, comparison = recipe.network, recipe.comparison
    shares = {served_name(): 1.0, REGION_BLOCKED: comparison.region_blocked_share}
    jobs = [
        Job(
            name=name,
            train=split.train,
            validation=split.validation,
            seed=network.seed + SEEDS * number,
            epochs=network.epochs * shares.get(name, comparison.folds_share),
            max_seconds=recipe.max_seconds,
            head_tiles=network.head_tiles,
        )
        for number, (name, split) in enumerate(regressor_splits(data, recipe).items())
    ]
    return timed(jobs, network, max_seconds=recipe.max_seconds, parallel=recipe.parallel)


@dataclass(frozen=True, eq=False)
class RegressorTrainer:
    """Trains regressors; a `Trainer`.

    Attributes:
        data: Lots with a measured property.
        recipe: How to train.
    """

    data: TileDataset
    recipe: RegressorNetworkRecipe

    def identity(self, job: Job) -> str:
        """See `Trainer`."""
        return job_identity(self.recipe, self.data.version, job)

    def task(self, job: Job, device: torch.device) -> RegressorTask:
        """See `Trainer`."""
        return RegressorTask(self.data, job, self.recipe, device)


class RegressorTask:
    """Squared error to the property of the tile's lot; a `Task`."""

    def __init__(
        self, data: TileDataset, job: Job, recipe: RegressorNetworkRecipe, device: torch.device
    ) -> None:
        values = lot_values(data)[job.train]
        # Scaled by the lots that are learned from: nothing of the others is known.
        self._range = float(values.min()), float(values.max())
        centre, scale = target_scaling(*self._range)
        self.network = WideResNet(recipe.depth, recipe.widen, 1)
        self._regressor = TileRegressor(self.network, centre, scale, pool=recipe.pool)
        self._regressor.to(device)
        self._recipe = recipe
        self._images = torch.from_numpy(data.images[job.train]).to(device)
        self._targets = torch.from_numpy(((values - centre) / scale).astype(np.float32)).to(device)
        sample = validation_sample(job.validation, recipe)
        self._held = data.images[sample]
        self._wanted = lot_values(data)[sample]
        self._unit = data.table.unit

    def loss(self, chosen: Numbers, crop_px: int, rng: np.random.Generator, step: int) -> Tensor:
        """See `Task`."""
        recipe = self._recipe
        views = disturb_instrument(
            random_crops(self._images[chosen], crop_px, rng),
            rng,
            gain_range=recipe.gain_range,
            offset_range=recipe.offset_range,
            max_noise_sigma=recipe.max_noise_sigma,
            max_blur_sigma_px=recipe.max_blur_sigma_px,
        )
        seen = self._regressor.network_input(views)
        answer = torch.tanh(mixed_precision_forward(self.network, seen))
        return functional.mse_loss(answer[:, 0], self._targets[chosen])

    def refit(self, chosen: Numbers) -> None:
        """See `Task`; the loss is that of training."""
        images, targets = self._images[chosen], self._targets[chosen]
        features = served_features(
            self.network,
            lambda rows: self._regressor.network_input(images[rows, None]),
            len(images),
        )

        def loss(head: Head) -> Tensor:
            return functional.mse_loss(torch.tanh(head(features))[:, 0], targets)

        refit_head(self.network, len(chosen), loss)

    def validate(self) -> Validation:
        """Errors as served: in single precision, of whole tiles."""
        self._regressor.eval()
        predicted = regressed(self._regressor, self._held)
        error, relative = rmse(predicted, self._wanted), mape(predicted, self._wanted)
        return Validation(
            error,
            {"validation/rmse": error, "validation/mape_percent": relative},
            f"RMSE {error:.0f} {self._unit}, MAPE {relative:.1f}%",
        )

    def stored(self) -> Mapping[str, Any]:
        """See `Task`."""
        recipe = self._recipe
        return {
            "shape": [recipe.depth, recipe.widen, 1],
            "pool": recipe.pool,
            "property_range": list(self._range),
        }


def lot_values(data: TileDataset) -> Floats:
    """The property of every tile's lot, float64 [N].

    A tile carries its lot's value (Liu et al. 2020, section 3).
    """
    values: Floats = data.table.values[data.lots]
    return values
