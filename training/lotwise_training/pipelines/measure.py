"""Calibrates and measures what was trained: policy, predictions, regressor, editor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from lotwise.core.calibration_fit import Fitted
from lotwise_simulator.benchmark import VERSION, new_lots, reference_lots
from lotwise_simulator.benchmark_files import UNIT
from lotwise_training.calibration.conformal import FOLDS
from lotwise_training.calibration.policy import (
    PredictedTiles,
    calibration_shortage,
    committee_sha256,
    fit_committee,
    read_fitted,
    write_fitted,
)
from lotwise_training.config.schema import EditorRecipe, RegressorRecipe
from lotwise_training.data.calibration_sets import CALIBRATION, FRESH
from lotwise_training.data.splits import SPLITS, classes, labels
from lotwise_training.data.tiles import Images, Numbers, TileDataset
from lotwise_training.evaluation.edits import (
    SIMULATOR,
    edit_figures,
    edit_records,
    editor_card_rows,
    meter_card_rows,
)
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.evaluation.predictions import TEST, Predictions
from lotwise_training.evaluation.regression import card_rows, property_records
from lotwise_training.inference.predict import load_members
from lotwise_training.pipelines.class_predictions import (
    ensemble_result,
    shifted_predictions,
    split_predictions,
)
from lotwise_training.pipelines.workspace import Workspace
from lotwise_training.report.edits import edits_table, redrawn_table
from lotwise_training.report.property import property_table
from lotwise_training.report.render import show
from lotwise_training.store.arrays import write
from lotwise_training.training.editor.runs import RUN as EDITOR
from lotwise_training.training.tasks.attributes import SERVED_METER
from lotwise_training.training.tasks.ensemble import SERVED, committee_variants
from lotwise_training.training.tasks.property import SERVED as REGRESSOR

EVALUATION_FILE: Final = "evaluation.json"
EDITED_LOTS: Final = 24


def fit_policy(workspace: Workspace, out: Console, own_lots: Path | None) -> None:
    """Calibrate the trained committee and fit its referral policy."""
    recipe, tiles = workspace.committee(own_lots)
    split = SPLITS[recipe.split](tiles, recipe.network.seed)
    if own_lots is not None:
        shortage = calibration_shortage(tiles, split, recipe.policy)
        if shortage is not None:
            raise shortage
    members, lot_ids = load_members(workspace.run(SERVED))
    predictor = PredictionCache(workspace.runs, recipe)

    def predicted(images: Images, lots: Numbers, title: str) -> PredictedTiles:
        truth = labels(lots, classes(split, tiles))
        return PredictedTiles(images, truth, predictor.predict(images, title))

    if own_lots is None:
        fresh = workspace.fresh_tiles(CALIBRATION)
        known = predicted(fresh.images, fresh.lots, "calibration tiles, ensemble")
    else:
        rows = split.calibration
        known = predicted(tiles.images[rows], tiles.lots[rows], "calibration tiles, ensemble")
    test = predicted(
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
    show_fitted(fitted, out)


def store_predictions(
    workspace: Workspace, results: Path, own_lots: Path | None, *, fresh: bool
) -> None:
    """Store what the trained networks predict of all sets, and of the fresh tiles if asked for.

    Without own lots, the sets are benchmark v1's.
    """
    recipe, tiles = workspace.committee(own_lots)
    predictor = PredictionCache.with_calibration(workspace.runs, recipe, needed=own_lots is None)
    outputs: Predictions = {}
    for name, split in committee_variants(tiles, recipe)[0].items():
        outputs |= split_predictions(tiles, name, split, predictor)
    if own_lots is None:
        outputs |= shifted_predictions(workspace.cache, predictor)
    benchmark, profile = own_lots is None, workspace.profile
    write(results, ensemble_result(outputs, tiles, predictor, profile, benchmark=benchmark))
    if own_lots is None and fresh:
        split = SPLITS[recipe.split](tiles, recipe.network.seed)
        further = workspace.fresh_tiles(FRESH)
        truth = labels(further.lots, classes(split, tiles))
        fitted = read_fitted(workspace.run(SERVED))
        check = predictor.predict_fresh(further.images, truth, fitted.calibrated, fitted.policy)
        write(results, check)


def evaluate_regressor(
    workspace: Workspace, out: Console, own_lots: Path | None, results: Path
) -> None:
    """Measure the regressor on lots that it never saw, and store what it predicted."""
    # Here, because the forests take seconds to import and no other command needs them.
    from lotwise_training.pipelines.property_predictions import property_result, property_sets

    recipe = workspace.recipe(RegressorRecipe, "regressor")
    tiles = workspace.strength_tiles(own_lots)
    new = None if own_lots else workspace.new_lots()
    # The further lots fill the gaps between the benchmark's; they are not part of it.
    counted = None if own_lots else [lot.lot_id for lot in reference_lots()]
    sets = property_sets(tiles, new, recipe, workspace.runs, measured=counted)
    benchmark = None if own_lots else VERSION
    stored = property_result(
        sets, tiles, recipe, workspace.runs, workspace.profile, benchmark=benchmark
    )
    write(results, stored)
    records = property_records(sets, stored.unit)
    show(property_table(records, stored.unit), out)
    _write_json(workspace.run(REGRESSOR) / EVALUATION_FILE, card_rows(records))
    if new is not None:
        _evaluate_new_lots(workspace, out, tiles, new, recipe, results)


def _evaluate_new_lots(
    workspace: Workspace,
    out: Console,
    tiles: TileDataset,
    new: TileDataset,
    recipe: RegressorRecipe,
    results: Path,
) -> None:
    """Measure intervals and familiarity on the benchmark's new lots."""
    # Here, as above.
    from lotwise_training.evaluation.conformal import (
        card_rows,
        coverage_records,
        interval_predictions,
    )
    from lotwise_training.evaluation.familiarity_predictions import familiarity_predictions
    from lotwise_training.report.intervals import coverage_table
    from lotwise_training.report.property import ood_records, ood_table

    runs, profile = workspace.runs, workspace.profile
    reference = [lot.lot_id for lot in reference_lots()]
    intervals = interval_predictions(
        tiles, new, recipe, runs, profile=profile, benchmark=VERSION, reference=reference
    )
    write(results, intervals)
    coverage = coverage_records(intervals)
    _write_json(workspace.run(FOLDS) / EVALUATION_FILE, card_rows(coverage))
    show(coverage_table(coverage), out)
    familiarity = familiarity_predictions(new, runs, profile=profile, version=VERSION)
    if familiarity is not None:
        write(results, familiarity)
        show(ood_table(ood_records(familiarity.sets)), out)


def evaluate_editor(workspace: Workspace, out: Console, results: Path) -> None:
    """Measure the editors on lots that they never saw, and store what their edits did."""
    # Here, as above.
    from lotwise_training.pipelines.edit_measurements import edit_result, edit_sets

    edits = edit_sets(new_lots()[:EDITED_LOTS], workspace.runs, workspace.cache)
    editors = workspace.recipe(EditorRecipe, "editor")
    stored = edit_result(edits, editors, workspace.runs, workspace.profile, UNIT, VERSION)
    write(results, stored)
    measured = edit_figures(edits)
    records = edit_records(measured, stored.attributes, UNIT)
    show(edits_table(records, UNIT), out)
    show(redrawn_table(records), out)
    served = editor_card_rows(measured[editors.served], stored.attributes)
    _write_json(workspace.run(EDITOR) / EVALUATION_FILE, served)
    _write_json(
        workspace.run(SERVED_METER) / EVALUATION_FILE,
        meter_card_rows(measured[SIMULATOR], stored.attributes),
    )


def show_fitted(fitted: Fitted, out: Console) -> None:
    """Print the temperature, the promise and what it came to on test tiles."""
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
