"""How fast what to change is found, beside equation 2 as published: `python -m benchmarks.explain`.

Liu et al. 2020 minimise lambda |p - R(G(I, A'))| + ||A - A'||_1 in eager PyTorch: Adam at a rate
of 0.01, a fixed lambda, the tile encoded anew in every step. Here the same networks, read back from
the model repository, are asked so; beside it the explain service's handler over its engine. For
each tile and target the service answers first, then the published way runs until its objective is
as low, or until its steps are spent, which counts as the time that it has taken by then. Ratios are
taken within a pair, because machines are noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lotwise.core.tile import DecodedTile
from lotwise.explain.editing import EditorModels
from lotwise.explain.handler import ExplainHandler
from lotwise.explain.question import BackwardQuestion
from lotwise.runtime.assemble import assemble_repository
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference
from lotwise_simulator import ATTRIBUTE_NAMES, benchmark, mosaic
from lotwise_training.export.restore import restored_editor, restored_regressor
from lotwise_training.models.editors import EditorNetwork
from lotwise_training.models.wide_resnet import TileRegressor

NAMES: Final = EditorModels("regressor", "editor_encoder", "editor_decoder", "edit_gradient")
RATE: Final = 0.01
WEIGHT: Final = 20.0
"""lambda, for a property in units of the range that was learned: its optimum meets the target
wherever a twentieth of that range can be had for a whole attribute."""
AS_LOW: Final = 1.05
"""The published way has arrived at this many times the service's objective."""
TARGETS: Final = (0.9, 1.1)
"""Of the tile's own prediction."""


WIDTH: Final = 120
"""Of the table: headings must not be cut."""


@dataclass(frozen=True)
class Pair:
    """One tile and target.

    Attributes:
        ours_s, published_s: Time of either.
        steps: Of the published way.
        arrived: Whether it came as low within its steps.
        evaluations: Of the service.
        reached: Whether the service met the target.
    """

    ours_s: float
    published_s: float
    steps: int
    arrived: bool
    evaluations: int
    reached: bool


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=Path, default=Path("model_repository"))
    parser.add_argument("--lots", type=int, default=6)
    parser.add_argument("--steps", type=int, default=300, help="of the published way, at most")
    options = parser.parse_args()
    assemble_repository(options.models)
    editor = restored_editor(options.models)
    regressor = restored_regressor(options.models)
    lots = benchmark.new_lots()[: options.lots]
    cases = [(lot, share) for lot in lots for share in TARGETS]
    console = Console(width=max(Console().width, WIDTH))
    table = Table(title="What to change: the service beside equation 2 as published")
    for heading in (
        "searches",
        "tiles x targets",
        "met by the service",
        "as low within the steps",
        "service, s",
        "published, s",
        "ratio, median",
        "quartiles",
    ):
        table.add_column(heading, justify="right")
    for starts in (1, 3):
        pairs = []
        for lot, share in track(cases, f"{starts} searches", console=Console(stderr=True)):
            tile = mosaic(lot, 1, tiles_per_side=1)[0].image
            own = lot.attributes.as_array()
            pairs.append(measure(options, editor, regressor, tile, own, share=share, starts=starts))
        ratios = [pair.published_s / pair.ours_s for pair in pairs]
        low, middle, high = np.percentile(ratios, [25, 50, 75])
        table.add_row(
            str(starts),
            str(len(pairs)),
            str(sum(pair.reached for pair in pairs)),
            str(sum(pair.arrived for pair in pairs)),
            f"{statistics.median(pair.ours_s for pair in pairs):.2f}",
            f"{statistics.median(pair.published_s for pair in pairs):.2f}",
            f"{middle:.1f}",
            f"{low:.1f} to {high:.1f}",
        )
    console.print(table)
    console.print(
        "Where the published way did not come as low, its time is that of all its steps, so the "
        "ratio is a lower bound. Targets: 10% below and above the tile's own prediction."
    )


def measure(
    options: argparse.Namespace,
    editor: EditorNetwork,
    regressor: TileRegressor,
    tile: np.ndarray,
    own: np.ndarray,
    *,
    share: float,
    starts: int,
) -> Pair:
    """Both ways to one target of one tile."""
    image = torch.from_numpy(tile[None, None])
    with torch.no_grad():
        original = float(regressor(image))
    target = share * original
    began = time.perf_counter()
    found = asyncio.run(_asked(options.models, tile, own, target, starts))
    ours = time.perf_counter() - began - found.started_s
    # What the service's answer is worth by the published objective.
    goal = WEIGHT * abs(found.after - target) / found.span + found.cost
    published, steps, arrived = publish(
        editor, regressor, image, own, target, found.span, AS_LOW * goal, options.steps
    )
    return Pair(ours, published, steps, arrived, found.evaluations, found.reached)


@dataclass(frozen=True)
class _Found:
    after: float
    cost: float
    span: float
    evaluations: int
    reached: bool
    started_s: float


async def _asked(
    models: Path, tile: np.ndarray, own: np.ndarray, target: float, starts: int
) -> _Found:
    began = time.perf_counter()
    engine = OnnxRuntimeInference(models)
    try:
        for name in NAMES.needed:  # a running service has loaded them long ago
            await engine.describe(name)
        handler = ExplainHandler(engine, NAMES)
        stated = dict(zip(ATTRIBUTE_NAMES, map(float, own), strict=True))
        warm = BackwardQuestion(target=target, starts=starts, max_evaluations=starts)
        await handler.backward(DecodedTile(tile, 1.0), "", stated, warm)
        started = time.perf_counter() - began
        answer = await handler.backward(
            DecodedTile(tile, 1.0), "", stated, BackwardQuestion(target=target, starts=starts)
        )
    finally:
        await engine.close()
    learned = answer.tile.editor.property
    return _Found(
        answer.after,
        answer.cost,
        learned.maximum - learned.minimum,
        answer.found.evaluations,
        answer.reached,
        started,
    )


def publish(
    editor: EditorNetwork,
    regressor: TileRegressor,
    image: torch.Tensor,
    own: np.ndarray,
    target: float,
    span: float,
    goal: float,
    most: int,
) -> tuple[float, int, bool]:
    """Equation 2 in eager PyTorch: its time, its steps, and whether it came down to `goal`."""
    told = torch.from_numpy(own[None].astype(np.float32))
    with torch.no_grad():
        redrawn = editor.decode(*editor.encode(image, told), told)
        shift = float(regressor(redrawn)) - float(regressor(image))
    began = time.perf_counter()
    attributes = told.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([attributes], lr=RATE)
    for step in range(1, most + 1):
        optimiser.zero_grad()
        value = regressor(editor.decode(*editor.encode(image, told), attributes)) - shift
        objective = WEIGHT * (target - value).abs().sum() / span
        objective = objective + (attributes - told).abs().sum()
        if float(objective.detach()) <= goal:
            return time.perf_counter() - began, step, True
        objective.backward()
        optimiser.step()
        with torch.no_grad():
            attributes.clamp_(0.0, 1.0)
    return time.perf_counter() - began, most, False


if __name__ == "__main__":
    main()
