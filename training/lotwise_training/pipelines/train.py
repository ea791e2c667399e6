"""The trainings of `lotwise-train`: tiles, jobs, networks, and what is fitted at their end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from lotwise_simulator.benchmark import VERSION
from lotwise_training.active_learning.learning_curve import RUN as PLAN
from lotwise_training.active_learning.learning_curve import curve_jobs, measure_curve
from lotwise_training.calibration.conformal import write_calibration
from lotwise_training.calibration.familiarity import write_known_tiles
from lotwise_training.calibration.policy import calibration_shortage
from lotwise_training.config.schema import (
    CommitteeRecipe,
    EditorRecipe,
    LoopRecipe,
    PlanRecipe,
    RegressorRecipe,
)
from lotwise_training.data.property_lots import meter_tiles, strength_tiles
from lotwise_training.data.tiles import LOTS_FILE, TileDataset, write_table
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.pipelines.pretrained import find_pretrained
from lotwise_training.pipelines.runs import begin_run
from lotwise_training.pipelines.workspace import Workspace
from lotwise_training.report.planning import curve_table, need_sentences
from lotwise_training.report.render import show
from lotwise_training.store.arrays import write
from lotwise_training.training import distributed
from lotwise_training.training.base import JobKind
from lotwise_training.training.editor.runs import RUN as EDITOR
from lotwise_training.training.editor.runs import write_served
from lotwise_training.training.editor.train import editor_trainings, leader_time
from lotwise_training.training.parallel import Training, train_in_parallel, train_networks
from lotwise_training.training.tasks.attributes import METER, attribute_training
from lotwise_training.training.tasks.classifier import ClassifierTrainer
from lotwise_training.training.tasks.ensemble import SERVED as COMMITTEE
from lotwise_training.training.tasks.ensemble import committee_jobs, committee_variants
from lotwise_training.training.tasks.property import SERVED as REGRESSOR
from lotwise_training.training.tasks.property import (
    RegressorTask,
    regressor_jobs,
    regressor_remarks,
)
from lotwise_training.training.tasks.regression import RegressionTrainer

SharedRecipe = TypeVar("SharedRecipe", CommitteeRecipe, RegressorRecipe)


def train_committee(
    workspace: Workspace,
    *,
    own_lots: Path | None = None,
    only_served: bool = False,
    max_seconds: float | None = None,
    pretrained: Path | None = None,
) -> None:
    """Train the committee and what it is compared with; go on where it was broken off.

    Args:
        workspace: Recipes, tiles, runs.
        own_lots: Folder of lots; None for benchmark v1.
        only_served: Only the members.
        max_seconds: Of all networks together, whatever the recipe's steps; None for no limit.
        pretrained: Model repository or runs whose networks' trunks they begin with.

    Raises:
        TrainingError: The recipe, the lots or the run cannot be used, or a training failed.
    """
    with distributed.together():
        recipe, tiles = workspace.committee(own_lots)
        recipe = _in_turn(recipe)
        jobs = committee_jobs(tiles, recipe, only_served=only_served, max_seconds=max_seconds)
        jobs = _begin_with(jobs, pretrained, COMMITTEE, recipe.network, channels=1)
        if own_lots is not None and distributed.is_first():
            workspace.report_remarks(COMMITTEE, _committee_remarks(tiles, recipe))
        with _recorded(workspace.run(COMMITTEE), COMMITTEE, recipe, tiles, max_seconds):
            trainer = ClassifierTrainer(tiles, recipe.network)
            train_networks(trainer, jobs, workspace.runs, parallel=recipe.parallel)
        # Last: what does not go on from the networks that are there must not rename their lots.
        if distributed.is_first():
            write_table(tiles.table, workspace.run(COMMITTEE) / LOTS_FILE)


def train_regressor(
    workspace: Workspace,
    out: Console,
    *,
    own_lots: Path | None = None,
    max_seconds: float | None = None,
    pretrained: Path | None = None,
) -> None:
    """Train the regressor of the property and what it is compared with, and calibrate them.

    Arguments and errors as of `train_committee`; without own lots it learns the simulated ones with
    strength tests.
    """
    with distributed.together():
        recipe = _in_turn(workspace.recipe(RegressorRecipe, "regressor"))
        tiles = workspace.strength_tiles(own_lots)
        jobs = regressor_jobs(tiles, recipe, max_seconds)
        channels = recipe.network.unshuffle**2
        jobs = _begin_with(jobs, pretrained, REGRESSOR, recipe.network, channels)
        if own_lots is not None and distributed.is_first():
            workspace.report_remarks(REGRESSOR, regressor_remarks(tiles, recipe))
        with _recorded(workspace.run(REGRESSOR), REGRESSOR, recipe, tiles, max_seconds):
            trainer = RegressionTrainer(RegressorTask, tiles, recipe.network)
            train_networks(trainer, jobs, workspace.runs, parallel=recipe.parallel)
        if distributed.is_first():
            write_table(tiles.table, workspace.run(REGRESSOR) / LOTS_FILE)
            out.print(write_calibration(tiles, recipe, workspace.runs))
            out.print(write_known_tiles(tiles, recipe, workspace.runs))


def train_editor(workspace: Workspace, *, max_seconds: float | None = None) -> None:
    """Train the editors of attributes, on the regressor's tiles, and what measures them.

    Args:
        workspace: Recipes, tiles, runs.
        max_seconds: Of each editor, whatever its steps; None for no limit.

    Raises:
        TrainingError: As `train_committee`.
    """
    recipe = workspace.recipe(EditorRecipe, "editor")
    tiles = strength_tiles(recipe.data, workspace.cache)
    trainings: list[Training] = [*editor_trainings(tiles, recipe, max_seconds)]
    meter, limit = meter_tiles(recipe.meter, workspace.cache), leader_time(max_seconds)
    trainings.append(attribute_training(METER, meter, recipe.meter.network, limit))
    with _recorded(workspace.run(EDITOR), EDITOR, recipe, tiles, max_seconds):
        train_in_parallel(trainings, workspace.runs, parallel=recipe.parallel)
    write_served(workspace.runs, recipe.served)


def train_learning_curve(
    workspace: Workspace,
    out: Console,
    *,
    own_lots: Path | None,
    results: Path,
    accuracies: list[float],
    max_seconds: float | None = None,
) -> None:
    """Train on ever more of the tiles, and say how many a wished accuracy takes.

    Args:
        workspace: Recipes, tiles, runs.
        out: Shows the curve.
        own_lots: Folder of lots; None for benchmark v1.
        results: Folder of the benchmark's results.
        accuracies: That are wished, 0 to 1.
        max_seconds: As of `train_committee`.

    Raises:
        TrainingError: As `train_committee`.
    """
    recipe = workspace.recipe(PlanRecipe, "plan")
    committee, tiles = workspace.committee(own_lots)
    jobs = curve_jobs(tiles, recipe, max_seconds)
    trainer = ClassifierTrainer(tiles, recipe.network)
    with _recorded(workspace.run(PLAN), PLAN, recipe, tiles, max_seconds):
        train_networks(trainer, jobs, workspace.runs, parallel=recipe.parallel)
    predictor = PredictionCache(workspace.runs, committee)
    benchmark = VERSION if own_lots is None else None
    curve = measure_curve(tiles, recipe, predictor, benchmark=benchmark, profile=workspace.profile)
    # The results beside the shipped models are the benchmark's alone.
    folder = results if own_lots is None else workspace.run(PLAN)
    write(folder, curve)
    show(curve_table(curve), out)
    for sentence in need_sentences(curve, accuracies):
        out.print(sentence)
    out.print(f"wrote {folder / curve.stem}.json")


def _committee_remarks(tiles: TileDataset, recipe: CommitteeRecipe) -> list[str]:
    """What lots of a folder cannot carry, in sentences."""
    variants, remarks = committee_variants(tiles, recipe)
    if (shortage := calibration_shortage(tiles, variants[recipe.split], recipe.policy)) is not None:
        remarks.append(f"The committee gets no referral policy: {shortage}")
    return remarks


@contextmanager
def _recorded(
    folder: Path, model: str, recipe: Any, tiles: TileDataset, max_seconds: float | None
) -> Iterator[None]:
    """Keeps a record of the training within."""
    record = begin_run(
        folder,
        model,
        recipe,
        tiles.version,
        parallel=recipe.parallel,
        max_seconds=max_seconds,
    )
    yield
    if distributed.is_first():
        record.end(folder)


def _begin_with(
    jobs: list[JobKind], folder: Path | None, model: str, recipe: LoopRecipe, channels: int
) -> list[JobKind]:
    """Jobs that begin with the networks of a folder, in turn where there are fewer of these."""
    if folder is None:
        return jobs
    found = find_pretrained(folder, model)
    for each in found:
        each.check_shape(recipe.depth, recipe.widen, channels)
    return [replace(job, pretrained=found[n % len(found)]) for n, job in enumerate(jobs)]


def _in_turn(recipe: SharedRecipe) -> SharedRecipe:
    """The recipe, with one network after another where several processes share each."""
    return replace(recipe, parallel=1) if distributed.count() > 1 else recipe
