"""Trains networks side by side, each in a process with one thread.

Two small trainings use two cores better than one training with two threads, and one alone leaves
most of a GPU idle. All read the same tiles from one file, so that eight of them do not hold eight
copies, nor wait for these to be passed on.
"""

from __future__ import annotations

import multiprocessing
import pickle
import queue
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Final, Generic, Protocol

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lotwise_training.config.schema import LoopRecipe
from lotwise_training.training import distributed
from lotwise_training.training.loop import (
    JobKind,
    Report,
    Trainer,
    check_resumable,
    train_network,
)

WORKS_FILE: Final = "works.pickle"
LARGE_BYTES: Final = 1 << 24
"""Arrays from this size on are read from a file of their own, where they are looked at."""


class TrainingFailed(RuntimeError):
    """A network's process ended without a trained network; the message holds its traceback."""


def timed(
    jobs: Sequence[JobKind], recipe: LoopRecipe, *, max_seconds: float, parallel: int
) -> list[JobKind]:
    """Each network with its share of the time of the whole run, and never more than that time.

    Args:
        jobs: The networks.
        recipe: How to train each.
        max_seconds: Of all of them together.
        parallel: Networks at once.
    """
    steps = [job.steps(recipe) for job in jobs]
    each = max_seconds * min(parallel, len(jobs)) / sum(steps)
    # With a lane for every network, the longest of them would else outlast the run.
    return [
        replace(job, max_seconds=min(each * n, max_seconds))
        for job, n in zip(jobs, steps, strict=True)
    ]


class Work(Protocol):
    """One network's training, as a lane takes it. It travels to another process."""

    @property
    def name(self) -> str:
        """Of the network, for the progress bar."""

    @property
    def seconds(self) -> float:
        """Time that it may take: its share of the bar of all."""

    def check(self, run: Path) -> None:
        """Look whether it can begin, or go on from what `run` holds.

        Raises:
            CheckpointError: `run` holds a network of another recipe or of other tiles.
        """

    def train(self, run: Path, *, report: Report) -> None:
        """Train it; one that is finished is kept."""


@dataclass(frozen=True, eq=False)
class NetworkWork(Generic[JobKind]):
    """A `Work` of the common training loop.

    Attributes:
        trainer: Of what is learned, and how.
        job: Which network.
    """

    trainer: Trainer[JobKind]
    job: JobKind

    @property
    def name(self) -> str:
        """See `Work`."""
        return self.job.name

    @property
    def seconds(self) -> float:
        """See `Work`."""
        return self.job.max_seconds

    def check(self, run: Path) -> None:
        """See `Work`."""
        check_resumable(self.trainer, self.job, run)

    def train(self, run: Path, *, report: Report) -> None:
        """See `Work`."""
        train_network(self.trainer, self.job, run, report=report)


def train_networks(
    trainer: Trainer[JobKind], jobs: Sequence[JobKind], run: Path, *, parallel: int
) -> None:
    """Train networks of one kind side by side; finished ones are kept.

    Args:
        trainer: Of what is learned, and how.
        jobs: The networks.
        run: Folder of this run.
        parallel: Networks at once.

    Raises:
        CheckpointError, TrainingFailed: As `train_in_parallel`.
    """
    train_in_parallel([NetworkWork(trainer, job) for job in jobs], run, parallel=parallel)


def train_in_parallel(works: Sequence[Work], run: Path, *, parallel: int) -> None:
    """Train networks side by side, in order; finished ones are kept.

    Processes that train together take one network after another instead.

    Args:
        works: The networks.
        run: Folder of this run.
        parallel: Networks at once.

    Raises:
        CheckpointError: `run` holds networks of another recipe or of other tiles.
        TrainingFailed: A network could not be trained.
    """
    for work in works:
        work.check(run)
    if distributed.count() > 1:
        _train_together(works, run)
        return
    # Spawned, because a fork of a process in which torch runs threads can hang.
    context = multiprocessing.get_context("spawn")
    lanes = min(parallel, len(works))
    reports: Queue[Any] = context.Queue()
    waiting: Queue[Any] = context.Queue()
    for number in (*range(len(works)), *[None] * lanes):
        waiting.put(number)
    run.mkdir(parents=True, exist_ok=True)
    # Beside the networks: a folder for temporary files may be a small one in memory.
    with tempfile.TemporaryDirectory(prefix=".lanes-", dir=run) as folder:
        write_works(works, Path(folder))
        workers = [
            context.Process(
                target=_run_worker, args=(Path(folder), run, lane, waiting, reports), daemon=True
            )
            for lane in range(lanes)
        ]
        for worker in workers:
            worker.start()
        try:
            _watch(workers, reports, works)
        finally:
            for worker in workers:
                worker.terminate()
                worker.join()


def _train_together(works: Sequence[Work], run: Path) -> None:
    """All processes at one network after another; the first one says how far they are."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    silent = not distributed.is_first()
    with Progress(*columns, console=Console(stderr=True), disable=silent) as bars:
        bar = bars.add_task("", total=1.0)
        for work in works:

            def tell(progress: float, line: str, name: str = work.name) -> None:
                text = f"{name}: {line}"
                bars.update(bar, completed=progress, description=text)
                if progress >= 1.0 and not silent:
                    bars.console.print(text, highlight=False)

            work.train(run, report=tell)


def write_works(works: Sequence[Work], folder: Path) -> None:
    """Put down works, and each large array once beside them, for `read_works`."""
    with (folder / WORKS_FILE).open("wb") as file:
        _WorksPickler(file, folder).dump(list(works))


def read_works(folder: Path) -> list[Work]:
    """What `write_works` put down; large arrays are read where they are looked at."""
    works: list[Work] = pickle.loads((folder / WORKS_FILE).read_bytes())
    return works


class _WorksPickler(pickle.Pickler):
    def __init__(self, file: Any, folder: Path) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._folder, self._written = folder, 0

    def reducer_override(self, value: Any) -> Any:
        """A large array is where it lies; all else is pickled as ever."""
        if type(value) is not np.ndarray or value.nbytes < LARGE_BYTES:
            return NotImplemented
        path = self._folder / f"{self._written}.npy"
        self._written += 1
        np.save(path, value, allow_pickle=False)
        return np.load, (path, "c")  # what a process writes to it stays its own


def _watch(workers: Sequence[Any], reports: Queue[Any], works: Sequence[Work]) -> None:
    """Show what the lanes report until the last of them is done."""
    seconds = [work.seconds for work in works]
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        whole = bars.add_task(f"{len(works)} networks", total=sum(seconds))
        shown = [bars.add_task("", total=1.0) for _ in workers]
        done = [0.0] * len(works)
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
            done[number] = progress * seconds[number]
            bars.update(whole, completed=sum(done))
            text = f"{works[number].name}: {line}"
            bars.update(shown[lane], completed=progress, description=text)
            if progress >= 1.0:
                bars.console.print(text, highlight=False)


def _run_worker(
    folder: Path,
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
        works = read_works(folder)
        while (number := waiting.get()) is not None:
            works[number].train(run, report=partial(tell, number))
    except Exception:  # whatever it was, the parent has to hear of it
        reports.put(("failed", lane, -1, 0.0, traceback.format_exc()))
    else:
        reports.put(("lane done", lane, -1, 1.0, ""))
