"""The command line `lotwise-train`: from lots to a model repository, a command a step."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

import typer

from lotwise.core.calibration import CALIBRATION_FILE
from lotwise_training.calibration.conformal import write_calibration
from lotwise_training.calibration.familiarity import write_known_tiles
from lotwise_training.calibration.policy import calibration_shortage
from lotwise_training.cli.evaluate import (
    answers,
    cascade,
    diagnose,
    evaluate,
    judge,
    policy,
)
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
    Profile,
    Recipes,
    Repository,
    Results,
    Sets,
    TorchScript,
    explained,
    fail,
    out,
)
from lotwise_training.cli.plan_lots import plan_lots
from lotwise_training.cli.plan_tiles import plan_tiles
from lotwise_training.config.load import RECIPES
from lotwise_training.config.schema import CommitteeRecipe, EditorRecipe, RegressorRecipe
from lotwise_training.data.benchmark import GEOMETRY
from lotwise_training.data.folder import read_lot_folder, show_lot_folder
from lotwise_training.data.images import geometry_of
from lotwise_training.data.lot_uses import show_lot_uses
from lotwise_training.data.property_lots import strength_table, strength_tiles
from lotwise_training.data.tiles import (
    LOTS_FILE,
    write_table,
)
from lotwise_training.pipelines.workspace import RENDERED, Workspace
from lotwise_training.training import distributed
from lotwise_training.training.editor.runs import RUN as EDITOR
from lotwise_training.training.editor.runs import write_served
from lotwise_training.training.editor.train import editor_works
from lotwise_training.training.parallel import Work, train_in_parallel, train_networks
from lotwise_training.training.tasks.attribute_meter import meter_tiles, meter_work
from lotwise_training.training.tasks.classifier import ClassifierTrainer
from lotwise_training.training.tasks.ensemble import SERVED, committee_jobs, committee_splits
from lotwise_training.training.tasks.property import SERVED as REGRESSOR
from lotwise_training.training.tasks.property import (
    RegressorTask,
    regressor_jobs,
    regressor_remarks,
)
from lotwise_training.training.tasks.regression import RegressionTrainer

app = typer.Typer(
    help="Train, fit, evaluate and export Lotwise's models on simulated lots.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Trained = TypeVar("Trained", CommitteeRecipe, RegressorRecipe)

TOGETHER: Final = ("committee", "regressor")
"""Commands that several processes can carry out together."""


@app.callback()
def check_processes(context: typer.Context) -> None:
    """Refuse what several processes cannot do together."""
    if distributed.launched() > 1 and context.invoked_subcommand not in TOGETHER:
        fail(
            f"`lotwise-train {context.invoked_subcommand}` is the work of one process, but "
            f"{distributed.launched()} were started. Several can train "
            f"{' or '.join(TOGETHER)}; start the rest without torchrun."
        )


def in_turn(recipe: Trained) -> Trained:
    """The recipe, with one network after another where several processes share each."""
    return replace(recipe, parallel=1) if distributed.count() > 1 else recipe


@app.command()
def data(
    sets: Sets = None, profile: Profile = "cpu", recipes: Recipes = RECIPES, home: Home = HOME
) -> None:
    """Render the tiles of simulated lots, or say that they are there."""
    with explained():
        workspace = Workspace(home, recipes, profile)
        if unknown := sorted(set(sets or ()) - set(RENDERED)):
            fail(f"there are no tiles '{unknown[0]}'; there are {', '.join(RENDERED)}")
        for name in sets or RENDERED:
            out.print(f"{name}: {workspace.render(name):,} tiles in {workspace.cache}")


@app.command()
def lots(folder: Folder, home: Home = HOME, field_um: FieldUm = 256.0) -> None:
    """Read a folder of your own lots: what is in it, what is wrong, what each lot is good for."""
    with explained():
        geometry = geometry_of(GEOMETRY.px, field_um)
        read = read_lot_folder(folder, geometry, cache=home / "data")
        show_lot_folder(read, out)
        show_lot_uses(read.dataset, out)


@app.command()
def committee(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    max_seconds: MaxSeconds = None,
    own_lots: OwnLots = None,
    only_served: OnlyServed = False,
) -> None:
    """Train the committee and what it is compared with; go on where it was broken off."""
    with explained(), distributed.together():
        workspace = Workspace(home, recipes, profile)
        recipe = in_turn(workspace.recipe(CommitteeRecipe, "committee", max_seconds))
        tiles = workspace.committee_tiles(own_lots)
        jobs = committee_jobs(tiles, recipe, only_served=only_served)
        if own_lots is not None and distributed.is_first():
            splits, remarks = committee_splits(tiles, recipe)
            served = next(iter(splits.values()))
            if (shortage := calibration_shortage(tiles, served, recipe.policy)) is not None:
                remarks.append(f"The committee gets no referral policy: {shortage}")
            workspace.report_remarks(SERVED, remarks)
        trainer = ClassifierTrainer(tiles, recipe.network)
        train_networks(trainer, jobs, workspace.runs, parallel=recipe.parallel)
        # Last: what does not go on from the networks that are there must not rename their lots.
        if distributed.is_first():
            write_table(tiles.table, workspace.run(SERVED) / LOTS_FILE)


@app.command()
def regressor(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    max_seconds: MaxSeconds = None,
    own_lots: OwnLots = None,
) -> None:
    """Train the regressor of the property and what it is compared with, and calibrate them.

    Goes on where it was broken off.
    """
    with explained(), distributed.together():
        workspace = Workspace(home, recipes, profile)
        recipe = in_turn(workspace.recipe(RegressorRecipe, "regressor", max_seconds))
        tiles = workspace.strength_tiles(own_lots)
        jobs = regressor_jobs(tiles, recipe)
        if own_lots is not None and distributed.is_first():
            workspace.report_remarks(REGRESSOR, regressor_remarks(tiles, recipe))
        trainer = RegressionTrainer(RegressorTask, tiles, recipe.network)
        train_networks(trainer, jobs, workspace.runs, parallel=recipe.parallel)
        if distributed.is_first():
            write_table(tiles.table, workspace.run(REGRESSOR) / LOTS_FILE)
            out.print(write_calibration(tiles, recipe, workspace.runs))
            out.print(write_known_tiles(tiles, recipe, workspace.runs))


@app.command()
def editor(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    max_seconds: MaxSeconds = None,
) -> None:
    """Train the editors of attributes, on the regressor's tiles, and what measures them."""
    with explained():
        workspace = Workspace(home, recipes, profile)
        recipe = workspace.recipe(EditorRecipe, "editor", max_seconds)
        works: list[Work] = [*editor_works(strength_tiles(recipe.data, workspace.cache), recipe)]
        meter = meter_tiles(recipe.meter, workspace.cache)
        works.append(meter_work(meter, recipe.meter, recipe.max_seconds))
        train_in_parallel(works, workspace.runs, parallel=recipe.parallel)
        write_served(workspace.runs, recipe.served)


for command in (policy, answers, judge, diagnose, cascade, evaluate):
    app.command()(command)

planning = typer.Typer(help="Say what to do next.", no_args_is_help=True)
planning.command("tiles")(plan_tiles)
planning.command("lots")(plan_lots)
app.add_typer(planning, name="plan")


@app.command()
def export(
    home: Home = HOME,
    repository: Repository = MODELS,
    results: Results = RESULTS,
    only: Only = None,
    torchscript: TorchScript = None,
) -> None:
    """Write the trained models into a model repository, each checked against its network."""
    # Here, because the exporter takes seconds to import and no other command needs it.
    from lotwise_training.export.repository import write_repository
    from lotwise_training.onnx.export import ParityError

    with explained():
        try:
            left_out = write_repository(home / "runs", repository, results, only=only or None)
        except ParityError as error:
            fail(str(error))
        out.print(f"wrote {repository}")
        for remark in left_out:
            out.print(remark)
        committee = repository / "committee"
        if committee.exists() and not (committee / CALIBRATION_FILE).exists():
            out.print(
                "The committee is not calibrated, so the services will not answer with it. Run "
                "`lotwise calibrate` on tiles that nothing was trained on."
            )
        if torchscript is not None:
            from lotwise_training.export.torchscript import write_torchscript

            for name, parity in write_torchscript(home / "runs", torchscript).items():
                out.print(f"{torchscript / name}: parity {parity:.1e}")


@app.command()
def restore(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    repository: Repository = MODELS,
) -> None:
    """Make finished runs of the exported regressor and editor, to train and measure others with."""
    # Here, because it needs ONNX, which no training does.
    from lotwise_training.export.restore import restore_editor, restore_regressors

    with explained():
        workspace = Workspace(home, recipes, profile)
        if (workspace.runs / REGRESSOR).exists() or (workspace.runs / EDITOR).exists():
            fail(f"{workspace.runs} holds runs of this machine; name another folder with --home")
        names = restore_regressors(repository, workspace.runs)
        table = strength_table(workspace.recipe(RegressorRecipe, "regressor").data)
        write_table(table, workspace.run(REGRESSOR) / LOTS_FILE)
        kind = restore_editor(repository, workspace.runs)
        out.print(f"restored {', '.join(names)} and the {kind} editor into {workspace.runs}")


@app.command(name="all")
def everything(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    repository: Repository = MODELS,
    results: Results = RESULTS,
) -> None:
    """All of it, in order, for the lots of benchmark v1 and the lots with strength tests."""
    for step in (data, committee, regressor, editor, policy):
        out.rule(step.__name__)
        step(profile=profile, recipes=recipes, home=home)
    for step in (answers, evaluate):
        out.rule(step.__name__)
        step(profile=profile, recipes=recipes, home=home, results=results)
    out.rule("export")
    export(home=home, repository=repository, results=results)


def main() -> None:
    """Entry point."""
    app()
