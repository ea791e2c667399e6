"""What a tile costs: `python -m benchmarks.capacity`, from which docs/capacity.md computes.

Costs are processor time, which a busy machine changes little, and not time of the clock. Rounds of
every question are interleaved.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lotwise import Client
from lotwise.platform.launcher import Platform
from lotwise.platform.ports import SERVICES, PlatformPorts
from lotwise_simulator import mosaic
from lotwise_simulator.benchmark import reference_lots

LOT = reference_lots()[0]
TILES = 16
EXPLAINED = 1
LOTWISE = Path(sys.executable).with_name("lotwise")
TICKS = os.sysconf("SC_CLK_TCK")
PARTS = ("Triton", *SERVICES)


def main(rounds: int, models: Path) -> None:
    """Measure and print."""
    console = Console()
    tiles = [tile.image for tile in mosaic(LOT, TILES, region=3_000)]
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        platform = Platform(models, state, PlatformPorts.free(), Path(".triton"), "triton")
        where = {name: platform.address(name) for name in SERVICES}
        with platform, Client(**where) as client:  # type: ignore[arg-type]
            fresh = {part: _memory(platform, part) for part in PARTS}
            costs = _costs(platform, _questions(client, tiles), rounds)
            worked = {part: _memory(platform, part) for part in PARTS}
            kept = _store_bytes(platform, tiles, state)
    sizes = [_png_bytes(tile, Path(folder)) for tile in tiles]
    _print_costs(console, costs)
    _print_memory(console, fresh, worked)
    console.print(f"A tile of 256 x 256 pixels as PNG: {statistics.median(sizes) / 1000:.0f} kB")
    console.print(f"Store (SQLite), a further 1,000 tiles: {kept / 1e6:.2f} MB")


def _questions(
    client: Client, tiles: list[np.ndarray]
) -> dict[str, tuple[int, Callable[[], object]]]:
    """Number of tiles and what asks about them, by name."""
    lot = {"lot_id": LOT.lot_id, "um_per_px": 1.0}

    def sweep() -> None:
        for tile in tiles[:EXPLAINED]:
            client.explain_forward(tile, vary="size", steps=11, **lot)  # type: ignore[arg-type]

    def search() -> None:
        for tile in tiles[:EXPLAINED]:
            client.explain_backward(tile, target=1900, **lot)  # type: ignore[arg-type]

    many: dict[str, Callable[[], object]] = {
        "predict": lambda: list(client.predict_many(tiles, **lot)),  # type: ignore[arg-type]
        "uncertainty": lambda: list(client.uncertainty_many(tiles, **lot)),  # type: ignore[arg-type]
        "refer, whole committee": lambda: list(client.refer_many(tiles, policy="full", **lot)),  # type: ignore[arg-type]
        "refer, cascade": lambda: list(client.refer_many(tiles, policy="cascade", **lot)),  # type: ignore[arg-type]
        "screen_lot": lambda: client.screen_lot(tiles, **lot),  # type: ignore[arg-type]
        "interval": lambda: list(client.interval_many(tiles, **lot)),  # type: ignore[arg-type]
    }
    return {name: (len(tiles), ask) for name, ask in many.items()} | {
        "explain forward, 11 steps": (EXPLAINED, sweep),
        "explain backward": (EXPLAINED, search),
    }


def _costs(
    platform: Platform, questions: dict[str, tuple[int, Callable[[], object]]], rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of processor time for a tile, by question and part, one for each round."""
    costs = {name: {part: list[float]() for part in PARTS} for name in questions}
    for number in track(range(rounds + 1), "interleaved rounds"):
        for name, (tiles, ask) in questions.items():
            before = {part: _seconds(platform, part) for part in PARTS}
            ask()
            for part in PARTS:
                spent = 1000 * (_seconds(platform, part) - before[part]) / tiles
                if number:  # the first one warms up
                    costs[name][part].append(spent)
    return costs


def _processes(platform: Platform, part: str) -> Iterator[Path]:
    """A part's processes: Triton has a child for each network."""
    group = platform.triton.pid if platform.triton and part == "Triton" else platform.pid(part)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group:
            yield entry


def _seconds(platform: Platform, part: str) -> float:
    total = 0
    for process in _processes(platform, part):
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])  # user and system time
    return total / TICKS


def _memory(platform: Platform, part: str) -> float:
    """MB; pages that processes share are counted once, in parts."""
    total = 0
    for process in _processes(platform, part):
        for line in (process / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total * 1024 / 1e6


def _png_bytes(tile: np.ndarray, folder: Path) -> int:
    folder.mkdir(exist_ok=True)
    path = folder / "tile.png"
    Image.fromarray(tile).save(path)
    return path.stat().st_size


def _store_bytes(platform: Platform, tiles: list[np.ndarray], folder: Path) -> float:
    """Bytes for 1,000 tiles: those that the second of two lots adds."""
    store = folder / "store.sqlite"
    sizes: list[int] = []
    for name in ("first", "second"):
        (folder / name).mkdir()
        for number, tile in enumerate(tiles):
            # Other pixels in each: a store recognises a tile that it has.
            Image.fromarray(np.roll(tile, len(sizes) + 1)).save(folder / name / f"{number:03}.png")
        where = [
            f"--{name}={platform.address(name)}" for name in ("predict", "referral", "uncertainty")
        ]
        subprocess.run(
            [LOTWISE, "screen", folder / name, "--um-per-px=1.0", f"--store={store}", *where],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        sizes.append(sum(each.stat().st_size for each in folder.glob("store.sqlite*")))
    return (sizes[1] - sizes[0]) * 1000 / len(tiles)


def _print_costs(console: Console, costs: dict[str, dict[str, list[float]]]) -> None:
    table = Table(
        title="Processor time for a tile, ms: median (least to most)", title_justify="left"
    )
    table.add_column("question")
    for part in PARTS:
        table.add_column(part, justify="right")
    for name, by_part in costs.items():
        cells = [
            f"{statistics.median(spent):.0f} ({min(spent):.0f} to {max(spent):.0f})"
            if statistics.median(spent) >= 0.5
            else "-"
            for spent in by_part.values()
        ]
        table.add_row(name, *cells)
    console.print(table)


def _print_memory(console: Console, fresh: dict[str, float], worked: dict[str, float]) -> None:
    table = Table(title="Memory, MB", title_justify="left")
    for column in ("part", "at the start", "after the questions"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in PARTS:
        table.add_row(part, f"{fresh[part]:.0f}", f"{worked[part]:.0f}")
    console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", type=Path, default=Path("model_repository"))
    options = parser.parse_args()
    # An ended run must not leave its platform behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    main(options.rounds, options.models)
