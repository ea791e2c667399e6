"""What callers notice of restarts: `python -m benchmarks.failover`.

Two replicas of every part, under the load of the shipped client, are restarted one after another.
Then one of the two Tritons is killed. Counted are calls and tiles that failed or got no answer.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from lotwise import Client
from lotwise.client import LotwiseError, TileFailure
from lotwise.platform.launcher import Platform, label
from lotwise.platform.ports import SERVICES, PlatformPorts
from lotwise_simulator import mosaic
from lotwise_simulator.benchmark import reference_lots

LOT = reference_lots()[0]
TILES = 8
CALM_S = 15.0
SETTLE_S = 2.0
"""Between two restarts: until clients have found what has come back. It is what an orchestrator
waits after a pod has become ready."""
Question = Callable[[Client, list[np.ndarray]], int]


@dataclass
class Asked:
    """What one caller saw.

    Attributes:
        calls: That it made.
        tiles: In them.
        failures: What calls ended with.
        lost: Tiles without an answer in calls that did not fail.
        seconds: When each call began and how long it took.
    """

    calls: int = 0
    tiles: int = 0
    failures: list[str] = field(default_factory=list)
    lost: int = 0
    seconds: list[tuple[float, float]] = field(default_factory=list)


def predict(client: Client, tiles: list[np.ndarray]) -> int:
    """One call of the predict service; returns the tiles without an answer."""
    client.predict(tiles[0], um_per_px=1.0)
    return 0


def predict_many(client: Client, tiles: list[np.ndarray]) -> int:
    """One stream."""
    return _lost(len(tiles), list(client.predict_many(tiles, um_per_px=1.0)))


def refer(client: Client, tiles: list[np.ndarray]) -> int:
    """One call of the referral service, which asks uncertainty."""
    client.refer(tiles[0], um_per_px=1.0)
    return 0


def screen_lot(client: Client, tiles: list[np.ndarray]) -> int:
    """A lot; its verdict has to rest on every tile once."""
    verdict = client.screen_lot(tiles, lot_id=LOT.lot_id, um_per_px=1.0)
    return _lost(len(tiles), list(verdict.decisions)) + abs(len(tiles) - verdict.tiles)


def sweep(client: Client, tiles: list[np.ndarray]) -> int:
    """An explanation, which asks Triton a dozen times."""
    client.explain_forward(tiles[0], lot_id=LOT.lot_id, um_per_px=1.0, vary="size", steps=3)
    return 0


LOAD: dict[str, Question] = {
    "predict": predict,
    "predict, streams of 8": predict_many,
    "refer": refer,
    "screen_lot, lots of 8": screen_lot,
    "explain_forward": sweep,
}


def _lost(sent: int, answers: list[object]) -> int:
    return sent - sum(not isinstance(answer, TileFailure) for answer in answers)


@contextmanager
def load(
    platform: Platform, tiles: list[np.ndarray], questions: dict[str, Question], pause_s: float
) -> Iterator[dict[str, Asked]]:
    """A caller for each question, who asks it again and again until the block ends.

    Args:
        platform: Is asked.
        tiles: Of each stream and lot; the first where one is enough.
        questions: By name.
        pause_s: Between two calls of a caller, in seconds.
    """
    seen = {name: Asked() for name in questions}
    over = threading.Event()

    def ask(question: Question, asked: Asked) -> None:
        with Client(**{name: platform.address(name) for name in SERVICES}) as client:  # type: ignore[arg-type]
            while not over.is_set():
                began = time.monotonic()
                asked.calls += 1
                asked.tiles += len(tiles) if question in (predict_many, screen_lot) else 1
                try:
                    asked.lost += question(client, tiles)
                except LotwiseError as error:
                    asked.failures.append(f"{error.reason}: {error.message}")
                asked.seconds.append((began, time.monotonic() - began))
                over.wait(pause_s)

    callers = [
        threading.Thread(target=ask, args=(question, seen[name]))
        for name, question in questions.items()
    ]
    for caller in callers:
        caller.start()
    try:
        yield seen
    finally:
        over.set()
        for caller in callers:
            caller.join()


def restart_all(platform: Platform, tell: Callable[[str], None]) -> None:
    """Every part of every replica, one after another."""
    for number, triton in enumerate(platform.tritons):
        tell(f"restarting {label('Triton', number)}")
        triton.stop()
        triton.start()
        time.sleep(SETTLE_S)
    for name, number in platform.services:
        tell(f"restarting {label(name, number)}")
        platform.restart(name, number)
        time.sleep(SETTLE_S)


def kill_triton(platform: Platform) -> tuple[float, float]:
    """Kill the second Triton; wait until it is back.

    Returns:
        When it was killed, and seconds until both serve again.
    """
    victim = platform.tritons[1]
    assert victim.pid is not None
    killed, restarts = time.monotonic(), victim.restarts
    os.kill(victim.pid, signal.SIGKILL)
    while victim.restarts == restarts or not victim.is_ready():
        time.sleep(0.05)
    return killed, time.monotonic() - killed


def main(models: Path, pause_s: float, *, restarts: bool) -> None:
    """Measure and print."""
    console = Console()
    tiles = [tile.image for tile in mosaic(LOT, TILES, region=3_000)]
    ports = [PlatformPorts.free(), PlatformPorts.free()]
    with tempfile.TemporaryDirectory() as state:
        platform = Platform(models, Path(state), ports[0], Path(".triton"), "triton", ports[1:])
        with console.status("starting two replicas of every part") as status, platform:
            with load(platform, tiles, LOAD, pause_s) as calm:
                time.sleep(CALM_S)
            _print(console, "undisturbed", calm)
            if restarts:
                with load(platform, tiles, LOAD, pause_s) as restarted:
                    restart_all(platform, status.update)
                _print(console, "every part restarted, one after another", restarted)
            with load(platform, tiles, LOAD, pause_s) as killed:
                time.sleep(CALM_S)
                status.update("killing Triton 2")
                at, back_s = kill_triton(platform)
                time.sleep(SETTLE_S)
    _print(console, "one of two Tritons killed", killed)
    for name, asked in killed.items():
        ended = min(began + took for began, took in asked.seconds if began + took > at)
        console.print(f"{name}: the next answer came {ended - at:.1f} s after the kill.")
    console.print(f"Both Tritons served again {back_s:.1f} s after it.")


def _print(console: Console, title: str, seen: dict[str, Asked]) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("caller")
    for column in ("calls", "failed", "tiles", "tiles lost", "median s", "longest s"):
        table.add_column(column, justify="right")
    for name, asked in seen.items():
        took = [seconds for _, seconds in asked.seconds]
        table.add_row(
            name,
            f"{asked.calls:,}",
            f"{len(asked.failures)}",
            f"{asked.tiles:,}",
            f"{asked.lost}",
            f"{np.median(took):.2f}",
            f"{max(took):.2f}",
        )
    console.print(table)
    for name, asked in seen.items():
        for failure in asked.failures:
            console.print(f"{name}: {failure}", style="red", markup=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("model_repository"))
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between calls")
    parser.add_argument("--only-kill", action="store_true", help="no restarts before the kill")
    options = parser.parse_args()
    # An ended run must not leave its platform behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    main(options.models, options.pause, restarts=not options.only_kill)
