"""The command of `lotwise-train` that plans a laboratory's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lotwise_training.active_learning.simulation import SimulatedPlans
from lotwise_training.cli.options import (
    HOME,
    MODELS,
    RESULTS,
    Home,
    Profile,
    Recipes,
    Results,
    explained,
    fail,
    out,
)
from lotwise_training.config.load import RECIPES
from lotwise_training.pipelines.plan_lots import plan_lot_folder
from lotwise_training.pipelines.plan_table import show_plan
from lotwise_training.pipelines.simulated_plans import simulate_benchmark_plans
from lotwise_training.pipelines.workspace import Workspace
from lotwise_training.report.screen import show
from lotwise_training.store.arrays import write

Lots = Annotated[
    Path | None,
    typer.Option(help="Folder with lots.csv; lots with an empty value are the untested ones."),
]
Next = Annotated[int, typer.Option("--next", min=1, help="How many lots to choose.")]
TargetError = Annotated[
    float, typer.Option(min=0.01, max=100, help="Wished mean error on untested lots, %.")
]
StandardError = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=100,
        help="Standard error of a value in lots.csv, % of it; 0: not known, estimated with the "
        "rest.",
    ),
]
Measure = Annotated[
    bool,
    typer.Option("--measure", help="Measure plans on benchmark v1's new lots instead."),
]
Models = Annotated[
    Path, typer.Option("--repository", help="The model repository whose committee looks.")
]


def plan_lots(
    lots: Lots = None,
    count: Next = 1,
    target_error: TargetError = 5.0,
    standard_error: StandardError = 0.0,
    measure: Measure = False,
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    repository: Models = MODELS,
    results: Results = RESULTS,
) -> None:
    """Say which untested lot to test next, and how many more lots a wished error takes."""
    if measure == (lots is not None):
        fail("name your lots with --lots FOLDER, or measure plans on the benchmark with --measure")
    with explained():
        workspace = Workspace(home, recipes, profile)
        if lots is None:
            # Here, because the report needs the engine that serves, which no training does.
            from lotwise_training.active_learning.savings import forecast_figures, plan_figures
            from lotwise_training.report.lot_plan_section import forecast_sheet, plan_sheet

            made = simulate_benchmark_plans(workspace, repository)
            write(results, made)
            stated = made.manifest()
            show(plan_sheet(plan_figures(made), made, stated), out)
            show(forecast_sheet(forecast_figures(made)), out)
            out.print(f"wrote {results / SimulatedPlans.stem}")
            return
        plan = plan_lot_folder(
            workspace, lots, repository, count, standard_error=standard_error / 100
        )
        show_plan(plan, target_error / 100, out)
