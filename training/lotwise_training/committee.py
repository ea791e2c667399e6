"""Trains the committee: members that differ in nothing but their random start and order of tiles.

Zhang et al. 2020, Methods ("Deep Ensemble"; Lakshminarayanan et al. 2017): WRN-16-2, cross
entropy, Adam, from scratch. What differs from the paper, to fit minutes on two cores into place
of a GPU's hours:

- Most steps see crops, the last ones whole tiles. The network is fully convolutional, and a
  quarter of the area costs a quarter of the time.
- One cycle of the learning rate in place of 200 epochs with halvings.
- Convolutions in bfloat16. Members train side by side with one thread each, because two small
  trainings use two cores better than one training with two threads.
"""

from __future__ import annotations

import multiprocessing
import queue
import traceback
from collections.abc import Callable
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Final

import torch
from rich.progress import Progress
from torch.nn import functional

from lotwise_training.augmentation import random_crops
from lotwise_training.batches import Batches
from lotwise_training.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from lotwise_training.config import CommitteeRecipe
from lotwise_training.data import CommitteeData
from lotwise_training.device import best_device, place
from lotwise_training.export.onnx_weights import halve_weights
from lotwise_training.models.wide_resnet import (
    TileClassifier,
    WideResNet,
    mixed_precision_forward,
)
from lotwise_training.outliers import outlier_tiles
from lotwise_training.prediction import committee_logits, member_path
from lotwise_training.schedule import Clock, crop_at, one_cycle

PACE: Final = ("max_seconds", "parallel", "checkpoint_every", "data", "policy")
"""Keys of a recipe that a checkpoint need not agree on; the data have their own fingerprint."""

Report = Callable[[int, float, str], None]
"""Takes (member, progress 0..1, a line of figures)."""


class TrainingFailed(RuntimeError):
    """A member's process ended without a trained member; the message holds its traceback."""


def train_committee(data: CommitteeData, recipe: CommitteeRecipe, run: Path) -> None:
    """Train all members and leave `member_<n>.pt` in `run`; finished members are kept.

    Args:
        data: Tiles of the reference lots.
        recipe: How to train. `max_seconds` is for the whole committee.
        run: Folder of this run.

    Raises:
        TrainingFailed: A member could not be trained.
        CheckpointError: `run` holds members of another recipe.
    """
    # Spawned, because a fork of a process in which torch runs threads can hang.
    context = multiprocessing.get_context("spawn")
    lanes = min(recipe.parallel, recipe.members)
    reports: Queue[Any] = context.Queue()
    workers = [
        context.Process(
            target=_train_lane,
            args=(data, recipe, run, range(lane, recipe.members, lanes), reports),
            daemon=True,
        )
        for lane in range(lanes)
    ]
    for worker in workers:
        worker.start()
    try:
        with Progress() as bars:
            shown = [bars.add_task(f"member {n}", total=1.0) for n in range(recipe.members)]
            unfinished = lanes
            while unfinished:
                try:
                    kind, member, progress, line = reports.get(timeout=5.0)
                except queue.Empty:
                    # A worker that was killed reports nothing.
                    if any(worker.exitcode for worker in workers):
                        raise TrainingFailed("a member's process died without a word") from None
                    continue
                if kind == "failed":
                    raise TrainingFailed(line)
                if kind == "lane done":
                    unfinished -= 1
                else:
                    bars.update(
                        shown[member], completed=progress, description=f"member {member} {line}"
                    )
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _train_lane(
    data: CommitteeData, recipe: CommitteeRecipe, run: Path, members: range, reports: Queue[Any]
) -> None:
    """One process: some of the members, one after the other."""
    torch.set_num_threads(1)
    try:
        for member in members:
            train_member(
                data,
                recipe,
                run,
                member,
                report=lambda *figures: reports.put(("report", *figures)),
            )
    except Exception:  # whatever it was, the parent has to hear of it
        reports.put(("failed", -1, 0.0, traceback.format_exc()))
    else:
        reports.put(("lane done", -1, 1.0, ""))


def train_member(
    data: CommitteeData, recipe: CommitteeRecipe, run: Path, member: int, *, report: Report
) -> Path:
    """Train one member, or go on where its checkpoint left off.

    Args:
        data: Tiles of the reference lots.
        recipe: How to train.
        run: Folder of this run.
        member: Number of the member; it decides its random start and order of tiles.
        report: Called now and then.

    Returns:
        The checkpoint `run`/member_<n>.pt, finished, its weights rounded as they are served.
    """
    device = best_device()
    path = member_path(run, member)
    identity = fingerprint(recipe, data.fingerprint, member, ignore=PACE)
    torch.manual_seed(recipe.seed + member)
    network = WideResNet(recipe.depth, recipe.widen, len(data.lot_ids))
    place(network, device)
    optimiser = torch.optim.Adam(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    max_seconds = recipe.max_seconds * min(recipe.parallel, recipe.members) / recipe.members
    clock = Clock(recipe.steps, max_seconds)
    state = load_checkpoint(path, expected=identity)
    if state is not None:
        network.load_state_dict(state["network"])
        if state["finished"]:
            report(member, 1.0, state["line"])
            return path
        optimiser.load_state_dict(state["optimiser"])
        clock = Clock(recipe.steps, max_seconds, state["step"], state["seconds"])

    def save(finished: bool, line: str) -> None:
        save_checkpoint(
            path,
            {
                "fingerprint": identity,
                "shape": [recipe.depth, recipe.widen, len(data.lot_ids)],
                "lot_ids": list(data.lot_ids),
                "network": network.state_dict(),
                "optimiser": {} if finished else optimiser.state_dict(),
                "step": clock.step,
                "seconds": clock.seconds,
                "finished": finished,
                "line": line,
            },
        )

    images = torch.from_numpy(data.train.images).to(device)
    labels = torch.from_numpy(data.train.labels).to(device)
    batches = Batches(len(images), recipe.batch_size, seed=(recipe.seed, member))
    outliers = torch.from_numpy(
        outlier_tiles(recipe.outliers, data.train.images, seed=recipe.seed + member)
    ).to(device)
    outlier_batches = Batches(
        len(outliers), recipe.outlier_batch_size, seed=(recipe.seed, member, 1)
    )
    network.train()
    while (progress := clock.progress) < 1.0:
        chosen, rng = batches.draw(clock.step)
        strange, _ = outlier_batches.draw(clock.step)
        wanted = labels[chosen]
        seen = torch.cat([images[chosen], outliers[strange]])
        views = random_crops(seen, crop_at(progress, recipe.crops), rng)
        # One pass for both: outliers then cannot be told apart by a batch norm of their own.
        logits = mixed_precision_forward(network, views / 255.0)
        known, unknown = logits[: len(wanted)], logits[len(wanted) :]
        # Cross entropy to the uniform distribution (Hendrycks et al. 2019, equation 3).
        exposure = -functional.log_softmax(unknown, dim=1).mean()
        loss = functional.cross_entropy(known, wanted) + recipe.outlier_weight * exposure
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * one_cycle(progress, recipe.warmup_share)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        clock.step += 1
        if clock.step % recipe.checkpoint_every == 0:
            report(member, progress, f"loss {loss.item():.3f}")
            save(finished=False, line="")

    # Rounded first and evaluated afterwards: every figure belongs to the weights that are served.
    halve_weights(network)
    network.eval()
    answers = committee_logits([TileClassifier(network)], data.validation.images)[:, 0]
    right = float((answers.argmax(axis=1) == data.validation.labels).mean())
    line = f"validation accuracy {right:.1%} after {clock.step} steps, {clock.seconds:.0f} s"
    save(finished=True, line=line)
    report(member, 1.0, line)
    return path
