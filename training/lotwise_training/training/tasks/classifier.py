"""Teaches a network which lot a tile shows: a member of a committee, or a network with dropout.

Zhang et al. 2020, Methods: WRN-16-2, cross entropy, Adam, weight decay, early stopping, from
scratch; a short training goes further with SGD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from lotwise.core.uncertainty import softmax
from lotwise_training.config.schema import NetworkRecipe
from lotwise_training.data.outliers import outlier_tiles
from lotwise_training.data.sampler import Batches
from lotwise_training.data.splits import labels
from lotwise_training.data.tiles import Numbers, TileDataset
from lotwise_training.data.transforms import random_crops
from lotwise_training.inference.predict import predict_logits
from lotwise_training.metrics import accuracy, negative_log_likelihood
from lotwise_training.models.wide_resnet import (
    TileClassifier,
    WideResNet,
    mixed_precision_forward,
)
from lotwise_training.training import distributed
from lotwise_training.training.base import Job, Validation, job_identity, validation_sample
from lotwise_training.training.refit_head import Head, refit_head, served_features


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassifierJob(Job):
    """One tile classifier to be trained.

    Attributes:
        classes: int64 [K], the lots that it tells apart; output k is lot `classes[k]`.
        dropout: Probability, 0 for none.
    """

    classes: Numbers
    dropout: float


@dataclass(frozen=True, eq=False)
class ClassifierTrainer:
    """Trains tile classifiers; a `Trainer`.

    Attributes:
        data: The lots.
        recipe: How to train.
    """

    data: TileDataset
    recipe: NetworkRecipe

    def identity(self, job: ClassifierJob) -> str:
        """See `Trainer`."""
        return job_identity(self.recipe, self.data.version, job, job.classes, job.dropout)

    def task(self, job: ClassifierJob, device: torch.device) -> ClassifierTask:
        """See `Trainer`."""
        return ClassifierTask(self.data, job, self.recipe, device)


class ClassifierTask:
    """Cross entropy to the lots, and doubt about pictures that show none; a `Task`."""

    def __init__(
        self, data: TileDataset, job: ClassifierJob, recipe: NetworkRecipe, device: torch.device
    ) -> None:
        self.network = WideResNet(recipe.depth, recipe.widen, len(job.classes), dropout=job.dropout)
        distributed.check_batch(recipe.outlier_batch_size)
        self._recipe = recipe
        self._dropout = job.dropout
        self._um_per_px = data.um_per_px
        self._lot_ids = [data.table.lot_ids[lot] for lot in job.classes]
        self._images = torch.from_numpy(data.images[job.train]).to(device)
        self._truth = torch.from_numpy(labels(data.lots[job.train], job.classes)).to(device)
        sample = validation_sample(job.validation, recipe)
        self._held = data.images[sample]
        self._truth_held = labels(data.lots[sample], job.classes)
        self._strange = _Outliers(data.images[job.train], recipe, job.seed, device)

    def loss(self, chosen: Numbers, crop_px: int, rng: np.random.Generator, step: int) -> Tensor:
        """See `Task`."""
        seen = torch.cat([self._images[chosen], *self._strange.draw(step)])
        views = random_crops(seen, crop_px, rng)
        if self._dropout:
            # What is dropped is the step's, too; of each process's share something else.
            torch.manual_seed(int(rng.integers(2**62)) + distributed.rank())
        views = views[distributed.own_rows(len(chosen), len(seen) - len(chosen))]
        truth = self._truth[chosen][distributed.own_rows(len(chosen))]
        # One pass for both: outliers then cannot be told apart by a batch norm of their own.
        logits = mixed_precision_forward(self.network, views / 255.0)
        loss = functional.cross_entropy(logits[: len(truth)], truth)
        if len(views) > len(truth):
            # Cross entropy to the uniform distribution (Hendrycks et al. 2019, equation 3).
            exposure = -functional.log_softmax(logits[len(truth) :], dim=1).mean()
            loss = loss + self._recipe.outlier_weight * exposure
        return loss

    def refit(self, chosen: Numbers) -> None:
        """See `Task`; the loss is that of training."""
        features = _features(self.network, self._images[chosen])
        truth = self._truth[chosen]
        strange: Tensor | None = None
        if self._strange.images is not None:
            share = self._recipe.outlier_batch_size / self._recipe.batch_size
            outliers = self._strange.images[: max(1, round(share * len(chosen)))]
            strange = _features(self.network, outliers)

        def loss(head: Head) -> Tensor:
            total = functional.cross_entropy(head(features), truth)
            if strange is not None:
                doubt = functional.log_softmax(head(strange), dim=1)
                total = total - self._recipe.outlier_weight * doubt.mean()
            return total

        refit_head(self.network, len(chosen), loss)

    def validate(self) -> Validation:
        """NLL in nats and accuracy, as served: in single precision, without dropout."""
        self.network.eval()
        probabilities = softmax(predict_logits(TileClassifier(self.network), self._held))
        nll = negative_log_likelihood(probabilities, self._truth_held)
        right = accuracy(probabilities, self._truth_held)
        return Validation(
            nll,
            {"validation/nll": nll, "validation/accuracy": right},
            f"{right:.1%}, NLL {nll:.3f}",
        )

    def stored(self) -> Mapping[str, Any]:
        """See `Task`."""
        recipe = self._recipe
        return {
            "shape": [recipe.depth, recipe.widen, len(self._lot_ids)],
            "dropout": self._dropout,
            "lot_ids": self._lot_ids,
            "um_per_px": self._um_per_px,
        }


class _Outliers:
    """Batches of made-up pictures, or nothing where the recipe has none."""

    def __init__(
        self,
        tiles: npt.NDArray[np.uint8],
        recipe: NetworkRecipe,
        seed: int,
        device: torch.device,
    ) -> None:
        self.images: Tensor | None = None
        if recipe.outliers:
            self.images = torch.from_numpy(outlier_tiles(recipe.outliers, tiles, seed)).to(device)
            self._batches = Batches(recipe.outliers, recipe.outlier_batch_size, seed=(seed, 1))

    def draw(self, step: int) -> list[Tensor]:
        if self.images is None:
            return []
        return [self.images[self._batches.draw(step)[0]]]


def _features(network: WideResNet, images: Tensor) -> Tensor:
    return served_features(network, lambda rows: images[rows, None].float() / 255.0, len(images))
