"""``python -m lotwise_simulator benchmark list | hash | check | write``."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from lotwise_simulator.benchmark import VERSION, LotOfTiles, Part, benchmark_v1
from lotwise_simulator.benchmark_files import (
    benchmark_sha256,
    chosen_parts,
    definition_sha256,
    differences,
    frozen,
    hash_benchmark,
    to_json,
    write_set,
)


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb ``benchmark``."""
    verb = commands.add_parser("benchmark", help="list, check or write benchmark v1")
    actions = verb.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="print its sets")
    jobs = {"type": int, "default": None, "help": "processes; default: one a core"}
    hashing = actions.add_parser("hash", help="make every tile and print the hashes as JSON")
    hashing.add_argument("--jobs", **jobs)  # type: ignore[arg-type]
    check = actions.add_parser("check", help="make tiles anew and compare with the frozen hashes")
    check.add_argument(
        "--whole", action="store_true", help="every tile; default: the first row of some lots"
    )
    check.add_argument("--jobs", **jobs)  # type: ignore[arg-type]
    write = actions.add_parser("write", help="write a set: a folder a lot, and lots.csv")
    write.add_argument("--set", required=True, choices=list(benchmark_v1()))
    write.add_argument("--lot", action="append", default=[], help="only this lot; repeatable")
    write.add_argument("--count", type=int, default=None, help="tiles a lot; default: all")
    write.add_argument("folder", type=Path, metavar="OUT_DIR")


def run(options: argparse.Namespace) -> int:
    """Carry out the verb; returns the exit status.

    Raises:
        ValueError: the set has no such lot, or a count below 1.
    """
    match options.action:
        case "list":
            _list()
        case "hash":
            with _progress(whole=True, only_first_lot=False) as advance:
                hashes = hash_benchmark(jobs=options.jobs, on_part=advance)
            sys.stdout.write(to_json(hashes))
        case "check":
            return _check(whole=options.whole, jobs=options.jobs)
        case _:
            written = write_set(options.folder, options.set, options.count, options.lot)
            sys.stdout.write(f"{written:,} tiles in {options.folder}\n")
    return 0


def _list() -> None:
    table = Table("set", "lots", "tiles", title=f"Benchmark v{VERSION}", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    total = 0
    for name, lots in benchmark_v1().items():
        tiles = sum(part.n_tiles for part in lots)
        total += tiles
        n_lots = sum(isinstance(part, LotOfTiles) for part in lots)
        table.add_row(name, f"{n_lots}" if n_lots else "-", f"{tiles:,}")
    table.add_row("all", "", f"{total:,}")
    console = Console()
    console.print(table)
    definition, sha256, _ = frozen()
    console.print(f"definition {definition}\ntiles      {sha256}", highlight=False)


def _check(*, whole: bool, jobs: int | None) -> int:
    definition, sha256, _ = frozen()
    if definition_sha256() != definition:
        sys.stderr.write("error: the definition of the benchmark has changed\n")
        return 1
    with _progress(whole=whole, only_first_lot=not whole) as advance:
        hashes = hash_benchmark(whole=whole, only_first_lot=not whole, jobs=jobs, on_part=advance)
    if differing := differences(hashes):
        sys.stderr.write(f"error: these lots differ: {', '.join(differing)}\n")
        return 1
    lots = sum(len(each) for each in hashes.values())
    if whole:
        same = benchmark_sha256(hashes) == sha256
        sys.stdout.write(f"{lots} lots are as frozen: sha256 {sha256}\n")
        return 0 if same else 1
    sys.stdout.write(f"the definition and the first row of {lots} lots are as frozen\n")
    return 0


@contextmanager
def _progress(*, whole: bool, only_first_lot: bool) -> Iterator[Callable[[Part], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    chosen = chosen_parts(only_first_lot=only_first_lot)
    total = sum(part.n_tiles for _, part in chosen) if whole else len(chosen)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("tiles" if whole else "lots", total=total)
        yield lambda part: progress.advance(task, part.n_tiles if whole else 1)
