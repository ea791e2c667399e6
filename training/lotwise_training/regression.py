"""What all regressors of tiles share: views, loss, and the second fit of the last layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lotwise_training.augmentation import disturb_instrument, random_crops
from lotwise_training.config import RegressorNetworkRecipe
from lotwise_training.dataset import Floats, Images, Numbers, TileDataset
from lotwise_training.head import Head, refit_head, served_features
from lotwise_training.models.wide_resnet import (
    TileRegressor,
    WideResNet,
    mixed_precision_forward,
    target_scaling,
)
from lotwise_training.prediction import tile_answers
from lotwise_training.training_loop import Job, Task, job_identity


@dataclass(frozen=True, eq=False)
class RegressionTrainer:
    """Trains regressors of one kind; a `Trainer`.

    Attributes:
        kind: Makes the task: what is answered, and how answers are judged.
        data: The lots.
        recipe: How to train.
    """

    kind: Callable[[TileDataset, Job, RegressorNetworkRecipe, torch.device], Task]
    data: TileDataset
    recipe: RegressorNetworkRecipe

    def identity(self, job: Job) -> str:
        """See `Trainer`."""
        return job_identity(self.recipe, self.data.version, job)

    def task(self, job: Job, device: torch.device) -> Task:
        """See `Trainer`."""
        return self.kind(self.data, job, self.recipe, device)


class Regression:
    """Squared error of k answers to a tile, seen under other states of the microscope.

    Every lot was imaged in one state; without the views a network may learn the instrument's blur
    and noise where it should learn the material.

    Args:
        images: uint8 [n, H, W], tiles to learn from.
        values: float [n, k], the answers.
        learned_range: Smallest and largest answer that can be given: a little beyond is lost.
        recipe: How to train.
        device: Where.
    """

    def __init__(
        self,
        images: Images,
        values: Floats,
        learned_range: tuple[float, float],
        recipe: RegressorNetworkRecipe,
        device: torch.device,
    ) -> None:
        centre, scale = target_scaling(*learned_range)
        self.network = WideResNet(recipe.depth, recipe.widen, values.shape[1])
        self.regressor = TileRegressor(self.network, centre, scale, pool=recipe.pool).to(device)
        self._recipe = recipe
        self._images = torch.from_numpy(images).to(device)
        self._targets = torch.from_numpy(((values - centre) / scale).astype(np.float32)).to(device)

    def loss(self, chosen: Numbers, crop_px: int, rng: np.random.Generator, step: int) -> Tensor:
        """See `Task`."""
        crops = random_crops(self._images[chosen], crop_px, rng)
        views = disturb_instrument(crops, self._recipe, rng)
        seen = self.regressor.network_input(views)
        answer = torch.tanh(mixed_precision_forward(self.network, seen))
        return functional.mse_loss(answer, self._targets[chosen])

    def refit(self, chosen: Numbers) -> None:
        """See `Task`; the loss is that of training."""
        images, targets = self._images[chosen], self._targets[chosen]
        features = served_features(
            self.network,
            lambda rows: self.regressor.network_input(images[rows, None]),
            len(images),
        )

        def loss(head: Head) -> Tensor:
            return functional.mse_loss(torch.tanh(head(features)), targets)

        refit_head(self.network, len(chosen), loss)

    def answers(self, images: Images) -> Floats:
        """Answers as served, in single precision, to whole tiles: float64 [N, k].

        Args:
            images: uint8 [N, H, W].
        """
        self.regressor.eval()
        return tile_answers(self.regressor, images).astype(np.float64)
