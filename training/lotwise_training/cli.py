"""The command line `lotwise-train`: from lots to a model repository, a command a step."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

import typer

from lotwise.core.calibration import CALIBRATION_FILE
from lotwise_training import processes
from lotwise_training.attribute_meter import meter_tiles, meter_work
from lotwise_training.benchmark_data import GEOMETRY
from lotwise_training.classifier import ClassifierTrainer
from lotwise_training.cli_lot_plan import plan_lots
from lotwise_training.cli_measuring import (
    answers,
    cascade,
    diagnose,
    evaluate,
    judge,
    policy,
)
from lotwise_training.cli_options import (
    HOME,
    MODELS,
    RESULTS,
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
from lotwise_training.cli_tile_plan import plan_tiles
from lotwise_training.committee import SERVED, committee_jobs
from lotwise_training.config import CommitteeRecipe, EditorRecipe, RegressorRecipe
from lotwise_training.dataset import (
    LOTS_FILE,
    write_table,
)
from lotwise_training.editor import editor_works
from lotwise_training.editor_runs import RUN as EDITOR
from lotwise_training.editor_runs import write_served
from lotwise_training.interval_calibration import write_calibration
from lotwise_training.known_tiles import write_known_tiles
from lotwise_training.laboratory import read_laboratory, show_laboratory
from lotwise_training.lanes import Work, train_networks, work_side_by_side
from lotwise_training.recipe_files import RECIPES
from lotwise_training.regression import RegressionTrainer
from lotwise_training.regressor import SERVED as REGRESSOR
from lotwise_training.regressor import RegressorTask, regressor_jobs
from lotwise_training.strength_tiles import strength_table, strength_tiles
from lotwise_training.workshop import RENDERED, Workshop

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
    if processes.launched() > 1 and context.invoked_subcommand not in TOGETHER:
        fail(
            f"`lotwise-train {context.invoked_subcommand}` is the work of one process, but "
            f"{processes.launched()} were started. Several can train "
            f"{' or '.join(TOGETHER)}; start the rest without torchrun."
        )


def in_turn(recipe: Trained) -> Trained:
    """The recipe, with one network after another where several processes share each."""
    return replace(recipe, parallel=1) if processes.count() > 1 else recipe


@app.command()
def data(
    sets: Sets = None, profile: Profile = "cpu", recipes: Recipes = RECIPES, home: Home = HOME
) -> None:
    """Render the tiles of simulated lots, or say that they are there."""
    with explained():
        shop = Workshop(home, recipes, profile)
        if unknown := sorted(set(sets or ()) - set(RENDERED)):
            fail(f"there are no tiles '{unknown[0]}'; there are {', '.join(RENDERED)}")
        for name in sets or RENDERED:
            out.print(f"{name}: {shop.render(name):,} tiles in {shop.cache}")


@app.command()
def lots(folder: Folder, home: Home = HOME) -> None:
    """Read a folder of your own lots and say what is in it, and what is wrong with it."""
    with explained():
        show_laboratory(read_laboratory(folder, GEOMETRY, cache=home / "data"), out)


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
    with explained(), processes.together():
        shop = Workshop(home, recipes, profile)
        recipe = in_turn(shop.recipe(CommitteeRecipe, "committee", max_seconds))
        tiles = shop.committee_tiles(own_lots)
        jobs = committee_jobs(tiles, recipe, only_served=only_served)
        trainer = ClassifierTrainer(tiles, recipe.network)
        train_networks(trainer, jobs, shop.runs, parallel=recipe.parallel)
        # Last: what does not go on from the networks that are there must not rename their lots.
        if processes.is_first():
            write_table(tiles.table, shop.run(SERVED) / LOTS_FILE)


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
    with explained(), processes.together():
        shop = Workshop(home, recipes, profile)
        recipe = in_turn(shop.recipe(RegressorRecipe, "regressor", max_seconds))
        tiles = shop.strength_tiles(own_lots)
        jobs = regressor_jobs(tiles, recipe)
        trainer = RegressionTrainer(RegressorTask, tiles, recipe.network)
        train_networks(trainer, jobs, shop.runs, parallel=recipe.parallel)
        if processes.is_first():
            write_table(tiles.table, shop.run(REGRESSOR) / LOTS_FILE)
            out.print(write_calibration(tiles, recipe, shop.runs))
            out.print(write_known_tiles(tiles, recipe, shop.runs))


@app.command()
def editor(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    max_seconds: MaxSeconds = None,
) -> None:
    """Train the editors of attributes, on the regressor's tiles, and what measures them."""
    with explained():
        shop = Workshop(home, recipes, profile)
        recipe = shop.recipe(EditorRecipe, "editor", max_seconds)
        works: list[Work] = [*editor_works(strength_tiles(recipe.data, shop.cache), recipe)]
        meter = meter_tiles(recipe.meter, shop.cache)
        works.append(meter_work(meter, recipe.meter, recipe.max_seconds))
        work_side_by_side(works, shop.runs, parallel=recipe.parallel)
        write_served(shop.runs, recipe.served)


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
    from lotwise_training.export.onnx_export import ParityError
    from lotwise_training.export.repository import write_repository

    with explained():
        try:
            write_repository(home / "runs", repository, results, only=only or None)
        except ParityError as error:
            fail(str(error))
        out.print(f"wrote {repository}")
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
        shop = Workshop(home, recipes, profile)
        if (shop.runs / REGRESSOR).exists() or (shop.runs / EDITOR).exists():
            fail(f"{shop.runs} holds runs of this machine; name another folder with --home")
        names = restore_regressors(repository, shop.runs)
        table = strength_table(shop.recipe(RegressorRecipe, "regressor").data)
        write_table(table, shop.run(REGRESSOR) / LOTS_FILE)
        kind = restore_editor(repository, shop.runs)
        out.print(f"restored {', '.join(names)} and the {kind} editor into {shop.runs}")


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
