"""Trains one network, whatever it learns: batches, schedule, validation, early stopping, resuming.

A step's tiles and views are a function of its number, so a training that was killed goes on exactly
as an unbroken one would. Several processes may train one network together (`distributed.py`): all
take every step, the first one alone validates, writes and reports.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from lotwise_training.config.schema import LoopRecipe
from lotwise_training.data.sampler import Batches, shuffled
from lotwise_training.models.wide_resnet import WideResNet
from lotwise_training.onnx.half_precision import halve_weights
from lotwise_training.store.checkpoint import load_checkpoint, save_checkpoint, training_facts
from lotwise_training.store.device import to_device, training_device, wait_for
from lotwise_training.training import distributed
from lotwise_training.training.base import Job, JobKind, Report, Trainer, checkpoint_path
from lotwise_training.training.divergence import check_finite, gradient_norm
from lotwise_training.training.logging import TensorBoard
from lotwise_training.training.schedule import Clock, crop_at, halving, one_cycle

MOMENTUM: Final = 0.9
"""Zagoruyko & Komodakis 2016, section 3."""


def check_resumable(trainer: Trainer[JobKind], job: JobKind, run: Path) -> None:
    """Look whether a training can begin, or go on from the checkpoint that is there.

    Raises:
        CheckpointError: The checkpoint is of another recipe or other tiles.
    """
    load_checkpoint(checkpoint_path(run, job.name), expected=trainer.identity(job))


def train_network(
    trainer: Trainer[JobKind],
    job: JobKind,
    run: Path,
    *,
    report: Report,
    device: torch.device | None = None,
) -> Path:
    """Train one network, or go on where its checkpoint left off.

    Args:
        trainer: Of what is learned, and how.
        job: Which network.
        run: Folder of the run; TensorBoard's logs are in `run`/tensorboard.
        report: Called now and then.
        device: Where; None for the best there is.

    Returns:
        The finished checkpoint: the weights that were best on the validation tiles, rounded as
        they are served.

    Raises:
        CheckpointError: The checkpoint is of another recipe or other tiles.
        ProcessesError: The processes cannot share the recipe's batch.
        TrainingDiverged: A loss is not finite; the last checkpoint is kept.
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
    device = device or training_device()
    torch.manual_seed(job.seed)
    task = trainer.task(job, device)
    if job.pretrained is not None:
        job.pretrained.load_trunk(task.network)
    network = to_device(task.network, device)
    distributed.share_network(network)
    optimiser = _optimiser(network, recipe, device)
    limit = job.max_seconds
    clock = Clock(job.steps, job.max_seconds)  # what comes before is not the training's time
    best = _Best()
    if state is not None:
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        clock = Clock(job.steps, job.max_seconds, state["step"], state["seconds"])
        limit = limit or state["max_seconds"]  # once a clock decided, the weights are its work
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
                **training_facts(clock.step, job.steps, limit, device),
                "seconds": clock.seconds,
                "finished": finished,
                "line": line,
            },
        )

    batches = Batches(len(job.train), job.batch_size(recipe), seed=(job.seed,))
    validate_every = max(1, job.steps // recipe.validations)
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
        size = gradient_norm(network)
        of_all = distributed.mean(loss.detach())
        wait_for(device)
        check_finite(job.name, clock.step, rate, of_all.item(), size.item())
        optimiser.step()
        clock.step += 1
        if clock.step % validate_every == 0 and log is not None:
            validation = task.validate()
            best.see(validation.error, network)
            log.add(clock.step, validation.figures)
        if clock.step % recipe.checkpoint_every == 0 and log is not None:
            log.add(clock.step, {"train/loss": of_all.item(), "train/learning_rate": rate})
            report(progress, f"loss {of_all.item():.3f}")
            save(finished=False, line="")

    if log is None:  # the first does the rest, and is waited for where the next network begins
        return path
    if best.weights:  # else nothing was measured before, and the last weights are the best known
        best.see(task.validate().error, network)
        network.load_state_dict(best.weights)
    if job.head_tiles:
        drawn = shuffled(len(job.train), np.random.default_rng([job.seed, 2]), job.lots)
        task.refit(drawn[: job.head_tiles])
        check_finite(job.name, clock.step, 0.0, network.head.weight.sum().item())
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
        return halving(progress, job.steps / recipe.halve_every)
    return one_cycle(progress, recipe.warmup_share)


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
    shared: dict[str, Any] = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    if recipe.optimiser == "adam":
        return torch.optim.Adam(network.parameters(), **shared, fused=fused)
    return torch.optim.SGD(
        network.parameters(), **shared, momentum=MOMENTUM, nesterov=True, fused=fused
    )
