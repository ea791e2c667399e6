"""Evaluates the intervals of a run on new lots."""

from __future__ import annotations

import json
from pathlib import Path

from lotwise_simulator.benchmark import VERSION, reference_lots
from lotwise_training.calibration.conformal import FOLDS
from lotwise_training.config.schema import RegressorRecipe
from lotwise_training.data.tiles import TileDataset
from lotwise_training.evaluation.conformal import card_rows, coverage_records
from lotwise_training.evaluation.interval_predictions import interval_predictions
from lotwise_training.export.model_card import EVALUATION
from lotwise_training.report.intervals import coverage_table
from lotwise_training.report.render import Table
from lotwise_training.store.arrays import write


def evaluate_intervals(
    data: TileDataset,
    new: TileDataset,
    recipe: RegressorRecipe,
    runs: Path,
    results: Path,
    profile: str,
) -> Table:
    """Store predictions of the fold networks and figures for the model card; show the coverage.

    Args:
        data: The lots of the training, the benchmark's among them.
        new: The benchmark's new lots.
        recipe: Of the run.
        runs: Folder of all runs.
        results: Folder of stored results.
        profile: Name of the recipes' folder.

    Raises:
        CheckpointError: A network is missing or unfinished.
        ResultsError: More than 8 MB of predictions.
    """
    reference = [lot.lot_id for lot in reference_lots()]
    result = interval_predictions(
        data, new, recipe, runs, profile=profile, benchmark=VERSION, reference=reference
    )
    write(results, result)
    records = coverage_records(result.held, result.new, result.manifest())
    path = runs / FOLDS / EVALUATION
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(card_rows(records), indent=2) + "\n", encoding="utf-8")
    return coverage_table(records)
