"""Commands of `lotwise-train plan`: which lot to test next, and how many tiles are enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lotwise_training.cli.commands import in_workspace
from lotwise_training.cli.options import (
    MODELS,
    RESULTS,
    MaxSeconds,
    Models,
    OwnLots,
    Results,
    fail,
    out,
)

if TYPE_CHECKING:
    from lotwise_training.pipelines.workspace import Workspace

Accuracies = Annotated[
    list[float] | None,
    typer.Option(
        "--accuracy", help="Share of tiles identified correctly, such as 0.9; repeatable."
    ),
]
Lots = Annotated[
    Path | None,
    typer.Option(help="Folder with lots.csv; lots with an empty value are the untested ones."),
]
Next = Annotated[int, typer.Option("--next", min=1, help="How many lots to choose.")]
TargetError = Annotated[
    float, typer.Option(min=0.01, max=100, help="Target for the mean error on untested lots, %.")
]
StandardError = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=100,
        help="Standard error of a value in lots.csv, % of it; 0: unknown, estimated with the rest.",
    ),
]
Measure = Annotated[
    bool,
    typer.Option("--measure", help="Measure plans on benchmark v1's new lots instead."),
]

planning = typer.Typer(help="Plan what to do next.", no_args_is_help=True)


@planning.command("tiles")
@in_workspace
def plan_tiles(
    workspace: Workspace,
    max_seconds: MaxSeconds = None,
    own_lots: OwnLots = None,
    results: Results = RESULTS,
    accuracy: Accuracies = None,
) -> None:
    """Estimate how many tiles a target accuracy takes: train on ever more, and extrapolate.

    Resumes where it was broken off.
    """
    from lotwise_training.pipelines.train import train_learning_curve

    if unreal := [each for each in accuracy or () if not 0.0 < each < 1.0]:
        fail(f"an accuracy lies between 0 and 1, not {unreal[0]:g}")
    train_learning_curve(
        workspace,
        out,
        own_lots=own_lots,
        results=results,
        accuracies=accuracy or [],
        max_seconds=max_seconds,
    )


@planning.command("lots")
@in_workspace
def plan_lots(
    workspace: Workspace,
    lots: Lots = None,
    count: Next = 1,
    target_error: TargetError = 5.0,
    standard_error: StandardError = 0.0,
    measure: Measure = False,
    repository: Models = MODELS,
    results: Results = RESULTS,
) -> None:
    """Choose which untested lot to test next, and forecast how many more a target error takes."""
    if measure == (lots is not None):
        fail("name your lots with --lots FOLDER, or measure plans on the benchmark with --measure")
    if lots is None:
        from lotwise_training.pipelines.simulated_plans import measure_plans

        measure_plans(workspace, repository, results, out)
        return
    from lotwise_training.pipelines.plan_lots import plan_lot_folder
    from lotwise_training.pipelines.plan_table import show_plan

    plan = plan_lot_folder(workspace, lots, repository, count, standard_error=standard_error / 100)
    show_plan(plan, target_error / 100, out)
