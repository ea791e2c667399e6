"""What the platform costs on top of its networks: `python -m benchmarks.serving`.

Rounds of every arrangement are interleaved and compared within a round, because machines are
noisy: the ratio of two neighbours is a fact, a single time is not.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lotwise.core.preprocessing import resample_area
from lotwise.platform.launcher import Platform
from lotwise.platform.ports import PlatformPorts
from lotwise.runtime.inference import Inference
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference
from lotwise.runtime.inference_triton import TritonInference
from lotwise.v1 import (
    predict_pb2,
    predict_pb2_grpc,
    tile_pb2,
    uncertainty_pb2,
    uncertainty_pb2_grpc,
)
from lotwise_simulator import mosaic
from lotwise_simulator.benchmark import reference_lots

LOT = reference_lots()[0]
TILES = 32
Round = Callable[[], Awaitable[None]]


async def main(rounds: int, repository: Path, state: Path) -> None:
    """Measure and print."""
    tiles = [tile.image for tile in mosaic(LOT, TILES, region=3_000)]
    with Platform(repository, state, PlatformPorts.free(), Path(".triton"), "triton") as platform:
        address = f"127.0.0.1:{platform.ports.triton.grpc}"
        triton, in_process = TritonInference(address), OnnxRuntimeInference(repository)
        async with (
            grpc.aio.insecure_channel(platform.ports.address("predict")) as predict,
            grpc.aio.insecure_channel(platform.ports.address("uncertainty")) as uncertainty,
        ):
            arrangements: dict[str, Round] = {
                "regressor, in process": _engine(in_process, "regressor", tiles),
                "regressor, Triton": _engine(triton, "regressor", tiles),
                "regressor, predict service on Triton": _predict(predict, tiles),
                "committee, in process": _engine(in_process, "committee", tiles),
                "committee, Triton": _engine(triton, "committee", tiles),
                "committee, uncertainty service on Triton": _assess(uncertainty, tiles),
                "committee, the same, few members first": _assess(uncertainty, tiles, cascade=True),
            }
            seconds: dict[str, list[float]] = {name: [] for name in arrangements}
            for run in arrangements.values():
                await run()  # warm-up
            for _ in track(range(rounds), "interleaved rounds"):
                for name, run in arrangements.items():
                    started = time.perf_counter()
                    await run()
                    seconds[name].append(time.perf_counter() - started)
        await triton.close()
        await in_process.close()
    _print(seconds)


def _engine(engine: Inference, model: str, tiles: list[np.ndarray]) -> Round:
    edge = 256 if model == "regressor" else 64
    images = [resample_area(tile, edge)[None, None] for tile in tiles]

    async def run() -> None:
        await asyncio.gather(*(engine.infer(model, {"image": image}) for image in images))

    return run


def _predict(channel: grpc.aio.Channel, tiles: list[np.ndarray]) -> Round:
    stub = predict_pb2_grpc.PredictServiceStub(channel)
    requests = [predict_pb2.PredictRequest(tile=tile) for tile in encoded_tiles(tiles)]

    async def run() -> None:
        await asyncio.gather(*(stub.Predict(request) for request in requests))

    return run


def _assess(channel: grpc.aio.Channel, tiles: list[np.ndarray], *, cascade: bool = False) -> Round:
    stub = uncertainty_pb2_grpc.UncertaintyServiceStub(channel)
    requests = [
        uncertainty_pb2.AssessRequest(tile=tile, cascade=cascade) for tile in encoded_tiles(tiles)
    ]

    async def run() -> None:
        await asyncio.gather(*(stub.Assess(request) for request in requests))

    return run


def encoded_tiles(tiles: list[np.ndarray]) -> list[tile_pb2.Tile]:
    """Tiles as PNG, of one reference lot; uint8 [height, width] each."""
    messages = []
    for image in tiles:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="PNG")
        messages.append(tile_pb2.Tile(lot_id=LOT.lot_id, file=buffer.getvalue(), um_per_px=1.0))
    return messages


def _print(seconds: dict[str, list[float]]) -> None:
    table = Table(title=f"{TILES} tiles at once, PNG through the services", title_justify="left")
    table.add_column("arrangement")
    table.add_column("tiles/s, median", justify="right")
    table.add_column("time against in process: median (least to most)", justify="right")
    for name, measured in seconds.items():
        base = seconds[f"{name.split(',')[0]}, in process"]
        ratios = [a / b for a, b in zip(measured, base, strict=True)]
        table.add_row(
            name,
            f"{TILES / statistics.median(measured):.0f}",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        )
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--models", type=Path, default=Path("model_repository"))
    options = parser.parse_args()
    asyncio.run(main(options.rounds, options.models, Path(".lotwise/benchmark")))
