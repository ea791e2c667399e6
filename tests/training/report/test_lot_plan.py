"""Plans played through where all properties are known, and what the report makes of them."""

import json
import math

import numpy as np
import pytest

from lotwise.core.calibration import write_calibration
from lotwise.core.calibration_fit import calibrate
from lotwise_training.active_learning.acquisition import INFORMATION, RISK
from lotwise_training.active_learning.savings import PLANS, most_off, plan_records, tests_needed
from lotwise_training.active_learning.simulation import (
    FIRST,
    RANDOM,
    KnownLots,
    SimulatedPlans,
    Stage,
    simulate_start,
)
from lotwise_training.report.planning import plans_section
from lotwise_training.report.render import Inputs
from lotwise_training.report.served_models import RecheckFailed
from lotwise_training.store.arrays import ResultsError, read, write
from tests.support.committees import COVERAGE, WEIGHTS, labelled
from tests.training.planned_lots import lots


def test_plans_start_from_the_same_lots_and_end_better_informed():
    means, values, true = lots(45, scatter=0.01)
    stage = Stage(KnownLots(means, values, true, 0.01))
    errors = simulate_start(stage, 3, last=14)
    first = [way[0] for way in errors.values()]
    assert first[0] == first[1] == first[2]
    assert {len(way) for way in errors.values()} == {4}
    for way in errors.values():
        assert way[-1][-1] < way[0][-1]
    assert simulate_start(stage, 3, last=FIRST) == {way: each[:1] for way, each in errors.items()}


def test_lots_that_are_held_out_set_neither_space_nor_units():
    means, values, true = lots(45)
    stage = Stage(KnownLots(means, values, true, 0.01))
    held = stage.order[stage.offered :]
    assert len(held) == 15
    other = means.copy()
    other[held] *= 7
    moved = Stage(KnownLots(other, values, true, 0.01))
    near = slice(0, stage.offered)
    np.testing.assert_array_equal(
        stage.kernel.distances[near, near], moved.kernel.distances[near, near]
    )
    assert not np.array_equal(stage.kernel.distances, moved.kernel.distances)


def stored_plans():
    """Random choice halves its error slowly; the others have it after half as many tests."""
    sizes = np.arange(8, 61, 2)
    starts = 1 + 0.01 * np.arange(5)[:, None]

    def errors(speed):
        mape = starts * 0.8 / (speed * sizes)
        return np.stack([mape, 2000 * mape, mape, mape + 0.01], axis=-1)

    made = {RANDOM: errors(1), RISK: errors(2), INFORMATION: errors(1)}
    told = np.array([[0.05, 0.04, 0.07, 0.06], [0.05, 0.04, 0.07, 0.03]])
    return SimulatedPlans(
        sizes, made, {(40, 8, 20): told}, 133, 67, 1, "peak stress", "psi", 0.01, "0" * 64, "d" * 64
    )


def test_tests_that_random_choice_needs_are_read_off_its_curve():
    sizes, errors = np.array([8, 10, 20]), np.array([0.08, 0.05, 0.03])
    assert tests_needed(sizes, errors, 0.04) == pytest.approx(15)
    assert tests_needed(sizes, errors, 0.09) == 8
    assert math.isinf(tests_needed(sizes, errors, 0.02))


def test_savings_are_computed_from_the_stored_errors():
    rows = {
        (row.of["way"], row.of["tested"]): row for row in plan_records(stored_plans()).rows(PLANS)
    }
    chosen = rows[RISK, 20]
    assert chosen.value("random_needs") == pytest.approx(40)
    assert chosen.value("saved") == pytest.approx(0.5)
    assert chosen.value("against_random") == pytest.approx(-0.5 * rows[RANDOM, 20].value("error"))
    assert chosen.metrics["against_random"].interval[1] < 0
    assert rows[RISK, 40].metrics["saved"].value is None  # 80 random lots were not tried
    assert rows[INFORMATION, 20].value("against_random") == pytest.approx(0)
    assert most_off(stored_plans()) == pytest.approx(0.01)


def test_the_section_shows_what_is_stored_of_this_committee(tmp_path):
    assert plans_section(Inputs(tmp_path)) is None
    write(tmp_path, stored_plans())
    back = read(SimulatedPlans, tmp_path)
    stated = stored_plans().manifest()
    assert {**back.manifest(), "arrays_sha256": ""} == stated
    assert list(back.forecasts) == [(40, 8, 20)]
    np.testing.assert_allclose(back.errors[RISK], stored_plans().errors[RISK], atol=1e-6)
    section = plans_section(Inputs(tmp_path))
    json.dumps([section.stated, section.records.as_json()], allow_nan=False)
    plans, forecasts = section.tables
    assert plans.title == "Which lot to test next"
    _, by_risk, _ = [row for row in plans.cells if row[1] == "20"]
    assert by_risk[-2:] == ("40", "50")
    assert forecasts.cells[0][-1] == "50"
    assert [target.reached for target in section.targets] == [True, True]
    with pytest.raises(RecheckFailed, match="another committee"):
        plans_section(Inputs(tmp_path, other_models(tmp_path)))
    (tmp_path / "simulated_plans.json").write_text("{}")
    with pytest.raises(ResultsError, match=r"simulated_plans\.npz is not the file"):
        read(SimulatedPlans, tmp_path)


def other_models(folder):
    """A repository whose committee has a calibration of its own weights."""
    fitted = calibrate(labelled(2000), COVERAGE, WEIGHTS)
    write_calibration(fitted.calibrated, folder / "models" / "committee")
    return folder / "models"
