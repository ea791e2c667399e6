"""The command line: lotwise-train data, committee, regressor, editor, policy, evaluate, export."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from lotwise.core.errors import LotwiseError
from lotwise.core.policy import ReferralPolicy
from lotwise_simulator.reference import tested_lots
from lotwise_training.checkpoint import CheckpointError
from lotwise_training.committee import TrainingFailed, train_committee
from lotwise_training.config import (
    RECIPES,
    CommitteeRecipe,
    RecipeError,
    RegressorRecipe,
    load_recipe,
)
from lotwise_training.data import committee_data, shifted_data, strength_data
from lotwise_training.edit_response import edit_report
from lotwise_training.editor import EditorConfig, load_editor, train_editor
from lotwise_training.evaluate import (
    TEST,
    as_json,
    evaluate_committee,
    member_logits,
    show_committee,
    show_edits,
    show_regression,
)
from lotwise_training.policy import committee_sha256, fit_policy, write_policy
from lotwise_training.prediction import committee_logits, load_members, load_regressor
from lotwise_training.regressor import regression_report, train_regressor

app = typer.Typer(
    help="Train, fit, evaluate and export Lotwise's models on simulated lots.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# Wide tables, also where they go into a file.
out = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True)

Profile = Annotated[str, typer.Option(help="Table of the recipe files: cpu or gpu.")]
Recipes = Annotated[Path, typer.Option(help="Folder of the recipe files.")]
Home = Annotated[Path, typer.Option(help="Folder of rendered data and of runs.")]
MaxSeconds = Annotated[
    float | None, typer.Option(help="Time for the training; default: the recipe's.")
]
Repository = Annotated[Path, typer.Option(help="The model repository to write.")]

HOME: Final = Path(".lotwise")
MODELS: Final = Path("model_repository")
POLICY_FILE: Final = "referral_policy.json"
EVALUATION_FILE: Final = "evaluation.json"

Recipe = TypeVar("Recipe", CommitteeRecipe, RegressorRecipe, EditorConfig)


@dataclass(frozen=True)
class Workshop:
    """Where a command finds its recipes and leaves its results."""

    home: Path
    recipes: Path
    profile: str

    @property
    def cache(self) -> Path:
        """Rendered data."""
        return self.home / "data"

    def run(self, name: str) -> Path:
        """Folder of a model's run."""
        return self.home / "runs" / name

    def recipe(self, kind: type[Recipe], name: str, max_seconds: float | None = None) -> Recipe:
        """A model's recipe, with the time that the caller gives."""
        recipe = load_recipe(kind, self.recipes / f"{name}.toml", self.profile)
        return recipe if max_seconds is None else replace(recipe, max_seconds=max_seconds)


@app.command()
def data(profile: Profile = "cpu", recipes: Recipes = RECIPES, home: Home = HOME) -> None:
    """Render the tiles of all simulated lots, or say that they are there."""
    with _explained():
        shop = Workshop(home, recipes, profile)
        known = committee_data(shop.recipe(CommitteeRecipe, "committee").data, shop.cache)
        shifted_data(shop.recipe(CommitteeRecipe, "committee").data, shop.cache)
        strengths = strength_data(shop.recipe(RegressorRecipe, "regressor").data, shop.cache)
        out.print(
            f"{len(known.lot_ids)} reference lots, {len(known.train.images):,} training tiles; "
            f"{len(strengths.lot_ids)} lots with strength tests, "
            f"{len(strengths.train.images):,} training tiles, in {shop.cache}"
        )


@app.command()
def committee(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    max_seconds: MaxSeconds = None,
) -> None:
    """Train the committee of tile classifiers; go on where it was broken off."""
    with _explained():
        shop = Workshop(home, recipes, profile)
        recipe = shop.recipe(CommitteeRecipe, "committee", max_seconds)
        train_committee(committee_data(recipe.data, shop.cache), recipe, shop.run("committee"))


@app.command()
def regressor(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    max_seconds: MaxSeconds = None,
) -> None:
    """Train the regressor of peak stress; go on where it was broken off."""
    with _explained():
        shop = Workshop(home, recipes, profile)
        recipe = shop.recipe(RegressorRecipe, "regressor", max_seconds)
        tiles = strength_data(recipe.data, shop.cache)
        with _bar("regressor") as report:
            trained = train_regressor(tiles, recipe, shop.run("regressor"), report=report)
        figures = regression_report(trained, tiles)
        show_regression("Peak stress", figures, out)
        _write_json(shop.run("regressor") / EVALUATION_FILE, figures)


@app.command()
def editor(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    max_seconds: MaxSeconds = None,
) -> None:
    """Train the editor of attributes on the regressor's tiles; go on where it was broken off."""
    with _explained():
        shop = Workshop(home, recipes, profile)
        tiles = strength_data(shop.recipe(RegressorRecipe, "regressor").data, shop.cache).train
        trained = train_editor(
            tiles.images,
            tiles.attributes,
            config=shop.recipe(EditorConfig, "editor", max_seconds),
            checkpoint_dir=shop.run("editor"),
        )
        out.print({name: round(figure, 3) for name, figure in trained.figures.items()})


@app.command()
def policy(profile: Profile = "cpu", recipes: Recipes = RECIPES, home: Home = HOME) -> None:
    """Fit the referral policy of the trained committee."""
    with _explained():
        shop = Workshop(home, recipes, profile)
        recipe = shop.recipe(CommitteeRecipe, "committee")
        tiles = committee_data(recipe.data, shop.cache)
        members, _ = load_members(shop.run("committee"))
        fitted = fit_policy(
            committee_logits(members, tiles.validation.images, title="validation tiles"),
            committee_logits(members, tiles.test.images, title="test tiles"),
            tiles.test.labels,
            recipe.policy,
            weights_sha256=committee_sha256(members),
        )
        write_policy(fitted, shop.run("committee") / POLICY_FILE)
        out.print(
            f"Tiles above {fitted.entropy_threshold_nats:.3f} nats are referred. On "
            f"{fitted.measured.tiles:,} test tiles that accepts {fitted.measured.coverage:.1%}, "
            f"{fitted.measured.error_among_accepted:.2%} of them wrongly."
        )


@app.command()
def evaluate(profile: Profile = "cpu", recipes: Recipes = RECIPES, home: Home = HOME) -> None:
    """Measure the committee on known and shifted tiles, regressor and editor on new lots."""
    with _explained():
        shop = Workshop(home, recipes, profile)
        recipe = shop.recipe(CommitteeRecipe, "committee")
        run = shop.run("committee")
        members, _ = load_members(run)
        sets = {TEST: committee_data(recipe.data, shop.cache).test}
        sets |= shifted_data(recipe.data, shop.cache)
        logits = {
            name: committee_logits(members, tiles.images, title=f"{name} tiles")
            for name, tiles in sets.items()
        }
        labels = {name: tiles.labels for name, tiles in sets.items()}
        file = run / POLICY_FILE
        together = evaluate_committee(
            logits, labels, ReferralPolicy.read(file) if file.exists() else None
        )
        alone = evaluate_committee(member_logits(logits, 0), labels)
        show_committee(f"Committee of {len(members)}", together, out)
        show_committee("Its first member alone", alone, out)
        _write_json(
            run / EVALUATION_FILE,
            {"committee": as_json(together), "first member": as_json(alone)},
        )
        if shop.run("regressor").exists():
            tiles = strength_data(shop.recipe(RegressorRecipe, "regressor").data, shop.cache)
            figures = regression_report(load_regressor(shop.run("regressor")), tiles)
            show_regression("Peak stress", figures, out)
            _write_json(shop.run("regressor") / EVALUATION_FILE, figures)
            if shop.run("editor").exists():
                unseen = {tiles.lot_ids[index] for index in np.unique(tiles.held_out.lots)}
                lots = tuple(lot for lot in tested_lots() if lot.lot_id in unseen)
                edits = edit_report(
                    load_editor(shop.run("editor")), load_regressor(shop.run("regressor")), lots
                )
                show_edits(edits, out)
                _write_json(shop.run("editor") / EVALUATION_FILE, edits)


@app.command()
def export(home: Home = HOME, repository: Repository = MODELS) -> None:
    """Write the trained models into a model repository, each checked against its network."""
    # Here, because the exporter takes seconds to import and no other command needs it.
    from lotwise_training.export.repository import write_repository

    with _explained():
        write_repository(home / "runs", repository)
        out.print(f"wrote {repository}")


@app.command(name="all")
def everything(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    repository: Repository = MODELS,
) -> None:
    """All of it, in order: data, committee, regressor, editor, policy, evaluate, export."""
    for step in (data, committee, regressor, editor, policy, evaluate):
        out.rule(step.__name__)
        step(profile=profile, recipes=recipes, home=home)
    out.rule("export")
    export(home=home, repository=repository)


def main() -> None:
    """Entry point."""
    app()


@contextmanager
def _bar(title: str) -> Iterator[Callable[[float, str], None]]:
    """A progress bar, as the function that a training reports to."""
    with Progress(console=err) as bars:
        task = bars.add_task(title, total=1.0)
        yield lambda progress, line: bars.update(
            task, completed=progress, description=f"{title} {line}"
        )


@contextmanager
def _explained() -> Iterator[None]:
    """Turn an error that a person can mend into a sentence and exit code 1."""
    try:
        yield
    except (RecipeError, CheckpointError, TrainingFailed, LotwiseError) as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    # Unwrapped: paths and commands stay whole.
    err.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
