"""What traces cost: `python -m benchmarks.tracing`.

Two platforms side by side, one that sends traces to an endpoint of the benchmark's and one without.
Rounds are interleaved and compared within a round, as in `benchmarks.serving`. Where others use
the machine, too, processor time says more than the clock: that of referral, uncertainty and
Triton's server, without the processes that run its networks.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.serving import encoded_tiles
from lotwise.platform.launcher import Platform
from lotwise.platform.ports import PlatformPorts
from lotwise.v1 import referral_pb2, referral_pb2_grpc, tile_pb2
from lotwise_simulator import mosaic
from lotwise_simulator.benchmark import reference_lots

TILES = 16  # of a stream all are recorded, the dearest case
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
OFF = "no endpoint"
Work = Callable[[Any, list[tile_pb2.Tile], str], Awaitable[None]]


async def main(rounds: int, repository: Path, state: Path) -> None:
    """Measure and print."""
    tiles = encoded_tiles([tile.image for tile in mosaic(reference_lots()[0], TILES, region=3_000)])
    works: dict[str, Work] = {"one by one": _one_by_one, "at once": _at_once, "a stream": _stream}
    with ExitStack() as stack:
        stubs, platforms = {}, {}
        for name, url in ((OFF, ""), ("endpoint", stack.enter_context(Endpoint()).url)):
            os.environ[ENDPOINT] = url
            os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "500"
            platform = Platform(
                repository,
                state / ("traced" if url else "plain"),
                PlatformPorts.free(),
                Path(".triton"),
                "triton",
            )
            platforms[name] = stack.enter_context(platform)
            channel = grpc.aio.insecure_channel(platform.ports.address("referral"))
            stubs[name] = referral_pb2_grpc.ReferralServiceStub(channel)
        arrangements = {
            OFF: (OFF, "00"),
            "endpoint, not sampled": ("endpoint", "00"),
            "endpoint, every call sampled": ("endpoint", "01"),
        }
        seconds: dict[tuple[str, str], list[float]] = {}
        processor: Counter[tuple[str, str]] = Counter()
        for number in track(range(rounds + 1), "interleaved rounds"):
            for what, work in works.items():
                for name, (where, flags) in arrangements.items():
                    used, started = _processor_ms(platforms[where]), time.perf_counter()
                    await work(stubs[where], tiles, flags)
                    if number:  # the first is a warm-up
                        spent = time.perf_counter() - started
                        seconds.setdefault((what, name), []).append(spent)
                        await asyncio.sleep(1)  # spans leave later
                        processor[what, name] += _processor_ms(platforms[where]) - used
    _print(seconds, {key: used / rounds / TILES for key, used in processor.items()})


def _processor_ms(platform: Platform) -> int:
    assert platform.triton is not None
    pids = (platform.pid("referral"), platform.pid("uncertainty"), platform.triton.pid)
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    ticks = sum(int(stat[11]) + int(stat[12]) for stat in stats)
    return ticks * 1000 // os.sysconf("SC_CLK_TCK")


def _traceparent(flags: str) -> tuple[tuple[str, str]]:
    return (("traceparent", f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-{flags}"),)


async def _decide(stub: Any, tile: tile_pb2.Tile, flags: str) -> None:
    await stub.Decide(referral_pb2.DecideRequest(tile=tile), metadata=_traceparent(flags))


async def _one_by_one(stub: Any, tiles: list[tile_pb2.Tile], flags: str) -> None:
    for tile in tiles:
        await _decide(stub, tile, flags)


async def _at_once(stub: Any, tiles: list[tile_pb2.Tile], flags: str) -> None:
    await asyncio.gather(*(_decide(stub, tile, flags) for tile in tiles))


async def _stream(stub: Any, tiles: list[tile_pb2.Tile], flags: str) -> None:
    async def messages() -> AsyncIterator[referral_pb2.DecideStreamRequest]:
        for tile in tiles:
            yield referral_pb2.DecideStreamRequest(request=referral_pb2.DecideRequest(tile=tile))

    async for _ in stub.DecideStream(messages(), metadata=_traceparent(flags)):
        pass


class Endpoint:
    """Takes what is sent to it, in a process of its own, and keeps nothing."""

    def __init__(self) -> None:
        self._told: SimpleQueue[str] = multiprocessing.get_context("spawn").SimpleQueue()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_listen, args=(self._told,), daemon=True
        )
        self.url = ""

    def __enter__(self) -> Endpoint:
        self._process.start()
        self.url = self._told.get()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()


def _listen(told: SimpleQueue[str]) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.put(f"http://127.0.0.1:{server.server_port}")
    server.serve_forever()


def _print(
    seconds: dict[tuple[str, str], list[float]], processor: dict[tuple[str, str], float]
) -> None:
    table = Table(title=f"{TILES} tiles through referral on Triton", title_justify="left")
    table.add_column("tiles")
    table.add_column("traces")
    table.add_column("tiles/s, median", justify="right")
    table.add_column(f"time against {OFF}: median (least to most)", justify="right")
    table.add_column("processor, ms a tile", justify="right")
    for (what, name), measured in seconds.items():
        ratios = [a / b for a, b in zip(measured, seconds[what, OFF], strict=True)]
        table.add_row(
            what,
            name,
            f"{TILES / statistics.median(measured):.0f}",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            f"{processor[what, name]:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--models", type=Path, default=Path("model_repository"))
    options = parser.parse_args()
    asyncio.run(main(options.rounds, options.models, Path(".lotwise/benchmark-tracing")))
