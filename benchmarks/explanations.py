"""What explanations are worth: `python -m benchmarks.explanations [PART ...]`; all parts if none.

- traits: whether the slope that the service claims of a simulated lot has the sign and the size of
  the exact derivative (Cang et al., the trait score).
- validity: how many targets that can be reached are reached, and how many are called out of reach.
  One can be reached where one of 512 random points in the box reaches it.
- slider: time of one edit through the service on Triton, of a tile that was asked about before.
- neighbours: how long a prediction takes while a tile is explained, beside one that is alone.
- memory: of the explain service, while it is given a lot of two thousand tiles.

How long a search takes beside the published one is what `benchmarks.explain` measures.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import statistics
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import qmc

from lotwise.core.tile import DecodedTile
from lotwise.explain.editing import EditorModels
from lotwise.explain.handler import ExplainHandler
from lotwise.explain.question import BackwardQuestion
from lotwise.platform.launcher import Platform
from lotwise.platform.ports import PlatformPorts
from lotwise.runtime.assemble import assemble_repository
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference
from lotwise.v1 import (
    explain_pb2,
    explain_pb2_grpc,
    predict_pb2,
    predict_pb2_grpc,
    tile_pb2,
)
from lotwise_simulator import ATTRIBUTE_NAMES, benchmark, mosaic
from lotwise_simulator.lots import Lot

NAMES: Final = EditorModels("regressor", "editor_encoder", "editor_decoder", "edit_gradient")
POINTS: Final = 512
WITHIN: Final = 0.01
"""Of the target."""
TARGETS: Final = (0.75, 0.9, 1.1, 1.33)
"""Of the tile's own prediction."""
TILES_OF_A_LOT: Final = 2
LOT_TILES: Final = 2000
SLIDER_STEPS: Final = 60
PREDICTIONS: Final = 15
"""In a row."""

Floats = npt.NDArray[np.float64]
Item = TypeVar("Item")
console = Console()


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parts = {
        "traits": traits,
        "validity": validity,
        "slider": slider,
        "neighbours": neighbours,
        "memory": memory,
    }
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(parts)}; all if none")
    parser.add_argument("--models", type=Path, default=Path("model_repository"))
    parser.add_argument("--lots", type=int, default=200, help="of traits, at most 200")
    parser.add_argument("--tiles", type=int, default=24, help="of validity, a lot each")
    parser.add_argument("--rounds", type=int, default=6, help="of neighbours")
    options = parser.parse_args()
    if unknown := sorted(set(options.parts) - set(parts)):
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(parts)}")
    assemble_repository(options.models)
    for name in options.parts or parts:
        asyncio.run(parts[name](options))


async def traits(options: argparse.Namespace) -> None:
    """Claimed slopes of new lots beside the exact derivatives."""
    engine = OnnxRuntimeInference(options.models)
    lots = benchmark.new_lots()[: options.lots]
    claimed = np.empty((len(lots), len(ATTRIBUTE_NAMES)))
    try:
        editor = await ExplainHandler(engine, NAMES).editor()
        for row, lot in enumerate(shown(lots, "traits")):
            own = lot.attributes.as_array()
            slopes = []
            for tile in mosaic(lot, TILES_OF_A_LOT, tiles_per_side=2):
                editable = await editor.encode(DecodedTile(tile.image, 1.0), own)
                slopes += [each.gradient for each in await editable.evaluate(own[None])]
            claimed[row] = np.mean(slopes, axis=0)
    finally:
        await engine.close()
    true = np.stack([lot.peak_stress_gradient for lot in lots])
    table = Table(
        title=f"Slopes at {len(lots)} new lots, {TILES_OF_A_LOT} tiles of each, beside the truth",
        title_justify="left",
    )
    for heading in (
        "attribute",
        "sign right",
        "of 1 true, claimed",
        "correlation",
        "mean true, psi",
    ):
        table.add_column(heading, justify="left" if heading == "attribute" else "right")
    for axis, name in enumerate(ATTRIBUTE_NAMES):
        mine, truth = claimed[:, axis], true[:, axis]
        table.add_row(
            name,
            f"{np.mean(np.sign(mine) == np.sign(truth)):.1%}",
            f"{float(mine @ truth / (truth @ truth)):.2f}",
            f"{np.corrcoef(mine, truth)[0, 1]:.2f}",
            f"{truth.mean():+,.0f}",
        )
    console.print(table)


async def validity(options: argparse.Namespace) -> None:
    """Targets that can be reached, and what the service says of them."""
    engine = OnnxRuntimeInference(options.models)
    handler = ExplainHandler(engine, NAMES)
    points = qmc.Sobol(len(ATTRIBUTE_NAMES), rng=np.random.default_rng(0)).random(POINTS)
    tiles = feasible = reached = refused = infeasible = found_anyway = 0
    evaluations, seconds = [], []
    try:
        for lot in shown(benchmark.new_lots()[: options.tiles], "validity"):
            own = lot.attributes.as_array()
            stated = dict(zip(ATTRIBUTE_NAMES, map(float, own), strict=True))
            tile = DecodedTile(mosaic(lot, 1, tiles_per_side=1)[0].image, 1.0)
            editable = await (await handler.editor()).encode(tile, own)
            values = (await editable.edit(np.concatenate([points, own[None]]))).values
            values = editable.original + values[:-1] - values[-1]
            for share in TARGETS:
                target = share * editable.original
                began = time.perf_counter()
                answer = await handler.backward(tile, "", stated, BackwardQuestion(target=target))
                seconds.append(time.perf_counter() - began)
                evaluations.append(answer.found.evaluations)
                hit = abs(answer.after - target) <= WITHIN * target
                if np.abs(values - target).min() <= WITHIN * target:
                    feasible += 1
                    reached += hit
                    refused += not answer.reached
                else:
                    infeasible += 1
                    found_anyway += hit
            tiles += 1
    except asyncio.CancelledError:
        console.print("Broken off: this is what there was by then.")
    finally:
        await engine.close()
    total = feasible + infeasible
    table = Table(title=f"{total} targets of {tiles} new lots", title_justify="left")
    table.add_column("what")
    table.add_column("targets", justify="right")
    table.add_column("share", justify="right")
    rows = (
        (f"one of {POINTS} points is within {WITHIN:.0%}: can be reached", feasible, total),
        ("of these, reached by the service", reached, feasible),
        ("of these, called out of reach", refused, feasible),
        ("none of the points is: counted as out of reach", infeasible, total),
        ("of these, reached by the service all the same", found_anyway, infeasible),
    )
    for what, count, of in rows:
        table.add_row(what, str(count), f"{count / max(1, of):.1%}")
    console.print(table)
    console.print(
        f"Evaluations of an answer: {statistics.median(evaluations):.0f} in the middle, "
        f"{max(evaluations)} at most; {statistics.median(seconds):.1f} s in the middle."
    )


async def slider(options: argparse.Namespace) -> None:
    """One edit after another of one tile, end to end."""
    lot = benchmark.new_lots()[0]
    tile = message(lot, mosaic(lot, 1, tiles_per_side=1)[0].image)
    wanted = np.linspace(0.1, 0.9, SLIDER_STEPS)
    with started(options.models) as platform:
        async with grpc.aio.insecure_channel(platform.ports.address("explain")) as channel:
            stub = explain_pb2_grpc.ExplainServiceStub(channel)
            spent = []
            for at in [0.5, *wanted]:
                request = explain_pb2.EditRequest(
                    tile=tile,
                    attributes=attributes_of(lot),
                    wanted=[explain_pb2.AttributeValue(name="size", value=float(at))],
                    allow_unfamiliar=True,
                )
                began = time.perf_counter()
                await stub.Edit(request)
                spent.append(1000.0 * (time.perf_counter() - began))
    first, *later = spent
    table = Table(title="One edit through the explain service on Triton, ms", title_justify="left")
    for heading in ("edit", "median", "quartiles", "95th percentile"):
        table.add_column(heading, justify="left" if heading == "edit" else "right")
    low, middle, high, late = np.percentile(later, [25, 50, 75, 95])
    table.add_row("the first of a tile", f"{first:.0f}", "", "")
    table.add_row(
        f"{len(later)} more of it", f"{middle:.0f}", f"{low:.0f} to {high:.0f}", f"{late:.0f}"
    )
    console.print(table)


async def neighbours(options: argparse.Namespace) -> None:
    """Predictions alone and beside an explanation, in turn."""
    lot = benchmark.new_lots()[0]
    tile = message(lot, mosaic(lot, 1, tiles_per_side=1)[0].image)
    alone: list[float] = []
    beside: list[float] = []
    with started(options.models) as platform:
        async with (
            grpc.aio.insecure_channel(platform.ports.address("explain")) as explain,
            grpc.aio.insecure_channel(platform.ports.address("predict")) as predict,
        ):
            explainer = explain_pb2_grpc.ExplainServiceStub(explain)
            predictor = predict_pb2_grpc.PredictServiceStub(predict)
            original = (await predictor.Predict(predict_pb2.PredictRequest(tile=tile))).value

            async def explained() -> None:
                while True:  # until it is cancelled
                    request = explain_pb2.BackwardRequest(
                        tile=tile,
                        attributes=attributes_of(lot),
                        target=TARGETS[-1] * original,
                        starts=8,
                        allow_unfamiliar=True,
                    )
                    await explainer.Backward(request)

            for _ in shown(range(options.rounds), "neighbours"):
                for spent in (alone, beside):
                    load = asyncio.create_task(explained()) if spent is beside else None
                    await asyncio.sleep(0.5)  # until the explanation is at work
                    for _ in range(PREDICTIONS):
                        began = time.perf_counter()
                        await predictor.Predict(predict_pb2.PredictRequest(tile=tile))
                        spent.append(1000.0 * (time.perf_counter() - began))
                    if load is not None and not load.cancel():
                        load.result()  # it failed: nothing was beside
    rows = [np.percentile(spent, [50, 95]) for spent in (alone, beside)]
    table = Table(title="A prediction on Triton, ms", title_justify="left")
    for heading in ("", "median", "95th percentile"):
        table.add_column(heading, justify="right" if heading else "left")
    for what, (middle, late) in zip(("alone", "beside an explanation"), rows, strict=True):
        table.add_row(what, f"{middle:.0f}", f"{late:.0f}")
    table.add_row("ratio", *(f"{b / a:.1f}" for a, b in zip(*rows, strict=True)))
    console.print(table)


async def memory(options: argparse.Namespace) -> None:
    """The explain service with a large lot."""
    lot = benchmark.new_lots()[0]
    few = [tile.image for tile in mosaic(lot, 16)]
    rng = np.random.default_rng(0)
    with started(options.models) as platform:
        async with grpc.aio.insecure_channel(platform.ports.address("explain")) as channel:
            stub = explain_pb2_grpc.ExplainServiceStub(channel)

            async def sent() -> AsyncIterator[explain_pb2.ForwardLotRequest]:
                for number in shown(range(LOT_TILES), "memory"):
                    # Another noise each: no two tiles are the same file.
                    noise = rng.integers(-2, 3, few[0].shape)
                    picture = (few[number % len(few)] + noise).clip(0, 255).astype(np.uint8)
                    yield explain_pb2.ForwardLotRequest(
                        tile=message(lot, picture, f"{number}.png"),
                        attributes=attributes_of(lot),
                        vary=["size"],
                        steps=2,
                        allow_unfamiliar=True,
                    )

            before = peak_mib(platform.pid("explain"))
            async for event in stub.ForwardLot(sent()):
                last = event
            after = peak_mib(platform.pid("explain"))
    told = last.result.tiles
    console.print(
        f"A lot of {told.received:,} tiles, {told.sampled} of them worked on: the explain service "
        f"had {before:.0f} MiB at most before, and {after:.0f} MiB at most after."
    )


def started(models: Path) -> Platform:
    """The platform on Triton."""
    state = Path(".lotwise/benchmark")
    return Platform(models, state, PlatformPorts.free(), Path(".triton"), "triton")


def message(lot: Lot, picture: npt.NDArray[np.uint8], name: str = "tile.png") -> tile_pb2.Tile:
    """A tile as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return tile_pb2.Tile(tile_id=name, lot_id=lot.lot_id, file=buffer.getvalue(), um_per_px=1.0)


def attributes_of(lot: Lot) -> list[explain_pb2.AttributeValue]:
    """Of the lot, as a laboratory would state them."""
    return [
        explain_pb2.AttributeValue(name=name, value=float(value))
        for name, value in zip(ATTRIBUTE_NAMES, lot.attributes.as_array(), strict=True)
    ]


def peak_mib(pid: int) -> float:
    """Most memory that a process has had, in MiB (Linux)."""
    status: dict[str, Any] = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return float(status["VmHWM"].split()[0]) / 1024.0


def shown(items: Sequence[Item], what: str) -> Iterable[Item]:
    """The items, with a progress bar."""
    return track(items, what, console=Console(stderr=True))


if __name__ == "__main__":
    main()
