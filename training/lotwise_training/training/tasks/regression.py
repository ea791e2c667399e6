"""What all regressors of tiles share: views, loss, and the second fit of the last layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from lotwise_training.config.schema import RegressorNetworkRecipe
from lotwise_training.data.tiles import Floats, Images, Numbers, TileDataset
from lotwise_training.data.transforms import disturb_instrument, random_crops
from lotwise_training.inference.predict import predict_tiles
from lotwise_training.models.wide_resnet import (
    LINEAR_RANGE,
    TileRegressor,
    WideResNet,
    mixed_precision_forward,
    target_scaling,
)
from lotwise_training.training import distributed
from lotwise_training.training.base import Job, Task, job_identity
from lotwise_training.training.refit_head import Head, refit_head, served_features

RecipeKind = TypeVar("RecipeKind", bound=RegressorNetworkRecipe)


@dataclass(frozen=True, eq=False)
class RegressionTrainer(Generic[RecipeKind]):
    """Trains regressors of one kind; a `Trainer`.

    Attributes:
        kind: Makes the task: what is answered, and how answers are judged.
        data: The lots.
        recipe: How to train.
    """

    kind: Callable[[TileDataset, Job, RecipeKind, torch.device], Task]
    data: TileDataset
    recipe: RecipeKind

    def identity(self, job: Job) -> str:
        """See `Trainer`."""
        return job_identity(self.recipe, self.data.version, job)

    def task(self, job: Job, device: torch.device) -> Task:
        """See `Trainer`."""
        return self.kind(self.data, job, self.recipe, device)


@dataclass(frozen=True)
class Targets:
    """What a network learns to say of n tiles.

    Attributes:
        values: float64 [n, k], the answers that are served.
        learned_range: Smallest and largest of these that can be given: a little beyond is lost.
        logarithmic: Whether their logarithms are learned: what counts then are relative errors.
        further: float64 [n, m] in 0..1, learned beside them, which helps where tiles of few lots
            leave open what it is that matters (Caruana 1997); NaN where it is not known.
        further_weight: Of all further answers together.
    """

    values: Floats
    learned_range: tuple[float, float]
    logarithmic: bool = False
    further: Floats | None = None
    further_weight: float = 0.0

    @property
    def scaling(self) -> tuple[float, float]:
        """Centre and scale, see `TileRegressor`."""
        return target_scaling(*self.learned_range, logarithmic=self.logarithmic)

    def scaled(self) -> Floats:
        """Of tanh, float64 [n, k + m]."""
        centre, scale = self.scaling
        scaled: Floats = (
            (np.log(self.values) if self.logarithmic else self.values) - centre
        ) / scale
        if self.further is None:
            return scaled
        return np.hstack([scaled, LINEAR_RANGE * (2.0 * self.further - 1.0)])

    def weights(self) -> Floats:
        """Of the squared errors, float64 [k + m]; they add up to 1 and `further_weight`."""
        k, m = self.values.shape[1], 0 if self.further is None else self.further.shape[1]
        return np.repeat([1.0 / k, self.further_weight / max(m, 1)], [k, m])


class Regression:
    """Squared error of k answers to a tile, seen under other states of the microscope.

    Every lot was imaged in one state; without the views a network may learn the instrument's blur
    and noise where it should learn the material.

    Args:
        images: uint8 [n, H, W], tiles to learn from.
        targets: What is learned of them.
        recipe: How to train.
        device: Where.
        unshuffle: Edge of the squares whose pixels are channels, see `TileRegressor`.
    """

    def __init__(
        self,
        images: Images,
        targets: Targets,
        recipe: RegressorNetworkRecipe,
        device: torch.device,
        unshuffle: int = 1,
    ) -> None:
        scaled = targets.scaled()
        self.shape = [recipe.depth, recipe.widen, scaled.shape[1], unshuffle * unshuffle]
        self.network = WideResNet(*self.shape)
        self.regressor = TileRegressor(
            self.network,
            *targets.scaling,
            recipe.pool,
            unshuffle=unshuffle,
            outputs=targets.values.shape[1],
            logarithmic=targets.logarithmic,
        ).to(device)
        self._recipe = recipe
        self._images = torch.from_numpy(images).to(device)
        known = np.isfinite(scaled)
        learned, weights = np.where(known, scaled, 0.0), targets.weights() * known
        self._targets = torch.from_numpy(learned.astype(np.float32)).to(device)
        self._weights = torch.from_numpy(weights.astype(np.float32)).to(device)

    def loss(self, chosen: Numbers, crop_px: int, rng: np.random.Generator, step: int) -> Tensor:
        """See `Task`."""
        crops = random_crops(self._images[chosen], crop_px, rng)
        own = distributed.own_rows(len(chosen))
        views = disturb_instrument(crops, self._recipe, rng)[own]
        seen = self.regressor.network_input(views)
        answer = torch.tanh(mixed_precision_forward(self.network, seen))
        return _squared_error(answer, self._targets[chosen][own], self._weights[chosen][own])

    def refit(self, chosen: Numbers) -> None:
        """See `Task`; the loss is that of training."""
        images, targets, weights = (
            each[chosen] for each in (self._images, self._targets, self._weights)
        )
        features = served_features(
            self.network,
            lambda rows: self.regressor.network_input(images[rows, None]),
            len(images),
        )

        def loss(head: Head) -> Tensor:
            return _squared_error(torch.tanh(head(features)), targets, weights)

        refit_head(self.network, len(chosen), loss)

    def predict(self, images: Images) -> Floats:
        """Targets as served, in single precision, to whole tiles: float64 [N, k].

        Args:
            images: uint8 [N, H, W].
        """
        self.regressor.eval()
        return predict_tiles(self.regressor, images).astype(np.float64)


def _squared_error(answer: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted squared error, summed over answers, mean over tiles: float []."""
    return (weights * (answer - targets).square()).sum(dim=1).mean()
