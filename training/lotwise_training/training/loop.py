"""Trains one network, whatever it learns: batches, schedule, validation, early stopping, resuming.

A step's tiles and views are a function of its number, so a training that was killed goes on exactly
as an unbroken one would. Several processes may train one network together (`distributed.py`): all
take every step, the first one alone validates, writes and reports.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from lotwise_training.config.schema import LoopRecipe
from lotwise_training.data.sampler import Batches, shuffled
from lotwise_training.data.tiles import Numbers
from lotwise_training.models.wide_resnet import WideResNet
from lotwise_training.onnx.half_precision import halve_weights
from lotwise_training.store.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from lotwise_training.store.device import to_device, training_device, wait_for
from lotwise_training.training import distributed
from lotwise_training.training.logging import TensorBoard
from lotwise_training.training.schedule import Clock, crop_at, halving, one_cycle

PACE: Final = ("checkpoint_every",)
"""Keys of a recipe that a checkpoint need not agree on."""

MOMENTUM: Final = 0.9
"""Zagoruyko & Komodakis 2016, section 3."""

Report = Callable[[float, str], None]
"""Takes (progress 0..1, a line of figures)."""


@dataclass(frozen=True, eq=False)
class Job:
    """One network to be trained.

    Attributes:
        name: Of its checkpoint, such as "committee/member_00".
        train: int64 [n], tiles to learn from.
        validation: int64 [m], tiles that decide when to stop.
        seed: Of its start, its order of tiles and their views.
        epochs: Passes over `train`.
        max_seconds: Time after which its schedule has to be at its end.
        head_tiles: Tiles of `train` on which the last layer is fitted once more; 0 for none.
        lots: int64 [n], lot of each tile of `train` where every lot counts alike, see
            `data.sampler`; None takes each tile once a pass.
    """

    name: str
    train: Numbers
    validation: Numbers
    seed: int
    epochs: float
    max_seconds: float
    head_tiles: int
    lots: Numbers | None = field(default=None, kw_only=True)

    def batch_size(self, recipe: LoopRecipe) -> int:
        """Tiles of a step: the recipe's number, or all where there are fewer."""
        return min(recipe.batch_size, len(self.train))

    def steps(self, recipe: LoopRecipe) -> int:
        """Steps of the whole training."""
        return max(1, round(self.epochs * len(self.train) / self.batch_size(recipe)))


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
    """A trainer's `identity`: the recipe, the data, and all of a job but its time.

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
    parts = [data_version, digest.hexdigest(), job.name, job.seed, job.epochs, job.head_tiles]
    return fingerprint(recipe, parts, ignore=PACE)


def checkpoint_path(run: Path, name: str) -> Path:
    """Where a network's state lies."""
    return run / f"{name}.pt"


def check_resumable(trainer: Trainer[JobKind], job: JobKind, run: Path) -> None:
    """Look whether a training can begin, or go on from the checkpoint that is there.

    Raises:
        CheckpointError: The checkpoint is of another recipe or other tiles.
    """
    load_checkpoint(checkpoint_path(run, job.name), expected=trainer.identity(job))


def train_network(trainer: Trainer[JobKind], job: JobKind, run: Path, *, report: Report) -> Path:
    """Train one network, or go on where its checkpoint left off.

    Args:
        trainer: Of what is learned, and how.
        job: Which network.
        run: Folder of the run; TensorBoard's logs are in `run`/tensorboard.
        report: Called now and then.

    Returns:
        The finished checkpoint: the weights that were best on the validation tiles, rounded as
        they are served.

    Raises:
        CheckpointError: The checkpoint is of another recipe or other tiles.
        ProcessesError: The processes cannot share the recipe's batch.
    """
    recipe = trainer.recipe
    path = checkpoint_path(run, job.name)
    identity = trainer.identity(job)
    first = distributed.is_first()
    distributed.check_batch(job.batch_size(recipe))
    # The others must not look at a file that the first is about to write.
    state = distributed.agreed(load_checkpoint(path, expected=identity) if first else None)
    if state is not None and state["finished"]:
        report(1.0, state["line"])
        return path
    device = training_device()
    torch.manual_seed(job.seed)
    task = trainer.task(job, device)
    network = to_device(task.network, device)
    distributed.share_network(network)
    optimiser = _optimiser(network, recipe, device)
    steps = job.steps(recipe)
    clock = Clock(steps, job.max_seconds)  # the time of what comes before is not the training's
    best = _Best()
    if state is not None:
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        clock = Clock(steps, job.max_seconds, state["step"], state["seconds"])
        best = _Best(state["best"], state["best_error"], state["not_better"])

    def progress_now() -> float:
        """By the first process's clock and patience: all have to take the same steps."""
        return distributed.agreed_number(
            clock.progress if best.not_better < recipe.patience else 1.0
        )

    def save(finished: bool, line: str) -> None:
        save_checkpoint(
            path,
            {
                "fingerprint": identity,
                **task.stored(),
                "network": network.state_dict(),
                "optimiser": {} if finished else optimiser.state_dict(),
                "best": {} if finished else best.weights,
                "best_error": best.error,
                "not_better": best.not_better,
                "step": clock.step,
                "seconds": clock.seconds,
                "finished": finished,
                "line": line,
            },
        )

    batches = Batches(len(job.train), job.batch_size(recipe), seed=(job.seed,), lots=job.lots)
    validate_every = max(1, steps // recipe.validations)
    log = TensorBoard(run / "tensorboard" / job.name, clock.step) if first else None

    while (progress := progress_now()) < 1.0:
        network.train()
        chosen, rng = batches.draw(clock.step)
        loss = task.loss(chosen, crop_at(progress, recipe.crops), rng, clock.step)
        rate = recipe.learning_rate * rate_factor(progress, job, recipe)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        distributed.average_gradients(network)
        optimiser.step()
        wait_for(device)
        clock.step += 1
        if clock.step % validate_every == 0 and log is not None:
            validation = task.validate()
            best.see(validation.error, network)
            log.add(clock.step, validation.figures)
        if clock.step % recipe.checkpoint_every == 0:
            of_all = distributed.mean(loss).item()
            if log is not None:
                log.add(clock.step, {"train/loss": of_all, "train/learning_rate": rate})
                report(progress, f"loss {of_all:.3f}")
                save(finished=False, line="")

    if log is None:  # the first does the rest, and is waited for where the next network begins
        return path
    if best.weights:  # else nothing was measured before, and the last weights are the best known
        best.see(task.validate().error, network)
        network.load_state_dict(best.weights)
    if job.head_tiles:
        drawn = shuffled(len(job.train), np.random.default_rng([job.seed, 2]), job.lots)
        task.refit(drawn[: job.head_tiles])
    # Rounded first and measured afterwards: every figure belongs to the weights that are served.
    halve_weights(network)
    log.close()
    line = f"validation {task.validate().line} after {clock.step} steps, {clock.seconds:.0f} s"
    save(finished=True, line=line)
    report(1.0, line)
    return path


def rate_factor(progress: float, job: Job, recipe: LoopRecipe) -> float:
    """Factor on the recipe's learning rate, `progress` 0..1 into the training."""
    if recipe.schedule == "halving":
        return halving(progress, job.epochs / recipe.halve_every_epochs)
    return one_cycle(progress, recipe.warmup_share)


def validation_sample(tiles: Numbers, recipe: LoopRecipe) -> Numbers:
    """The validation tiles that are looked at, int64, rising.

    A fixed sample where there are more than it takes to tell better from worse.
    """
    drawn = np.random.default_rng(recipe.seed).permutation(tiles)
    return np.sort(drawn[: recipe.validation_tiles])


class _Best:
    """The weights that were best on the validation tiles, and for how long none was better."""

    def __init__(
        self,
        weights: dict[str, Tensor] | None = None,
        error: float = float("inf"),
        not_better: int = 0,
    ) -> None:
        self.weights = weights or {}
        self.error = error
        self.not_better = not_better

    def see(self, error: float, network: WideResNet) -> None:
        if error < self.error:
            self.error, self.not_better = error, 0
            self.weights = {k: v.detach().clone() for k, v in network.state_dict().items()}
        else:
            self.not_better += 1


def _optimiser(
    network: WideResNet, recipe: LoopRecipe, device: torch.device
) -> torch.optim.Optimizer:
    """Adam (Zhang et al. 2020), or SGD with Nesterov momentum (Zagoruyko & Komodakis 2016)."""
    fused = device.type == "cuda"  # one kernel for all weights; they are many and small
    if recipe.optimiser == "adam":
        return torch.optim.Adam(
            network.parameters(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            fused=fused,
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        momentum=MOMENTUM,
        nesterov=True,
        fused=fused,
    )
