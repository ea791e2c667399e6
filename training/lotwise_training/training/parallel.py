"""Trains networks side by side, each in a process with one thread.

Two small trainings use two cores better than one training with two threads, and one alone leaves
most of a GPU idle. All read the same tiles from one file, so that eight of them do not hold eight
copies, nor wait for these to be passed on.
"""

from __future__ import annotations

import multiprocessing
import pickle
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Final, Generic, Protocol

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch.multiprocessing.spawn import (
    ProcessExitedException,
    ProcessRaisedException,
    start_processes,
)

from lotwise_training.config.errors import TrainingError
from lotwise_training.training import distributed
from lotwise_training.training.base import JobKind, Report, Trainer
from lotwise_training.training.divergence import TrainingDiverged
from lotwise_training.training.loop import check_resumable, train_network

TRAININGS_FILE: Final = "trainings.pickle"
LARGE_BYTES: Final = 1 << 24
"""Arrays from this size on are read from a file of their own, where they are looked at."""
DIVERGED: Final = -1.0
"""Reported instead of a progress."""


class TrainingFailed(TrainingError, RuntimeError):
    """A network's process ended without a trained network; the message holds its traceback."""


def limit_time(jobs: Sequence[JobKind], max_seconds: float | None, parallel: int) -> list[JobKind]:
    """Each network with its share of the time of the whole run, and never more than that time.

    Args:
        jobs: The networks.
        max_seconds: Of all of them together; None for no limit.
        parallel: Networks at once.
    """
    if max_seconds is None:
        return list(jobs)
    each = max_seconds * min(parallel, len(jobs)) / sum(job.steps for job in jobs)
    # With a worker for every network, the longest of them would else outlast the run.
    return [replace(job, max_seconds=min(each * job.steps, max_seconds)) for job in jobs]


class Training(Protocol):
    """One network's training, as a worker takes it. It travels to another process."""

    @property
    def name(self) -> str:
        """Of the network, for the progress bar."""

    @property
    def steps(self) -> int:
        """Its share of the progress bar of all."""

    def check(self, run: Path) -> None:
        """Look whether it can begin, or go on from what `run` holds.

        Raises:
            CheckpointError: `run` holds a network of another recipe or of other tiles.
        """

    def train(self, run: Path, *, report: Report) -> None:
        """Train it; one that is finished is kept."""


@dataclass(frozen=True, eq=False)
class NetworkTraining(Generic[JobKind]):
    """A `Training` of the common training loop.

    Attributes:
        trainer: Of what is learned, and how.
        job: Which network.
    """

    trainer: Trainer[JobKind]
    job: JobKind

    @property
    def name(self) -> str:
        """See `Training`."""
        return self.job.name

    @property
    def steps(self) -> int:
        """See `Training`."""
        return self.job.steps

    def check(self, run: Path) -> None:
        """See `Training`."""
        check_resumable(self.trainer, self.job, run)

    def train(self, run: Path, *, report: Report) -> None:
        """See `Training`."""
        train_network(self.trainer, self.job, run, report=report)


def train_networks(
    trainer: Trainer[JobKind], jobs: Sequence[JobKind], run: Path, *, parallel: int
) -> None:
    """Train networks of one kind side by side; finished ones are kept.

    Raises:
        CheckpointError, TrainingFailed: As `train_in_parallel`.
    """
    train_in_parallel([NetworkTraining(trainer, job) for job in jobs], run, parallel=parallel)


def train_in_parallel(trainings: Sequence[Training], run: Path, *, parallel: int) -> None:
    """Train networks side by side, in order; finished ones are kept.

    Processes that train together, and one that trains no two at once, take one network after
    another instead, without further processes.

    Raises:
        CheckpointError: `run` holds networks of another recipe or of other tiles.
        TrainingFailed: A network could not be trained.
    """
    for training in trainings:
        training.check(run)
    if distributed.count() > 1 or parallel == 1:
        _train_in_turn(trainings, run)
        return
    # Spawned, because a fork of a process in which torch runs threads can hang.
    context = multiprocessing.get_context("spawn")
    n_workers = min(parallel, len(trainings))
    reports: Queue[Any] = context.Queue()
    waiting: Queue[Any] = context.Queue()
    for number in (*range(len(trainings)), *[None] * n_workers):
        waiting.put(number)
    run.mkdir(parents=True, exist_ok=True)
    # Beside the networks: a folder for temporary files may be a small one in memory.
    with tempfile.TemporaryDirectory(prefix=".workers-", dir=run) as folder:
        write_trainings(trainings, Path(folder))
        workers = start_processes(  # type: ignore[no-untyped-call]
            _run_worker, (Path(folder), run, waiting, reports), n_workers, join=False, daemon=True
        )
        try:
            _watch(workers, reports, trainings)
        except ProcessRaisedException as error:
            raise TrainingFailed(str(error)) from None
        except ProcessExitedException as error:
            raise TrainingFailed(
                f"A worker exited without a result (out of memory?): {error}"
            ) from None
        finally:
            for process in workers.processes:
                process.terminate()
                process.join()


def _train_in_turn(trainings: Sequence[Training], run: Path) -> None:
    """One network after another; the first process shows how far it is."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    silent = not distributed.is_first()
    with Progress(*columns, console=Console(stderr=True), disable=silent) as bars:
        bar = bars.add_task("", total=1.0)
        for training in trainings:

            def tell(progress: float, line: str, name: str = training.name) -> None:
                text = f"{name}: {line}"
                bars.update(bar, completed=progress, description=text)
                if progress >= 1.0 and not silent:
                    bars.console.print(text, highlight=False)

            try:
                training.train(run, report=tell)
            except (TrainingError, KeyboardInterrupt):
                raise
            except Exception:  # as a worker's
                raise TrainingFailed(traceback.format_exc()) from None


def write_trainings(trainings: Sequence[Training], folder: Path) -> None:
    """Put down trainings, and each large array once beside them, for `read_trainings`."""
    with (folder / TRAININGS_FILE).open("wb") as file:
        _ArrayPickler(file, folder).dump(list(trainings))


def read_trainings(folder: Path) -> list[Training]:
    """What `write_trainings` put down; large arrays are read where they are looked at."""
    trainings: list[Training] = pickle.loads((folder / TRAININGS_FILE).read_bytes())
    return trainings


class _ArrayPickler(pickle.Pickler):
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


def _watch(workers: Any, reports: Queue[Any], trainings: Sequence[Training]) -> None:
    """Show what the workers report until the last of them is done.

    Raises:
        TrainingDiverged: A worker reports that.
        ProcessException: A worker failed or was killed; the others are ended.
    """
    steps = [training.steps for training in trainings]
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        whole = bars.add_task(f"{len(trainings)} networks", total=sum(steps))
        shown = [bars.add_task("", total=1.0) for _ in workers.processes]
        done = [0.0] * len(trainings)
        ended = False
        while not ended:
            # All that they report is there once they have ended.
            ended = workers.join(timeout=0.5)
            while not reports.empty():
                worker, number, progress, line = reports.get()
                if progress == DIVERGED:
                    raise TrainingDiverged(line)
                done[number] = progress * steps[number]
                bars.update(whole, completed=sum(done))
                text = f"{trainings[number].name}: {line}"
                bars.update(shown[worker], completed=progress, description=text)
                if progress >= 1.0:
                    bars.console.print(text, highlight=False)


def _run_worker(
    worker: int, folder: Path, run: Path, waiting: Queue[Any], reports: Queue[Any]
) -> None:
    """One process: whatever network waits next, until none does; it ends with its parent."""
    torch.set_num_threads(1)
    trainings = read_trainings(folder)
    while (number := waiting.get()) is not None:

        def report(progress: float, line: str, number: int = number) -> None:
            reports.put((worker, number, progress, line))

        try:
            trainings[number].train(run, report=report)
        except TrainingDiverged as error:
            report(DIVERGED, str(error))
            return
