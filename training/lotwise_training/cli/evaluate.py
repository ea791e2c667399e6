"""Commands of `lotwise-train` that measure what was trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lotwise.core.calibration_fit import Fitted
from lotwise_simulator.benchmark import VERSION, new_lots, reference_lots
from lotwise_simulator.benchmark_files import UNIT
from lotwise_training.calibration.policy import (
    PredictedTiles,
    calibration_shortage,
    committee_sha256,
    fit_committee,
    read_fitted,
    write_fitted,
)
from lotwise_training.cli.options import (
    HOME,
    MODELS,
    RESULTS,
    Fresh,
    Home,
    OnlyMeasured,
    OwnLots,
    Profile,
    Recipes,
    Repository,
    Results,
    explained,
    fail,
    out,
)
from lotwise_training.config.load import RECIPES
from lotwise_training.config.schema import CommitteeRecipe, EditorRecipe, RegressorRecipe
from lotwise_training.data.calibration_sets import CALIBRATION, FRESH
from lotwise_training.data.splits import SPLITS, classes, labels
from lotwise_training.data.tiles import (
    Images,
    Numbers,
    TileDataset,
)
from lotwise_training.evaluation.edit_records import SIMULATOR, write_edits
from lotwise_training.evaluation.edits import edit_figures, meter_figures, served_edit_figures
from lotwise_training.evaluation.fresh_predictions import write_fresh_predictions
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.evaluation.predictions import TEST, Predictions, write_predictions
from lotwise_training.evaluation.property_predictions import write_property
from lotwise_training.evaluation.regression import property_figures, served_figures
from lotwise_training.inference.predict import load_members
from lotwise_training.pipelines.class_predictions import (
    manifest,
    shifted_predictions,
    split_predictions,
)
from lotwise_training.pipelines.workspace import Workspace
from lotwise_training.report.edit_page import edits_sheet, redrawn_sheet
from lotwise_training.report.property_page import property_sheet
from lotwise_training.report.screen import show
from lotwise_training.training.editor.runs import RUN as EDITOR
from lotwise_training.training.tasks.attribute_meter import SERVED as METER
from lotwise_training.training.tasks.ensemble import SERVED, adapted_recipe, committee_splits
from lotwise_training.training.tasks.property import SERVED as REGRESSOR

EVALUATION_FILE: Final = "evaluation.json"
EDITED_LOTS: Final = 24


def policy(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    own_lots: OwnLots = None,
) -> None:
    """Calibrate the trained committee and fit its referral policy."""
    with explained():
        workspace = Workspace(home, recipes, profile)
        recipe = workspace.recipe(CommitteeRecipe, "committee")
        tiles = workspace.committee_tiles(own_lots)
        recipe = adapted_recipe(tiles, recipe)
        split = SPLITS[recipe.split](tiles, recipe.network.seed)
        if own_lots is not None:
            shortage = calibration_shortage(tiles, split, recipe.policy)
            if shortage is not None:
                raise shortage
        members, lot_ids = load_members(workspace.run(SERVED))
        predictor = PredictionCache(workspace.runs, recipe)

        def answered(images: Images, lots: Numbers, title: str) -> PredictedTiles:
            truth = labels(lots, classes(split, tiles))
            return PredictedTiles(images, truth, predictor.served(images, title))

        if own_lots is None:
            fresh = workspace.fresh_tiles(CALIBRATION)
            known = answered(fresh.images, fresh.lots, "calibration tiles, ensemble")
        else:
            rows = split.calibration
            known = answered(tiles.images[rows], tiles.lots[rows], "calibration tiles, ensemble")
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
        write_fitted(fitted, workspace.run(SERVED))
        _say_fitted(fitted)


def answers(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    own_lots: OwnLots = None,
    results: Results = RESULTS,
    fresh: Fresh = True,
) -> None:
    """Put down what the trained networks answer, for `make evaluate` to report on."""
    with explained():
        workspace = Workspace(home, recipes, profile)
        recipe = workspace.recipe(CommitteeRecipe, "committee")
        tiles = workspace.committee_tiles(own_lots)
        recipe = adapted_recipe(tiles, recipe)
        predictor = PredictionCache.with_calibration(
            workspace.runs, recipe, needed=own_lots is None
        )
        outputs: Predictions = {}
        for name in committee_splits(tiles, recipe)[0]:
            outputs |= split_predictions(tiles, name, predictor)
        if own_lots is None:
            outputs |= shifted_predictions(workspace.cache, predictor)
        stated = manifest(tiles, predictor, profile, benchmark=own_lots is None)
        write_predictions(results, outputs, stated)
        if own_lots is None and fresh:
            split = SPLITS[recipe.split](tiles, recipe.network.seed)
            further = workspace.fresh_tiles(FRESH)
            truth = labels(further.lots, classes(split, tiles))
            fitted = read_fitted(workspace.run(SERVED))
            write_fresh_predictions(
                results, predictor.judged(further.images, truth, fitted.calibrated, fitted.policy)
            )
        out.print(f"wrote {results}; `python -m lotwise_training.report` shows it")


def judge(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    repository: Repository = MODELS,
    results: Results = RESULTS,
) -> None:
    """Calibrate an exported committee on fresh simulated tiles, and judge it on further ones."""
    # Here, because it needs the engine that serves, which no training does.
    from lotwise_training.pipelines.exported_ensemble import evaluate_exported

    with explained():
        _say_fitted(evaluate_exported(Workspace(home, recipes, profile), repository, results))
        out.print(f"wrote {repository} and {results}")


def diagnose(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    repository: Repository = MODELS,
    results: Results = RESULTS,
) -> None:
    """Fit what says why tiles are strange, for an exported committee, and judge it."""
    # Here, as above.
    from lotwise_training.pipelines.exported_ensemble import fit_diagnosis_of_exported

    with explained():
        fitted = fit_diagnosis_of_exported(Workspace(home, recipes, profile), repository, results)
        out.print(f"Diagnosis {fitted.diagnosis.version}: wrote {repository} and {results}")


def cascade(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    repository: Repository = MODELS,
    results: Results = RESULTS,
) -> None:
    """Fit the cascade of an exported committee (few members first), and measure it."""
    # Here, as above.
    from lotwise_training.pipelines.exported_ensemble import cascade_of_exported

    with explained():
        found = cascade_of_exported(Workspace(home, recipes, profile), repository, results)
        said = found.cascade
        out.print(
            f"Decides as the whole committee on {said.equal:.2%} of {said.tiles:,} known tiles, "
            f"with {said.evaluations:.0%} of its evaluations."
        )
        out.print(found.policy.guarantee.statement)
        out.print(f"wrote {repository} and {results}")


def evaluate(
    profile: Profile = "cpu",
    recipes: Recipes = RECIPES,
    home: Home = HOME,
    own_lots: OwnLots = None,
    results: Results = RESULTS,
    only: OnlyMeasured = None,
) -> None:
    """Measure regressor and editor on lots that they never saw; the committee has `answers`."""
    with explained():
        workspace = Workspace(home, recipes, profile)
        if unknown := sorted(set(only or ()) - {REGRESSOR, EDITOR}):
            fail(f"'{unknown[0]}' is not measured so; name {REGRESSOR} or {EDITOR}")
        if not only or REGRESSOR in only:
            _evaluate_regressor(workspace, own_lots, results)
        if EDITOR in only if only else own_lots is None and workspace.run(EDITOR).exists():
            _evaluate_editor(workspace, results)


def _evaluate_regressor(workspace: Workspace, own_lots: Path | None, results: Path) -> None:
    # Here, because the forests take seconds to import and no other command needs them.
    from lotwise_training.pipelines.intervals import evaluate_intervals
    from lotwise_training.pipelines.property_predictions import property_manifest, property_sets

    recipe = workspace.recipe(RegressorRecipe, "regressor")
    tiles = workspace.strength_tiles(own_lots)
    new = None if own_lots else workspace.new_lots()
    # The further lots fill the gaps between the benchmark's; they are not part of it.
    counted = None if own_lots else [lot.lot_id for lot in reference_lots()]
    sets = property_sets(tiles, new, recipe, workspace.runs, measured=counted)
    benchmark = None if own_lots else VERSION
    stated = property_manifest(
        tiles, recipe, workspace.runs, workspace.profile, benchmark=benchmark
    )
    write_property(results, sets, stated)
    figures = property_figures(sets)
    show(property_sheet(figures, stated["unit"]), out)
    _write_json(workspace.run(REGRESSOR) / EVALUATION_FILE, served_figures(figures))
    if new is not None:
        show(
            evaluate_intervals(tiles, new, recipe, workspace.runs, results, workspace.profile), out
        )
        _evaluate_known_tiles(workspace, new, results)


def _evaluate_known_tiles(workspace: Workspace, new: TileDataset, results: Path) -> None:
    # Here, as above.
    from lotwise_training.evaluation.familiarity_predictions import (
        familiarity_predictions,
        write_familiarity_predictions,
    )
    from lotwise_training.report.known_tiles_section import ood_figures, ood_sheet

    answered = familiarity_predictions(
        new, workspace.runs, profile=workspace.profile, version=VERSION
    )
    if answered is not None:
        write_familiarity_predictions(results, *answered)
        show(ood_sheet(ood_figures(answered[0])), out)


def _evaluate_editor(workspace: Workspace, results: Path) -> None:
    # Here, as above.
    from lotwise_training.pipelines.edit_measurements import edit_manifest, edit_sets

    edits = edit_sets(new_lots()[:EDITED_LOTS], workspace.runs, workspace.cache)
    editors = workspace.recipe(EditorRecipe, "editor")
    said = edit_manifest(editors, workspace.runs, workspace.profile, UNIT, VERSION)
    write_edits(results, edits, said)
    measured = edit_figures(edits)
    show(edits_sheet(measured, said), out)
    show(redrawn_sheet(measured), out)
    served = served_edit_figures(measured[editors.served], said["attributes"])
    _write_json(workspace.run(EDITOR) / EVALUATION_FILE, served)
    _write_json(
        workspace.run(METER) / EVALUATION_FILE,
        meter_figures(measured[SIMULATOR], said["attributes"]),
    )


def _say_fitted(fitted: Fitted) -> None:
    measured = fitted.policy.measured
    assert measured is not None
    out.print(f"Temperature {fitted.calibrated.calibration.temperature:.3f}.")
    out.print(fitted.policy.guarantee.statement)
    out.print(
        f"On {measured.tiles:,} test tiles that accepts {measured.coverage:.1%}, "
        f"{measured.error:.2%} of them wrongly."
    )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
