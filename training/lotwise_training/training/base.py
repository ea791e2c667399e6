"""What a training is made of: the job, what it learns, and who makes that."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from lotwise_training.config.schema import LoopRecipe
from lotwise_training.data.tiles import Numbers
from lotwise_training.models.wide_resnet import WideResNet
from lotwise_training.store.checkpoint import fingerprint
from lotwise_training.training.pretrained import Pretrained

PACE: Final = ("checkpoint_every",)
"""Keys of a recipe that a checkpoint need not agree on."""

Report = Callable[[float, str], None]
"""Takes (progress 0..1, a line of figures)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Job:
    """One network to be trained.

    Attributes:
        name: Of its checkpoint, such as "committee/member_00".
        train: int64 [n], tiles to learn from.
        validation: int64 [m], tiles that decide when to stop.
        seed: Of its start, its order of tiles and their views.
        steps: Of the whole training.
        head_tiles: Tiles of `train` on which the last layer is fitted once more; 0 for none.
        max_seconds: After which the schedule has to be at its end, whatever the recipe says; None
            for as long as the steps take.
        pretrained: A network whose trunk it begins with; None for a random start.
        lots: int64 [n], lot of each tile of `train` where every lot counts alike, see
            `data.sampler`; None takes each tile once a pass.
    """

    name: str
    train: Numbers
    validation: Numbers
    seed: int
    steps: int
    head_tiles: int
    max_seconds: float | None = None
    pretrained: Pretrained | None = None
    lots: Numbers | None = None

    def batch_size(self, recipe: LoopRecipe) -> int:
        """Tiles of a step: the recipe's number, or all where there are fewer."""
        return min(recipe.batch_size, len(self.train))


@dataclass(frozen=True)
class Validation:
    """What a network is worth on its validation tiles.

    Attributes:
        error: The lower the better; training stops where it no longer falls.
        figures: By name, for the curves.
        line: The same for people.
    """

    error: float
    figures: Mapping[str, float]
    line: str


class Task(Protocol):
    """What one network learns, on the device on which it learns."""

    network: WideResNet

    def loss(self, chosen: Numbers, crop_px: int, rng: np.random.Generator, step: int) -> Tensor:
        """Loss of a step, float [].

        Args:
            chosen: int64 [batch], numbers within the job's training tiles.
            crop_px: Edge of what is seen of each.
            rng: Of the step's views.
            step: Its number.
        """

    def refit(self, chosen: Numbers) -> None:
        """Fit the last layer to the features of whole tiles; `chosen` as in `loss`."""

    def validate(self) -> Validation:
        """Measure `network` as it would be served."""

    def stored(self) -> Mapping[str, Any]:
        """What the checkpoint says of the network beside its weights."""


JobKind = TypeVar("JobKind", bound=Job)
JobTaken = TypeVar("JobTaken", bound=Job, contravariant=True)


class Trainer(Protocol[JobTaken]):
    """Makes tasks of one kind; it travels to the processes that train, so it holds the tiles."""

    @property
    def recipe(self) -> LoopRecipe:
        """How to train."""

    def identity(self, job: JobTaken) -> str:
        """What a checkpoint must agree on with the run that goes on from it."""

    def task(self, job: JobTaken, device: torch.device) -> Task:
        """The network of a job and what it learns; its start is torch's generator's."""


def job_identity(recipe: LoopRecipe, data_version: str, job: Job, *more: Numbers | float) -> str:
    """A trainer's `identity`: the recipe, the data, and all of a job but its time limit.

    Args:
        recipe: How to train.
        data_version: Hash of the tiles.
        job: The network.
        more: What a kind of job states beside it.
    """
    digest = hashlib.sha256()
    balanced = () if job.lots is None else (job.lots,)
    for numbers in (job.train, job.validation, *more, *balanced):
        digest.update(np.asarray(numbers).tobytes() + b"|")
    parts: list[Any] = [
        data_version,
        digest.hexdigest(),
        job.name,
        job.seed,
        job.steps,
        job.head_tiles,
    ]
    if job.pretrained is not None:
        parts.append(job.pretrained.sha256)
    return fingerprint(recipe, parts, ignore=PACE)


def checkpoint_path(run: Path, name: str) -> Path:
    """Where a network's state lies."""
    return run / f"{name}.pt"


def validation_sample(tiles: Numbers, recipe: LoopRecipe) -> Numbers:
    """The validation tiles that are looked at, int64, rising.

    A fixed sample where there are more than it takes to tell better from worse.
    """
    drawn = np.random.default_rng(recipe.seed).permutation(tiles)
    return np.sort(drawn[: recipe.validation_tiles])
