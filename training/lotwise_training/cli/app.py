"""The command line `lotwise-train`: from lots to a model repository, a command a step.

Commands import what they need when they run: help and `lots` work without torch.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import typer

from lotwise_training.cli import evaluate as measuring
from lotwise_training.cli.commands import in_workspace
from lotwise_training.cli.options import (
    HOME,
    MODELS,
    RESULTS,
    FieldUm,
    Folder,
    Home,
    MaxSeconds,
    Only,
    OnlyServed,
    OwnLots,
    Pretrained,
    Repository,
    Results,
    Sets,
    TorchScript,
    explained,
    fail,
    out,
)
from lotwise_training.cli.plan import planning

if TYPE_CHECKING:
    from lotwise_training.pipelines.workspace import Workspace

app = typer.Typer(
    help="Train, calibrate, evaluate and export Lotwise's models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

TOGETHER: Final = ("committee", "regressor")
"""Commands that several processes can carry out together."""


@app.callback()
def check_processes(context: typer.Context) -> None:
    """Refuse what several processes cannot do together."""
    launched = int(os.environ.get("WORLD_SIZE", "1"))  # by torchrun
    if launched > 1 and context.invoked_subcommand not in TOGETHER:
        fail(
            f"`lotwise-train {context.invoked_subcommand}` is the work of one process, but "
            f"{launched} were started. Several can train {' or '.join(TOGETHER)}; start the rest "
            "without torchrun."
        )


@app.command()
@in_workspace
def data(workspace: Workspace, sets: Sets = None) -> None:
    """Render the tiles of simulated lots, or report that they are there."""
    from lotwise_training.pipelines.workspace import RENDERED

    if unknown := sorted(set(sets or ()) - set(RENDERED)):
        fail(f"there are no tiles '{unknown[0]}'; there are {', '.join(RENDERED)}")
    for name in sets or RENDERED:
        out.print(f"{name}: {workspace.render(name):,} tiles in {workspace.cache}")


@app.command()
def lots(folder: Folder, home: Home = HOME, field_um: FieldUm = 256.0) -> None:
    """Read a folder of your own lots: what is in it, what is wrong, what each lot is good for."""
    from lotwise_training.data.benchmark import GEOMETRY
    from lotwise_training.data.folder import read_lot_folder, show_lot_folder
    from lotwise_training.data.images import geometry_of
    from lotwise_training.data.lot_uses import show_lot_uses

    with explained():
        geometry = geometry_of(GEOMETRY.px, field_um)
        read = read_lot_folder(folder, geometry, cache=home / "data")
        show_lot_folder(read, out)
        show_lot_uses(read.dataset, out)


@app.command()
@in_workspace
def committee(
    workspace: Workspace,
    max_seconds: MaxSeconds = None,
    own_lots: OwnLots = None,
    only_served: OnlyServed = False,
    pretrained: Pretrained = None,
) -> None:
    """Train the committee and what it is compared with; resume where it was broken off."""
    from lotwise_training.pipelines.train import train_committee

    train_committee(
        workspace,
        own_lots=own_lots,
        only_served=only_served,
        max_seconds=max_seconds,
        pretrained=pretrained,
    )


@app.command()
@in_workspace
def regressor(
    workspace: Workspace,
    max_seconds: MaxSeconds = None,
    own_lots: OwnLots = None,
    pretrained: Pretrained = None,
) -> None:
    """Train the regressor of the property and what it is compared with, and calibrate them.

    Resumes where it was broken off.
    """
    from lotwise_training.pipelines.train import train_regressor

    train_regressor(
        workspace, out, own_lots=own_lots, max_seconds=max_seconds, pretrained=pretrained
    )


@app.command()
@in_workspace
def editor(workspace: Workspace, max_seconds: MaxSeconds = None) -> None:
    """Train the editors of attributes, on the regressor's tiles, and what measures them."""
    from lotwise_training.pipelines.train import train_editor

    train_editor(workspace, max_seconds=max_seconds)


for command in (
    measuring.policy,
    measuring.predict,
    measuring.calibrate,
    measuring.diagnose,
    measuring.cascade,
    measuring.evaluate,
):
    app.command()(command)
app.add_typer(planning, name="plan")


@app.command()
def runs(home: Home = HOME) -> None:
    """List the runs: model, state, steps, validation, date and commit."""
    with explained():
        from lotwise_training.pipelines.runs import list_runs, show_runs

        show_runs(list_runs(home / "runs"), out)


@app.command()
@in_workspace
def export(
    workspace: Workspace,
    repository: Repository = MODELS,
    results: Results = RESULTS,
    only: Only = None,
    torchscript: TorchScript = None,
) -> None:
    """Write the trained models into a model repository, each checked against its network."""
    from lotwise.core.calibration import CALIBRATION_FILE
    from lotwise_training.export.repository import write_repository

    left_out = write_repository(workspace.runs, repository, results, only=only or None)
    out.print(f"wrote {repository}")
    for remark in left_out:
        out.print(remark)
    exported = repository / "committee"
    if exported.exists() and not (exported / CALIBRATION_FILE).exists():
        out.print(
            "The committee is not calibrated, so the services will not answer with it. Run "
            "`lotwise calibrate` on tiles that nothing was trained on."
        )
    if torchscript is not None:
        from lotwise_training.export.torchscript import write_torchscript

        for name, parity in write_torchscript(workspace.runs, torchscript).items():
            out.print(f"{torchscript / name}: parity {parity:.1e}")


@app.command()
@in_workspace
def restore(workspace: Workspace, repository: Repository = MODELS) -> None:
    """Make finished runs of the exported regressor and editor, to train and measure others with."""
    from lotwise_training.config.schema import RegressorRecipe
    from lotwise_training.data.property_lots import strength_table
    from lotwise_training.data.tiles import LOTS_FILE, write_table
    from lotwise_training.export.restore import restore_editor, restore_regressors
    from lotwise_training.training.editor.runs import RUN as EDITOR
    from lotwise_training.training.tasks.property import SERVED as REGRESSOR

    if (workspace.runs / REGRESSOR).exists() or (workspace.runs / EDITOR).exists():
        fail(f"{workspace.runs} holds runs of this machine; name another with --home or --run")
    names = restore_regressors(repository, workspace.runs)
    table = strength_table(workspace.recipe(RegressorRecipe, "regressor").data)
    write_table(table, workspace.run(REGRESSOR) / LOTS_FILE)
    kind = restore_editor(repository, workspace.runs)
    out.print(f"restored {', '.join(names)} and the {kind} editor into {workspace.runs}")


@app.command(name="all")
@in_workspace
def everything(
    workspace: Workspace, repository: Repository = MODELS, results: Results = RESULTS
) -> None:
    """All of it, in order, for the lots of benchmark v1 and the lots with strength tests."""
    # Packages that are missing are named now, not after the tiles are rendered.
    import lotwise_training.pipelines.train  # noqa: F401

    where = {
        "profile": workspace.profile,
        "recipes": workspace.recipes,
        "changes": list(workspace.changes),
        "home": workspace.home,
        "run": workspace.run_name,
    }
    for step in (data, committee, regressor, editor, measuring.policy):
        out.rule(step.__name__)
        step(**where)
    for step in (measuring.predict, measuring.evaluate):
        out.rule(step.__name__)
        step(**where, results=results)
    out.rule("export")
    export(**where, repository=repository, results=results)


def main() -> None:
    """Entry point."""
    app()
