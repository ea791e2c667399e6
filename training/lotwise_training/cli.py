"""The command line `lotwise-train`: from lots to a model repository, a command a step."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console

from lotwise.core.calibration import CALIBRATION_FILE
from lotwise.core.calibration_fit import Fitted
from lotwise.core.errors import LotwiseError
from lotwise_simulator.benchmark import VERSION, new_lots, reference_lots
from lotwise_simulator.benchmark_files import UNIT
from lotwise_training.answers import (
    learning_curve,
    manifest,
    shifted_answers,
    split_answers,
)
from lotwise_training.asker import Asker
from lotwise_training.attribute_meter import meter_tiles, meter_work
from lotwise_training.benchmark_data import GEOMETRY
from lotwise_training.calibration_tiles import CALIBRATION, FRESH
from lotwise_training.checkpoint import CheckpointError
from lotwise_training.classifier import ClassifierTrainer
from lotwise_training.committee import SERVED, committee_jobs
from lotwise_training.config import CommitteeRecipe, EditorRecipe, RegressorRecipe
from lotwise_training.dataset import (
    LOTS_FILE,
    DatasetError,
    Images,
    Numbers,
    write_table,
)
from lotwise_training.edit_outputs import write_edits
from lotwise_training.editor import editor_works
from lotwise_training.editor_runs import RUN as EDITOR
from lotwise_training.editor_runs import write_served
from lotwise_training.fresh_outputs import write_fresh
from lotwise_training.interval_calibration import write_calibration
from lotwise_training.laboratory import read_laboratory, show_laboratory
from lotwise_training.lanes import TrainingFailed, Work, train_networks, work_side_by_side
from lotwise_training.outputs import TEST, Outputs, write_outputs
from lotwise_training.policy import (
    AnsweredTiles,
    committee_sha256,
    fit_committee,
    read_fitted,
    write_fitted,
)
from lotwise_training.prediction import load_members
from lotwise_training.property_outputs import write_property
from lotwise_training.recipe_files import RECIPES, RecipeError
from lotwise_training.regression import RegressionTrainer
from lotwise_training.regressor import SERVED as REGRESSOR
from lotwise_training.regressor import RegressorTask, regressor_jobs
from lotwise_training.report.edit_page import edits_sheet, redrawn_sheet
from lotwise_training.report.edit_tables import edit_figures, served_edit_figures
from lotwise_training.report.property_page import property_sheet
from lotwise_training.report.property_tables import property_figures, served_figures
from lotwise_training.report.screen import show
from lotwise_training.splits import SPLITS, classes, labels
from lotwise_training.stored import OutputsError
from lotwise_training.strength_tiles import strength_tiles
from lotwise_training.workshop import RENDERED, Workshop

app = typer.Typer(
    help="Train, fit, evaluate and export Lotwise's models on simulated lots.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# Wide tables, also where they go into a file.
out = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True)

Profile = Annotated[str, typer.Option(help="Folder of the recipe files: cpu or paper.")]
Recipes = Annotated[Path, typer.Option(help="Folder of the recipe files.")]
Home = Annotated[Path, typer.Option(help="Folder of rendered data and of runs.")]
MaxSeconds = Annotated[
    float | None, typer.Option(help="Time for the training; default: the recipe's.")
]
OwnLots = Annotated[
    Path | None,
    typer.Option("--lots", help="Folder with lots.csv; default: the 30 lots of benchmark v1."),
]
OnlyServed = Annotated[
    bool, typer.Option("--only-served", help="Only the members, nothing to compare them with.")
]
Sets = Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(RENDERED)}; default: all.")]
Folder = Annotated[Path, typer.Argument(help="Folder with lots.csv and a folder of images a lot.")]
Results = Annotated[Path, typer.Option(help="Folder of the committee's stored answers.")]
Only = Annotated[
    list[str] | None, typer.Option(help="Only this: committee, regressor or editor; repeatable.")
]
TorchScript = Annotated[
    Path | None, typer.Option(help="Write committee and regressor as TorchScript, too.")
]
Repository = Annotated[Path, typer.Option(help="The model repository to write.")]

HOME: Final = Path(".lotwise")
MODELS: Final = Path("model_repository")
RESULTS: Final = Path("training/results")
EVALUATION_FILE: Final = "evaluation.json"
EDITED_LOTS: Final = 24


@app.command()
def data(
    sets: Sets = None, profile: Profile = "cpu", recipes: Recipes = RECIPES, home: Home = HOME
) -> None:
    """Render the tiles of simulated lots, or say that they are there."""
    with _explained():
        shop = Workshop(home, recipes, profile)
        if unknown := sorted(set(sets or ()) - set(RENDERED)):
            _fail(f"there are no tiles '{unknown[0]}'; there are {', '.join(RENDERED)}")
        for name in sets or RENDERED:
            out.print(f"{name}: {shop.render(name):,} tiles in {shop.cache}")


@app.command()
def lots(folder: Folder, home: Home = HOME) -> None:
    """Read a folder of your own lots and say what is in it, and what is wrong with it."""
    with _explained():
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
    with _explained():
        shop = Workshop(home, recipes, profile)
        recipe = shop.recipe(CommitteeRecipe, "committee", max_seconds)
        tiles = shop.committee_tiles(own_lots)
        jobs = committee_jobs(tiles, recipe, only_served=only_served)
        trainer = ClassifierTrainer(tiles, recipe.network)
        train_networks(trainer, jobs, shop.runs, parallel=recipe.parallel)
        # Last: what does not go on from the networks that are there must not rename their lots.
        write_table(tiles.table, shop.run(SERVED) / LOTS_FILE)


@app.command()
def regressor(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    max_seconds: MaxSeconds = None,
    own_lots: OwnLots = None,
) -> None:
    """Train the regressor of the property, what it is compared with, and calibrate its intervals.

    Goes on where it was broken off.
    """
    with _explained():
        shop = Workshop(home, recipes, profile)
        recipe = shop.recipe(RegressorRecipe, "regressor", max_seconds)
        tiles = shop.strength_tiles(own_lots)
        jobs = regressor_jobs(tiles, recipe)
        trainer = RegressionTrainer(RegressorTask, tiles, recipe.network)
        train_networks(trainer, jobs, shop.runs, parallel=recipe.parallel)
        write_table(tiles.table, shop.run(REGRESSOR) / LOTS_FILE)
        out.print(write_calibration(tiles, recipe, shop.runs))


@app.command()
def editor(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    max_seconds: MaxSeconds = None,
) -> None:
    """Train the editors of attributes, on the regressor's tiles, and what measures them."""
    with _explained():
        shop = Workshop(home, recipes, profile)
        recipe = shop.recipe(EditorRecipe, "editor", max_seconds)
        works: list[Work] = [*editor_works(strength_tiles(recipe.data, shop.cache), recipe)]
        meter = meter_tiles(recipe.meter, shop.cache)
        works.append(meter_work(meter, recipe.meter, recipe.max_seconds))
        work_side_by_side(works, shop.runs, parallel=recipe.parallel)
        write_served(shop.runs, recipe.served)


@app.command()
def policy(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    own_lots: OwnLots = None,
) -> None:
    """Calibrate the trained committee and fit its referral policy."""
    with _explained():
        shop = Workshop(home, recipes, profile)
        recipe = shop.recipe(CommitteeRecipe, "committee")
        tiles = shop.committee_tiles(own_lots)
        split = SPLITS[recipe.split](tiles, recipe.network.seed)
        members, lot_ids = load_members(shop.run(SERVED))
        asker = Asker(shop.runs, recipe)

        def answered(images: Images, lots: Numbers, title: str) -> AnsweredTiles:
            truth = labels(lots, classes(split, tiles))
            return AnsweredTiles(images, truth, asker.served(images, title))

        if own_lots is None:
            fresh = shop.fresh_tiles(CALIBRATION)
            known = answered(fresh.images, fresh.lots, "calibration tiles, ensemble")
        else:
            rows = split.validation
            known = answered(tiles.images[rows], tiles.lots[rows], "validation tiles, ensemble")
        test = answered(
            tiles.images[split.test], tiles.lots[split.test], f"{recipe.split}, {TEST}, ensemble"
        )
        fitted = fit_committee(
            known,
            test,
            recipe.policy,
            lot_ids=lot_ids,
            origins=tiles.table.origins,
            weights_sha256=committee_sha256(members),
        )
        write_fitted(fitted, shop.run(SERVED))
        _say_fitted(fitted)


@app.command()
def answers(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    own_lots: OwnLots = None,
    results: Results = RESULTS,
) -> None:
    """Put down what the trained networks answer, for `make evaluate` to report on."""
    with _explained():
        shop = Workshop(home, recipes, profile)
        recipe = shop.recipe(CommitteeRecipe, "committee")
        tiles = shop.committee_tiles(own_lots)
        asker = Asker.with_calibration(shop.runs, recipe, needed=own_lots is None)
        outputs: Outputs = {}
        for name in SPLITS:
            outputs |= split_answers(tiles, name, asker)
        if own_lots is None:
            outputs |= shifted_answers(shop.cache, asker)
        stated = manifest(tiles, asker, profile, benchmark=own_lots is None)
        stated["learning_curve"] = learning_curve(tiles, asker)
        write_outputs(results, outputs, stated)
        if own_lots is None:
            split = SPLITS[recipe.split](tiles, recipe.network.seed)
            fresh = shop.fresh_tiles(FRESH)
            truth = labels(fresh.lots, classes(split, tiles))
            fitted = read_fitted(shop.run(SERVED))
            write_fresh(
                results, asker.judged(fresh.images, truth, fitted.calibrated, fitted.policy)
            )
        out.print(f"wrote {results}; `python -m lotwise_training.report` shows it")


@app.command()
def judge(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    repository: Repository = MODELS,
    results: Results = RESULTS,
) -> None:
    """Calibrate an exported committee on fresh simulated tiles, and judge it on further ones."""
    # Here, because it needs the engine that serves, which no training does.
    from lotwise_training.judging import judge_exported

    with _explained():
        _say_fitted(judge_exported(Workshop(home, recipes, profile), repository, results))
        out.print(f"wrote {repository} and {results}")


@app.command()
def evaluate(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    own_lots: OwnLots = None,
    results: Results = RESULTS,
) -> None:
    """Measure regressor and editor on lots that they never saw; the committee has `answers`."""
    # Here, because the forests take seconds to import and no other command needs them.
    from lotwise_training.edit_answers import edit_manifest, edit_sets
    from lotwise_training.interval_evaluation import evaluate_intervals
    from lotwise_training.property_answers import property_manifest, property_sets

    with _explained():
        shop = Workshop(home, recipes, profile)
        recipe = shop.recipe(RegressorRecipe, "regressor")
        tiles = shop.strength_tiles(own_lots)
        new = None if own_lots else shop.new_lots()
        # The further lots fill the gaps between the benchmark's; they are not part of it.
        counted = None if own_lots else [lot.lot_id for lot in reference_lots()]
        sets = property_sets(tiles, new, recipe, shop.runs, measured=counted)
        benchmark = None if own_lots else VERSION
        stated = property_manifest(tiles, recipe, shop.runs, profile, benchmark=benchmark)
        write_property(results, sets, stated)
        figures = property_figures(sets)
        show(property_sheet(figures, stated["unit"]), out)
        _write_json(shop.run(REGRESSOR) / EVALUATION_FILE, served_figures(figures))
        if new is not None:
            show(evaluate_intervals(tiles, new, recipe, shop.runs, results, profile), out)
        if own_lots is None and shop.run(EDITOR).exists():
            edits = edit_sets(new_lots()[:EDITED_LOTS], shop.runs, shop.cache)
            editors = shop.recipe(EditorRecipe, "editor")
            said = edit_manifest(editors, shop.runs, profile, UNIT, VERSION)
            write_edits(results, edits, said)
            measured = edit_figures(edits)
            show(edits_sheet(measured, said), out)
            show(redrawn_sheet(measured), out)
            served = served_edit_figures(measured[editors.served], said["attributes"])
            _write_json(shop.run(EDITOR) / EVALUATION_FILE, served)


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

    with _explained():
        try:
            write_repository(home / "runs", repository, results, only=only or None)
        except ParityError as error:
            _fail(str(error))
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


@contextmanager
def _explained() -> Iterator[None]:
    """Turn an error that a person can mend into a sentence and exit code 1."""
    try:
        yield
    except (
        RecipeError,
        CheckpointError,
        DatasetError,
        OutputsError,
        TrainingFailed,
        LotwiseError,
    ) as error:
        _fail(str(error))


def _say_fitted(fitted: Fitted) -> None:
    measured = fitted.policy.measured
    assert measured is not None
    out.print(f"Temperature {fitted.calibrated.calibration.temperature:.3f}.")
    out.print(fitted.policy.guarantee.statement)
    out.print(
        f"On {measured.tiles:,} test tiles that accepts {measured.coverage:.1%}, "
        f"{measured.error:.2%} of them wrongly."
    )


def _fail(message: str) -> NoReturn:
    # Unwrapped: paths and commands stay whole.
    err.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
