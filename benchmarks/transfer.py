"""What fine-tuning is worth: `python -m benchmarks.transfer`.

Networks learn 30 of the benchmark's 200 new lots from few tiles each, once from nothing and once
from shipped weights (Agrawal & Choudhary 2019, "Transfer learning"). Every draw takes other lots,
and tiles are split by region. Prints, by model and number of tiles, what each reaches in equally
many steps, and in how many steps fine-tuning reaches what a training from nothing does: it is tried
at 1/16 to all of the steps, each with a whole schedule of its own. Finished networks are kept, so a
second run with more tiles or draws trains only what is missing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from lotwise.core.preprocessing import resample_area
from lotwise_simulator.benchmark import new_lots
from lotwise_training.config.load import RECIPES, load_recipe
from lotwise_training.config.schema import CommitteeRecipe, LoopRecipe, RegressorRecipe
from lotwise_training.data.benchmark import GEOMETRY
from lotwise_training.data.property_lots import STRENGTH_GEOMETRY, ordered_tiles
from lotwise_training.data.render_cache import RenderOrder
from lotwise_training.data.tiles import Numbers, TileDataset
from lotwise_training.inference.predict import (
    load_network,
    load_regressor,
    predict_logits,
    predict_property,
)
from lotwise_training.metrics import mape
from lotwise_training.models.wide_resnet import TileClassifier
from lotwise_training.pipelines.pretrained import find_pretrained
from lotwise_training.training.base import Job, Trainer, checkpoint_path
from lotwise_training.training.parallel import train_networks
from lotwise_training.training.pretrained import Pretrained
from lotwise_training.training.tasks.classifier import ClassifierJob, ClassifierTrainer
from lotwise_training.training.tasks.property import RegressorTask, lot_values
from lotwise_training.training.tasks.regression import RegressionTrainer

LOTS: Final = 30
MOST_DRAWS: Final = 6
"""No lot is in two draws."""
REGION: Final = 301
SCENE_SIDE: Final = 2
TEST_TILES: Final = 20
VALIDATION_TILES: Final = 8
SHARES: Final = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Of the steps of a training from nothing, that fine-tuning is tried with."""
SIZES: Final = {"committee": (20, 50, 100, 300), "regressor": (20, 100)}
"""Tiles of each lot to learn from, by model."""

console = Console(stderr=True)


@dataclass(frozen=True)
class Model:
    """What is trained, and how it is measured.

    Attributes:
        recipe: How it is trained.
        channels, px: Of its input.
        trainer: Makes the trainer of some lots.
        job: Makes a job.
        figure: Name of the score.
        score: The figure of a checkpoint on test tiles, in percent.
        rising: Whether more of it is better.
    """

    recipe: LoopRecipe
    channels: int
    px: int
    trainer: Callable[[TileDataset], Trainer[Any]]
    job: Callable[..., Job]
    figure: str
    score: Callable[[Path, TileDataset, Numbers], float]
    rising: bool


def classifier_job(**common: Any) -> ClassifierJob:
    """A job that tells all lots of a draw apart."""
    return ClassifierJob(**common, classes=np.arange(LOTS), dropout=0.0)


def accuracy(path: Path, data: TileDataset, test: Numbers) -> float:
    """Share of the test tiles whose lot is recognised."""
    network, _ = load_network(path)
    right = (
        predict_logits(TileClassifier(network).eval(), data.images[test]).argmax(axis=1)
        == data.lots[test]
    )
    return float(100.0 * right.mean())


def error(path: Path, data: TileDataset, test: Numbers) -> float:
    """Mean absolute error of the property that is predicted of test tiles."""
    return mape(predict_property(load_regressor(path), data.images[test]), lot_values(data)[test])


def models(options: argparse.Namespace) -> dict[str, Model]:
    """Both models by name, with the recipes for two cores."""
    committee = load_recipe(CommitteeRecipe, RECIPES, "cpu", "committee").network
    regressor = load_recipe(RegressorRecipe, RECIPES, "cpu", "regressor").network
    regressor = replace(regressor, steps=options.regressor_steps)
    committee = replace(committee, steps=options.steps)
    return {
        "committee": Model(
            committee,
            channels=1,
            px=GEOMETRY.px,
            trainer=lambda data: ClassifierTrainer(data, committee),
            job=classifier_job,
            figure="accuracy, %",
            score=accuracy,
            rising=True,
        ),
        "regressor": Model(
            regressor,
            channels=regressor.unshuffle**2,
            px=STRENGTH_GEOMETRY.px,
            trainer=lambda data: RegressionTrainer(RegressorTask, data, regressor),
            job=Job,
            figure="MAPE, %",
            score=error,
            rising=False,
        ),
    }


def drawn_tiles(draw: int, most: int, cache: Path) -> TileDataset:
    """Tiles of a draw's lots: to test, to validate, then `most` to learn from."""
    lots = np.random.default_rng(0).permutation(len(new_lots()))[LOTS * draw : LOTS * (draw + 1)]
    count = TEST_TILES + VALIDATION_TILES + most
    orders = [
        RenderOrder(new_lots()[lot], REGION, count, STRENGTH_GEOMETRY.px, SCENE_SIDE)
        for lot in np.sort(lots)
    ]
    return ordered_tiles("transfer", orders, cache)


def seen_at(data: TileDataset, px: int) -> TileDataset:
    """The same tiles in the resolution of a model."""
    edge = data.images.shape[1]
    if px == edge:
        return data
    small = np.stack([resample_area(image, px) for image in data.images])
    scale = data.um_per_px * edge / px
    return replace(data, images=small, um_per_px=scale, version=f"{data.version} at {px} px")


def split(data: TileDataset, tiles: int) -> tuple[Numbers, Numbers, Numbers]:
    """Tiles to learn from, to validate and to test; no scene has tiles in two of them."""
    place = np.arange(len(data)) - np.searchsorted(data.lots, np.arange(LOTS))[data.lots]
    held = TEST_TILES + VALIDATION_TILES
    return (
        np.flatnonzero((place >= held) & (place < held + tiles)),
        np.flatnonzero((place >= TEST_TILES) & (place < held)),
        np.flatnonzero(place < TEST_TILES),
    )


def network_name(model: str, draw: int, tiles: int, begin: str) -> str:
    """Of a checkpoint; `begin` is "nothing", or "tuned" and the steps."""
    return f"{model}/draw_{draw}/tiles_{tiles}/{begin}"


def tuned_steps(model: Model) -> list[int]:
    """Steps that fine-tuning is tried with, rising."""
    return [max(1, round(share * model.recipe.steps)) for share in SHARES]


def run_draw(
    name: str, model: Model, draw: int, begun: Pretrained, options: argparse.Namespace
) -> dict[int, dict[str, float]]:
    """Train and measure all networks of a draw.

    Returns:
        Figures by the number of tiles and by what a network began with.
    """
    sizes = [tiles for tiles in SIZES[name] if tiles in options.tiles]
    runs = options.home / "runs/transfer"
    data = seen_at(drawn_tiles(draw, max(sizes), options.home / "data"), model.px)
    begins = {"nothing": model.recipe.steps}
    begins |= {f"tuned_{steps}": steps for steps in tuned_steps(model)}
    jobs = []
    for tiles in sizes:
        train, validation, _ = split(data, tiles)
        jobs += [
            model.job(
                name=network_name(name, draw, tiles, begin),
                train=train,
                validation=validation,
                seed=draw,
                steps=steps,
                head_tiles=model.recipe.head_tiles,
                pretrained=None if begin == "nothing" else begun,
            )
            for begin, steps in begins.items()
        ]
    train_networks(model.trainer(data), jobs, runs, parallel=2)
    _, _, test = split(data, 0)
    return {
        tiles: {
            begin: model.score(
                checkpoint_path(runs, network_name(name, draw, tiles, begin)), data, test
            )
            for begin in begins
        }
        for tiles in sizes
    }


def steps_to_reach(model: Model, figures: Mapping[str, float]) -> int | None:
    """The fewest tried steps with which fine-tuning is no worse than a training from nothing."""
    sign = 1.0 if model.rising else -1.0
    for steps in tuned_steps(model):
        if sign * figures[f"tuned_{steps}"] >= sign * figures["nothing"]:
            return steps
    return None


def table_of(model: Model, draws: list[dict[int, dict[str, float]]], title: str) -> Table:
    """One row a number of tiles: mean and standard deviation over draws."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    steps = model.recipe.steps
    headings = ("tiles\na lot", f"from nothing,\n{steps} steps")
    tuned = (f"fine-tuned,\n{each} steps" for each in tuned_steps(model))
    for heading in (*headings, *tuned, "steps\nto reach it"):
        table.add_column(heading, justify="right")
    for tiles in draws[0]:
        cells = []
        for begin in draws[0][tiles]:
            values = [draw[tiles][begin] for draw in draws]
            spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.1f}{spread}")
        reached = [steps_to_reach(model, draw[tiles]) for draw in draws]
        cells.append(", ".join("never" if each is None else str(each) for each in reached))
        table.add_row(str(tiles), *cells)
    return table


def main(options: argparse.Namespace) -> None:
    """Render, train, measure, print."""
    if not 1 <= options.draws <= MOST_DRAWS:
        raise SystemExit(f"--draws must lie in 1..{MOST_DRAWS}: no lot is in two draws")
    out, results = Console(width=120), {}
    for name, model in models(options).items():
        if name not in options.models or not set(SIZES[name]) & set(options.tiles):
            continue
        begun = find_pretrained(options.begin, name)
        begun[0].check_shape(model.recipe.depth, model.recipe.widen, model.channels)
        draws = []
        for draw in range(options.draws):
            console.print(f"{name}, draw {draw + 1} of {options.draws}")
            draws.append(run_draw(name, model, draw, begun[draw % len(begun)], options))
        title = f"{name}: {model.figure} of {LOTS} new lots, mean ± SD of {options.draws} draws"
        out.print(table_of(model, draws, title))
        results[name] = draws
    if options.write:
        options.write.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="begin", type=Path, default=Path("model_repository"))
    parser.add_argument("--models", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument(
        "--tiles", nargs="+", type=int, choices=SIZES["committee"], default=SIZES["committee"]
    )
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--steps", type=int, default=128, help="of a member from nothing")
    parser.add_argument("--regressor-steps", type=int, default=64, help="of a regressor")
    parser.add_argument("--home", type=Path, default=Path(".lotwise"))
    parser.add_argument("--write", type=Path, help="also write all figures, as JSON")
    main(parser.parse_args())
