"""Every tile once, whoever is killed: `python -m benchmarks.screening_kills`.

A lot of simulated tiles is screened into a store. On the way the screener, a service or Triton is
killed (SIGKILL) again and again, at random tiles. What was killed comes back: the platform starts
its parts again, and a new screener goes on. At the end the store must hold each tile's result
exactly once, and each must be what an undisturbed platform answers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from PIL import Image
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from lotwise.platform.launcher import Platform
from lotwise.platform.ports import SERVICES, PlatformPorts
from lotwise.screening.services import Services
from lotwise.screening.sources import open_source
from lotwise.screening.stored import StoredScreening
from lotwise.store import Store, StoredResult
from lotwise_simulator import mosaic
from lotwise_simulator.benchmark import reference_lots

REGION: Final = 9_000
BLOCK: Final = 256
"""Tiles that are rendered at a time, a mosaic each."""
PARTS: Final = ("screener", "predict", "uncertainty", "referral", "Triton")
COMPARED: Final = 100
"""Tiles that are asked about again at the end."""
SAME: Final = 1e-4
"""Largest relative difference of numbers: batches of other sizes round otherwise."""


@dataclass
class Kills:
    """Who is killed when.

    Attributes:
        at: Numbers of tiles with a result, rising.
        parts: Who is killed there.
    """

    at: list[int]
    parts: list[str]
    done: Counter[str] = field(default_factory=Counter)

    @classmethod
    def drawn(cls, tiles: int, kills: int, seed: int) -> Kills:
        """At random tiles, each part about equally often in a random order."""
        rng = random.Random(seed)
        parts = [PARTS[number % len(PARTS)] for number in range(kills)]
        rng.shuffle(parts)
        return cls(sorted(rng.randrange(1, tiles) for _ in range(kills)), parts)


def write_lot(folder: Path, tiles: int) -> None:
    """Tiles of one simulated lot, in one mosaic after another."""
    folder.mkdir(parents=True)
    lot = reference_lots()[0]
    for block in track(range(0, tiles, BLOCK), "rendering tiles"):
        for number, tile in enumerate(
            mosaic(lot, min(BLOCK, tiles - block), region=REGION + block // BLOCK), block
        ):
            Image.fromarray(tile.image).save(folder / f"r{number // 64:03d}_c{number % 64:03d}.png")
    (folder / "lot.json").write_text('{"um_per_px": 1.0, "simulated": true}')


@contextlib.contextmanager
def kept_up(platform: Platform) -> Iterator[None]:
    """What exits is started again, as `lotwise up` does."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.5):
            platform.revive()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def screener(folder: Path, store: Path, platform: Platform) -> subprocess.Popen[bytes]:
    """The shipped command."""
    names = ("predict", "uncertainty", "referral")
    ports = [f"--{name}={platform.ports.address(name)}" for name in names]
    code = "from lotwise.cli import main; main()"
    command = [sys.executable, "-c", code, "screen", str(folder), "--store", str(store), *ports]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def screened_under_fire(
    folder: Path, path: Path, platform: Platform, kills: Kills, tiles: int
) -> tuple[int, int]:
    """Screen the lot to its end while parts are killed.

    Returns:
        Screeners that were needed, and results when the last kill was done.
    """
    Store.open(path, create=True).close()
    process, screeners, left = screener(folder, path, platform), 1, 0
    with Store.open(path) as store, Progress() as bars:
        bar = bars.add_task("screening", total=tiles)
        while True:
            begun = store.screenings()
            done = store.progress(begun[-1].key).done if begun else 0
            bars.update(bar, completed=done)
            if kills.at and done >= kills.at[0]:
                part, left = kills.parts[0], done
                victim = process.pid if part == "screener" else pid_of(platform, part)
                if victim is not None:  # else it is still down
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(victim, signal.SIGKILL)
                    kills.done[part] += 1
                    kills.at.pop(0)
                    kills.parts.pop(0)
            code = process.poll()
            if code == 0:
                return screeners, left
            if code is not None:
                process, screeners = screener(folder, path, platform), screeners + 1
            time.sleep(0.1)


def pid_of(platform: Platform, part: str) -> int | None:
    """Process id of a service or of Triton; None while it is down."""
    if part in SERVICES:
        return platform.pid(part)
    return platform.triton.pid if platform.triton is not None else None


async def differing(
    folder: Path, results: list[StoredResult], addresses: dict[str, str], scratch: Path
) -> int:
    """Of some tiles, how many are answered otherwise by a platform that nobody disturbs."""
    chosen = random.Random(0).sample(results, min(COMPARED, len(results)))
    again = scratch / "again"
    again.mkdir()
    for name in ("lot.json", *(each.tile.path for each in chosen)):
        (again / name).write_bytes((folder / name).read_bytes())
    async with Services(addresses) as services:
        with Store.open(scratch / "again.sqlite", create=True) as store:
            found = await StoredScreening(store, open_source(str(again)), services).run()
            fresh = {each.tile.sha256: each.result for each in store.results(found.key)}
    count = 0
    for each in chosen:
        was, now = each.result, fresh[each.tile.sha256]
        assert was.score is not None
        assert was.value is not None
        assert now.score is not None
        assert now.value is not None
        same = was.decision == now.decision and was.looks_like == now.looks_like
        for before, after in ((was.score, now.score), (was.value, now.value)):
            same = same and math.isclose(before, after, rel_tol=SAME, abs_tol=SAME)
        count += not same
    return count


def main() -> None:
    """Screen, kill, count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=5_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path, default=Path("model_repository"))
    parser.add_argument("--triton", type=Path, default=Path(".triton"))
    options = parser.parse_args()
    kills = Kills.drawn(options.tiles, options.kills, options.seed)
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        folder, path = scratch / "lot", scratch / "store.sqlite"
        write_lot(folder, options.tiles)
        platform = Platform(
            options.models, scratch / "state", PlatformPorts.free(), options.triton, "triton"
        )
        started = time.perf_counter()
        with platform, kept_up(platform):
            screeners, left = screened_under_fire(folder, path, platform, kills, options.tiles)
            seconds = time.perf_counter() - started
            with Store.open(path) as store:
                (screening,) = store.screenings()
                results = list(store.results(screening.key))
            addresses = {name: platform.ports.address(name) for name in SERVICES}
            other = asyncio.run(differing(folder, results, addresses, scratch))
    table = Table(title=f"{options.tiles:,} tiles, {sum(kills.done.values())} kills", box=None)
    table.title_justify = "left"
    table.add_column("")
    table.add_column("", justify="right")
    ids = {each.tile.id for each in results}
    assert screening.outcome is not None
    rows = {
        **{f"killed: {part}": kills.done[part] for part in PARTS},
        "tiles when the last was killed": left,
        "screeners": screeners,
        "results in the store": len(results),
        "different tiles among them": len(ids),
        "tiles of the verdict": screening.outcome.tiles,
        "failed tiles": sum(each.result.decision == "failed" for each in results),
        f"of {min(COMPARED, len(results))} asked again, other answers": other,
        "seconds": round(seconds),
    }
    for name, value in rows.items():
        table.add_row(name, f"{value:,}")
    Console().print(table)
    whole = len(results) == len(ids) == screening.outcome.tiles == options.tiles
    if not whole or other:
        sys.exit("tiles were lost, counted twice or answered falsely")


if __name__ == "__main__":
    main()
