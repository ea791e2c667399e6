"""Trains the committee, and the networks that it is compared with.

Zhang et al. 2020, Methods: a deep ensemble is T networks that differ in nothing but their random
start and order of tiles (Lakshminarayanan et al. 2017); it is compared with one of them alone and
with MC dropout. Beside the committee that is served, smaller trainings measure what it is worth on
the other splits, and with fewer tiles.

Networks train side by side, each in a process with one thread: two small trainings use two cores
better than one training with two threads, and one alone leaves most of a GPU idle.
"""

from __future__ import annotations

import multiprocessing
import queue
import traceback
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lotwise_training.classifier import Job, check_resumable, train_network
from lotwise_training.config import CommitteeRecipe, NetworkRecipe
from lotwise_training.dataset import Numbers, TileDataset
from lotwise_training.splits import SPLITS, Split, classes

SERVED: Final = "committee"
"""Folder of the committee that is served, and of the network with dropout beside it."""
DROPOUT_NAME: Final = "dropout"
MEMBER_SEEDS: Final = 100
"""Seeds of an arm's members are this far apart from those of the next arm."""


class TrainingFailed(RuntimeError):
    """A network's process ended without a trained network; the message holds its traceback."""


def committee_jobs(
    data: TileDataset, recipe: CommitteeRecipe, *, only_served: bool = False
) -> list[Job]:
    """Every network of a full run, the committee that is served first.

    Names are "committee/member_<n>" and "committee/dropout"; those that only measure are in
    `arm_folder` and `curve_folder`.

    Args:
        data: The lots.
        recipe: What to train.
        only_served: Only the members that are served, nothing to compare them with.

    Raises:
        DatasetError: The lots cannot be split so.
    """
    if only_served:
        split = SPLITS[recipe.split](data, recipe.network.seed)
        seed = recipe.network.seed
        return _timed(_arm(data, recipe, split, SERVED, recipe.members, 1.0, seed), recipe)
    comparison = recipe.comparison
    order = [recipe.split, *(name for name in SPLITS if name != recipe.split)]
    jobs: list[Job] = []
    for number, name in enumerate(order):
        split = SPLITS[name](data, recipe.network.seed)
        share = 1.0 if name == recipe.split else comparison.other_splits_share
        first_seed = recipe.network.seed + MEMBER_SEEDS * number
        folder = arm_folder(name, recipe)
        arm = _arm(data, recipe, split, folder, recipe.members, share, first_seed)
        jobs += [*arm, replace(arm[0], name=f"{folder}/{DROPOUT_NAME}", dropout=recipe.dropout)]
    served = SPLITS[recipe.split](data, recipe.network.seed)
    for number, tiles in enumerate(comparison.curve_tiles, start=len(order)):
        fewer = replace(served, train=_share_of_each_lot(data, served.train, tiles))
        # As many steps for every point: what differs is how many tiles they see.
        arm = _arm(
            data,
            recipe,
            fewer,
            curve_folder(tiles),
            comparison.curve_members,
            comparison.curve_share / tiles,
            recipe.network.seed + MEMBER_SEEDS * number,
        )
        jobs += arm
    return _timed(jobs, recipe)


def arm_folder(split: str, recipe: CommitteeRecipe) -> str:
    """Folder of the networks that learn from a split."""
    return SERVED if split == recipe.split else f"{SERVED}-comparisons/{split}"


def curve_folder(share: float) -> str:
    """Folder of the networks that learn from a share of the training tiles."""
    return f"{SERVED}-comparisons/curve-{share:g}"


def _arm(
    data: TileDataset,
    recipe: CommitteeRecipe,
    split: Split,
    folder: str,
    members: int,
    share: float,
    first_seed: int,
) -> list[Job]:
    network = recipe.network
    return [
        Job(
            name=f"{folder}/member_{member:02d}",
            train=split.train,
            validation=split.validation,
            classes=classes(split, data),
            seed=first_seed + member,
            dropout=0.0,
            epochs=network.epochs * share,
            max_seconds=recipe.max_seconds,
            head_tiles=network.head_tiles if folder == SERVED else recipe.comparison.head_tiles,
        )
        for member in range(members)
    ]


def _share_of_each_lot(data: TileDataset, tiles: Numbers, share: float) -> Numbers:
    """The first tiles of each lot in a random order, so that fewer tiles are a part of more."""
    rng = np.random.default_rng(0)
    kept = []
    for lot in np.unique(data.lots[tiles]):
        of_lot = rng.permutation(tiles[data.lots[tiles] == lot])
        kept.append(of_lot[: max(1, round(share * len(of_lot)))])
    return np.sort(np.concatenate(kept))


def _timed(jobs: Sequence[Job], recipe: CommitteeRecipe) -> list[Job]:
    """Each network with its share of the time of the whole run."""
    steps = [job.steps(recipe.network) for job in jobs]
    lanes = min(recipe.parallel, len(jobs))
    each = recipe.max_seconds * lanes / sum(steps)
    return [replace(job, max_seconds=each * n) for job, n in zip(jobs, steps, strict=True)]


def train_networks(
    data: TileDataset, jobs: Sequence[Job], recipe: NetworkRecipe, run: Path, *, parallel: int
) -> None:
    """Train networks side by side; finished ones are kept.

    Args:
        data: The lots.
        jobs: The networks.
        recipe: How to train each.
        run: Folder of this run.
        parallel: Networks at once.

    Raises:
        CheckpointError: `run` holds networks of another recipe or of other tiles.
        TrainingFailed: A network could not be trained.
    """
    for job in jobs:
        check_resumable(data, job, recipe, run)
    # Spawned, because a fork of a process in which torch runs threads can hang.
    context = multiprocessing.get_context("spawn")
    lanes = min(parallel, len(jobs))
    reports: Queue[Any] = context.Queue()
    waiting: Queue[Any] = context.Queue()
    for number in (*range(len(jobs)), *[None] * lanes):
        waiting.put(number)
    workers = [
        context.Process(
            target=_train_lane,
            args=(data, jobs, recipe, run, lane, waiting, reports),
            daemon=True,
        )
        for lane in range(lanes)
    ]
    for worker in workers:
        worker.start()
    try:
        _watch(workers, reports, jobs, recipe)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _watch(
    workers: Sequence[Any], reports: Queue[Any], jobs: Sequence[Job], recipe: NetworkRecipe
) -> None:
    """Show what the lanes report until the last of them is done."""
    work = [job.steps(recipe) for job in jobs]
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        whole = bars.add_task(f"{len(jobs)} networks", total=float(sum(work)))
        shown = [bars.add_task("", total=1.0) for _ in workers]
        done = [0.0] * len(jobs)
        unfinished = len(workers)
        while unfinished:
            # A worker that was killed reports nothing; one that failed reports before it ends.
            died = any(worker.exitcode for worker in workers)
            try:
                kind, lane, number, progress, line = reports.get(timeout=5.0)
            except queue.Empty:
                if died:
                    raise TrainingFailed("a network's process died without a word") from None
                continue
            if died and kind == "report":
                raise TrainingFailed("a network's process died without a word")
            if kind == "failed":
                raise TrainingFailed(line)
            if kind == "lane done":
                unfinished -= 1
                continue
            done[number] = progress * work[number]
            bars.update(whole, completed=sum(done))
            text = f"{jobs[number].name}: {line}"
            bars.update(shown[lane], completed=progress, description=text)
            if progress >= 1.0:
                bars.console.print(text, highlight=False)


def _train_lane(
    data: TileDataset,
    jobs: Sequence[Job],
    recipe: NetworkRecipe,
    run: Path,
    lane: int,
    waiting: Queue[Any],
    reports: Queue[Any],
) -> None:
    """One process: whatever network waits next, until none does."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()

    def tell(number: int, progress: float, line: str) -> None:
        # A parent that was killed cannot end its lanes, and nobody would know of them.
        if parent is not None and not parent.is_alive():
            raise SystemExit(1)
        reports.put(("report", lane, number, progress, line))

    try:
        while (number := waiting.get()) is not None:
            train_network(data, jobs[number], recipe, run, report=partial(tell, number))
    except Exception:  # whatever it was, the parent has to hear of it
        reports.put(("failed", lane, -1, 0.0, traceback.format_exc()))
    else:
        reports.put(("lane done", lane, -1, 1.0, ""))
