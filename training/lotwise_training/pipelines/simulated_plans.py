"""Plans of tests on the benchmark's new lots, played through and kept for `make evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console

from lotwise_simulator.benchmark import VERSION, new_lots
from lotwise_simulator.benchmark_files import PROPERTY, UNIT
from lotwise_training.active_learning.embedding import lot_means
from lotwise_training.active_learning.savings import plan_records
from lotwise_training.active_learning.simulation import (
    FILE,
    KnownLots,
    SimulatedPlans,
    played,
    write_simulated_plans,
)
from lotwise_training.config.schema import CommitteeRecipe
from lotwise_training.data.benchmark import benchmark_set
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.pipelines.workspace import Workspace
from lotwise_training.report.plans import forecasts_table, plans_table
from lotwise_training.report.render import show
from lotwise_training.training.tasks.ensemble import SERVED as COMMITTEE

SET: Final = "new"
TESTS: Final = 2
RELATIVE_SCATTER: Final = 0.02
"""Of one strength test, as `lotwise_simulator.traits.strength_tests` draws it."""


def simulate_benchmark_plans(
    workspace: Workspace, repository: Path
) -> tuple[SimulatedPlans, dict[str, Any]]:
    """Play plans of tests through on the benchmark's new lots.

    Args:
        workspace: Recipes and rendered tiles; the lots' 20,000 tiles are rendered and asked about
            where that was not done before.
        repository: The model repository.

    Returns:
        What came of it, and what it rests on.

    Raises:
        LotwiseError: The repository cannot be used.
        ResultsError: The committee gives no features.
    """
    # Here, because it needs the engine that serves, which no training does.
    from lotwise_training.pipelines.exported_ensemble import ExportedCommittee

    committee = ExportedCommittee(repository)
    predictor = PredictionCache(
        workspace.runs, workspace.recipe(CommitteeRecipe, COMMITTEE), exported=committee
    )
    tiles = benchmark_set(SET, workspace.cache)
    means = lot_means(predictor.served(tiles.images, f"{SET}, ensemble"), tiles.lots)
    lots = new_lots()
    known = KnownLots(
        means,
        measured=np.array([lot.strength_tests(TESTS).mean() for lot in lots]),
        true=np.array([lot.peak_stress_psi for lot in lots]),
        standard_error=RELATIVE_SCATTER / TESTS**0.5,
    )
    stated = {
        "benchmark": VERSION,
        "property": PROPERTY,
        "unit": UNIT,
        "standard_error": known.standard_error,
        "weights_sha256": committee.weights_sha256,
        "data_version": tiles.version,
    }
    return played(known), stated


def measure_plans(workspace: Workspace, repository: Path, results: Path, out: Console) -> None:
    """Simulate plans on the benchmark's new lots, store them and show what they save.

    Args:
        workspace: Recipes and rendered tiles.
        repository: The model repository.
        results: Folder of stored results.
        out: Shows the tables.

    Raises:
        LotwiseError, ResultsError: As `simulate_benchmark_plans`.
    """
    made, stated = simulate_benchmark_plans(workspace, repository)
    write_simulated_plans(results, made, stated)
    records = plan_records(made, stated["unit"])
    show(plans_table(records, made, stated), out)
    show(forecasts_table(records), out)
    out.print(f"wrote {results / FILE}")
