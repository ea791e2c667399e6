"""How fast the simulator makes tiles: `python -m benchmarks.simulator`.

One process, one core; lots are interleaved over the rounds. A lot's rate depends on its crystal
size above all: small crystals are many to pack, large ones are many pixels to cover.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lotwise_simulator.benchmark import TILES_PER_SIDE, reference_lots
from lotwise_simulator.imaging import acquire
from lotwise_simulator.instrument import NOMINAL
from lotwise_simulator.lots import TILE_PX, Lot, mosaic, scene_yield

MATTERS = 40.0
"""Tiles a second and core that a simulator of whole lots must reach."""


def main(rounds: int, lots: int) -> None:
    """Measure and print."""
    ordered = sorted(reference_lots(), key=lambda lot: lot.attributes.size)
    step = (len(ordered) - 1) / (lots - 1)
    chosen = [ordered[round(number * step)] for number in range(lots)]
    mosaic(chosen[0], 1, tiles_per_side=1)  # compiles
    n_tiles = TILES_PER_SIDE**2
    work = [(lot, number) for number in range(rounds) for lot in chosen]
    scenes: dict[str, list[float]] = {lot.lot_id: [] for lot in chosen}
    scans: dict[str, list[float]] = {lot.lot_id: [] for lot in chosen}
    for lot, number in track(work, "mosaics of 10 x 10 tiles", console=Console(stderr=True)):
        scene_s, scan_s = _time(lot, number, n_tiles)
        scenes[lot.lot_id].append(scene_s / n_tiles)
        scans[lot.lot_id].append(scan_s / n_tiles)

    table = Table(
        *("lot", "diameter, um", "scene, ms", "scan, ms", "tiles/s a core", "spread"),
        title="Simulated tiles of 256 x 256, time a tile",
        title_justify="left",
    )
    for column in table.columns[1:]:
        column.justify = "right"
    rates = []
    for lot in chosen:
        totals = [a + b for a, b in zip(scenes[lot.lot_id], scans[lot.lot_id], strict=True)]
        rate = 1.0 / statistics.median(totals)
        rates.append(rate)
        table.add_row(
            lot.lot_id,
            f"{lot.attributes.diameter_um:.0f}",
            f"{1e3 * statistics.median(scenes[lot.lot_id]):.1f}",
            f"{1e3 * statistics.median(scans[lot.lot_id]):.1f}",
            f"{rate:.0f}",
            f"{1.0 / max(totals):.0f} to {1.0 / min(totals):.0f}",
        )
    console = Console()
    console.print(table)
    overall = len(rates) / sum(1.0 / rate for rate in rates)
    console.print(
        f"slowest lot {min(rates):.0f}, all lots together {overall:.0f} tiles/s a core; "
        f"asked for are {MATTERS:.0f}"
    )


def _time(lot: Lot, number: int, n_tiles: int) -> tuple[float, float]:
    """Seconds to make a scene, and to scan its tiles."""
    start = time.perf_counter()
    grey = scene_yield(lot, region=900 + number, tiles_per_side=TILES_PER_SIDE)
    between = time.perf_counter()
    rng = np.random.default_rng(number)
    for _ in range(n_tiles):
        acquire(grey[:TILE_PX, :TILE_PX], NOMINAL, rng)
    return between - start, time.perf_counter() - between


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lots", type=int, default=6)
    options = parser.parse_args()
    main(options.rounds, options.lots)
