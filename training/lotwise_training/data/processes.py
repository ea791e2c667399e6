"""Work shared by processes, under a progress bar."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track

Result = TypeVar("Result")


def parallel_map(
    function: Callable[..., Result],
    *columns: Sequence[Any],
    title: str | None,
    jobs: int | None = None,
) -> list[Result]:
    """Results of a function for every row of the columns, in order.

    Args:
        function: Takes a value of each column; all of it pickles.
        columns: Of one length.
        title: Of the progress bar; None shows none.
        jobs: Processes; None for one a core, 1 works in this process.
    """
    rows = len(columns[0])
    workers = min(jobs or len(os.sched_getaffinity(0)), rows)
    console = Console(stderr=True)

    def shown(results: Iterable[Result]) -> list[Result]:
        bar = track(results, title or "", total=rows, console=console, disable=not (title and rows))
        return list(bar)

    if workers <= 1:
        return shown(map(function, *columns))
    # Spawned, because a fork of a process in which torch runs threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        try:
            return shown(pool.map(function, *columns))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
