"""Simulates plans of tests on the benchmark's new lots."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console

from lotwise_simulator.benchmark import VERSION, new_lots
from lotwise_simulator.benchmark_files import PROPERTY, UNIT
from lotwise_training.active_learning.embedding import lot_means
from lotwise_training.active_learning.savings import plan_records
from lotwise_training.active_learning.simulation import KnownLots, simulate_plans
from lotwise_training.data.benchmark import benchmark_set
from lotwise_training.pipelines.workspace import Workspace
from lotwise_training.report.planning import forecasts_table, plans_table
from lotwise_training.report.render import show
from lotwise_training.store.arrays import write

SET: Final = "new"
TESTS: Final = 2
RELATIVE_SCATTER: Final = 0.02
"""Of one strength test, as `lotwise_simulator.traits.strength_tests` draws it."""


def measure_plans(workspace: Workspace, repository: Path, results: Path, out: Console) -> None:
    """Simulate plans on the benchmark's new lots, store them and show what they save.

    Raises:
        LotwiseError: The repository cannot be used.
        ResultsError: The committee gives no features.
    """
    # Here, because it needs the engine that serves, which no training does.
    from lotwise_training.pipelines.exported_ensemble import open_committee

    committee, predictor = open_committee(workspace, repository)
    tiles = benchmark_set(SET, workspace.cache)
    means = lot_means(predictor.predict(tiles.images, f"{SET}, ensemble"), tiles.lots)
    lots = new_lots()
    known = KnownLots(
        means,
        measured=np.array([lot.strength_tests(TESTS).mean() for lot in lots]),
        true=np.array([lot.peak_stress_psi for lot in lots]),
        standard_error=RELATIVE_SCATTER / TESTS**0.5,
    )
    plans = simulate_plans(
        known,
        benchmark=VERSION,
        property_name=PROPERTY,
        unit=UNIT,
        weights_sha256=committee.weights_sha256,
        data_version=tiles.version,
    )
    write(results, plans)
    records = plan_records(plans, plans.unit)
    show(plans_table(records, plans), out)
    show(forecasts_table(records), out)
    out.print(f"wrote {results}")
