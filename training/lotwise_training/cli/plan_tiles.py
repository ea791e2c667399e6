"""Commands of `lotwise-train` that say what to do next."""

from __future__ import annotations

from typing import Annotated

import typer

from lotwise_simulator.benchmark import VERSION
from lotwise_training.active_learning.learning_curve import RUN, curve_jobs, measure_curve
from lotwise_training.cli.options import (
    HOME,
    RESULTS,
    Home,
    MaxSeconds,
    OwnLots,
    Profile,
    Recipes,
    Results,
    explained,
    fail,
    out,
)
from lotwise_training.config.load import RECIPES
from lotwise_training.config.plan import PlanRecipe
from lotwise_training.config.schema import CommitteeRecipe
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.pipelines.workspace import Workspace
from lotwise_training.report.plan_sheets import curve_sheet, need_sentences
from lotwise_training.report.screen import show
from lotwise_training.store.arrays import write
from lotwise_training.training.parallel import train_networks
from lotwise_training.training.tasks.classifier import ClassifierTrainer

Targets = Annotated[
    list[float] | None,
    typer.Option("--accuracy", help="Share of tiles named rightly, such as 0.9; repeatable."),
]


def plan_tiles(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    max_seconds: MaxSeconds = None,
    own_lots: OwnLots = None,
    results: Results = RESULTS,
    accuracy: Targets = None,
) -> None:
    """Say how many tiles a wished accuracy takes: trains on ever more of them, and looks further.

    Goes on where it was broken off.
    """
    with explained():
        if unreal := [each for each in accuracy or () if not 0.0 < each < 1.0]:
            fail(f"an accuracy lies between 0 and 1, not {unreal[0]:g}")
        workspace = Workspace(home, recipes, profile)
        recipe = workspace.recipe(PlanRecipe, "plan", max_seconds)
        tiles = workspace.committee_tiles(own_lots)
        jobs = curve_jobs(tiles, recipe)
        train_networks(
            ClassifierTrainer(tiles, recipe.network), jobs, workspace.runs, parallel=recipe.parallel
        )
        predictor = PredictionCache(workspace.runs, workspace.recipe(CommitteeRecipe, "committee"))
        benchmark = VERSION if own_lots is None else None
        curve = measure_curve(tiles, recipe, predictor, benchmark=benchmark, profile=profile)
        # The results beside the shipped models are the benchmark's alone.
        folder = results if own_lots is None else workspace.run(RUN)
        write(folder, curve)
        show(curve_sheet(curve), out)
        for sentence in need_sentences(curve, accuracy or ()):
            out.print(sentence)
        out.print(f"wrote {folder / curve.stem}.json")
