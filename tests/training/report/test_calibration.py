"""The report's part on calibration, on answers whose truth is known."""

import json

import numpy as np
import pytest

from lotwise.core.calibration import write_calibration
from lotwise.core.calibration_fit import calibrate
from lotwise.core.policy_fit import Scored
from lotwise.core.temperature import scaled
from lotwise_training.evaluation import calibration as calibration_tables
from lotwise_training.evaluation.calibration import (
    FAMILIARITY,
    SCALING,
    SELECTIVE,
    add_familiarity,
    add_scaling,
    add_selective,
    auroc_interval,
    perfect_ece,
)
from lotwise_training.evaluation.predictions import (
    CalibrationCheck,
    FreshPredictions,
    SetPredictions,
    pool_logits,
)
from lotwise_training.evaluation.records import Records
from lotwise_training.evaluation.risk_promise import DRAWS, PROMISE
from lotwise_training.metrics import expected_calibration_error
from lotwise_training.report.calibration import calibration_section
from lotwise_training.report.render import Inputs
from lotwise_training.report.served_models import RecheckFailed
from lotwise_training.store.arrays import write
from tests.support.committees import COVERAGE, WEIGHTS, known_tiles, labelled
from tests.training.answered_tiles import every_set


@pytest.fixture(scope="module")
def fitted():
    return calibrate(labelled(3000, sharpness=2.0), COVERAGE, WEIGHTS)


@pytest.fixture(scope="module")
def judged(fitted):
    outputs, labels = known_tiles(6000, 50, sharpness=2.0)
    fresh = FreshPredictions(
        labels.astype(np.int16),
        pool_logits(outputs.logits).log_probabilities,
        fitted.calibrated.familiarity.p_values(outputs).astype(np.float32),
    )
    return CalibrationCheck(fresh, fitted.calibrated.calibration, fitted.policy)


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(calibration_tables, "SIMULATIONS", 200)


@pytest.fixture
def shifted():
    """Every set of the report, with a familiarity that is low for shifted tiles."""
    rng = np.random.default_rng(0)
    outputs = every_set()
    for (split, name), each in outputs.items():
        if split == "tile-random":
            p = rng.random(len(each.tiles))
            p = p**4 if name not in ("test", "new_regions") else p
            outputs[split, name] = SetPredictions(
                each.tiles, each.labels, each.predictions, p.astype(np.float32)
            )
    return outputs


def test_scaling_takes_the_error_down_to_that_of_a_perfect_model(judged, few):
    records = Records()
    add_scaling(records, judged)
    (found,) = records.rows(SCALING)
    assert found.value("ece_before") > 0.1
    assert found.value("ece") < 0.03
    assert found.metrics["ece"].count == 6000
    pooled = scaled(judged.fresh.pooled, found.value("temperature"))
    assert found.value("ece") == expected_calibration_error(pooled, judged.fresh.labels)


def test_a_perfect_models_error_is_what_simulation_says():
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.3, 1.0, 2000)
    quantile = perfect_ece(confidence)
    errors = []
    for _ in range(300):
        right = rng.random(2000) < confidence
        bins = np.minimum((confidence * 20).astype(int), 19)
        gaps = [abs((right - confidence)[bins == b].sum()) for b in range(20)]
        errors.append(sum(gaps) / 2000)
    assert quantile == pytest.approx(np.quantile(errors, 0.95), rel=0.05)
    # More tiles, less error.
    assert perfect_ece(np.tile(confidence, 9)) == pytest.approx(quantile / 3, rel=0.1)


def test_familiarity_stands_beside_entropy(shifted):
    records = Records()
    add_familiarity(records, shifted, 0.05)
    rows = records.rows(FAMILIARITY)
    assert {row.of["set"] for row in rows} == {"filament_dim", "unrelated"}
    for each in rows:
        assert each.value("familiarity_auroc") > 0.6
        low, high = each.metrics["familiarity_auroc"].interval
        assert low < each.value("familiarity_auroc") < high
        assert each.value("unfamiliar") > each.value("known_unfamiliar")
    nothing = Records()
    add_familiarity(nothing, every_set(), 0.05)
    assert list(nothing) == []


def test_an_auroc_of_chance_has_the_interval_of_chance():
    low, high = auroc_interval(0.5, 1000, 1000)
    # Mann-Whitney: the variance of U is mn(m + n + 1) / 12.
    half = 1.96 * np.sqrt(2001 / 12 / 1e6)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-3)


def test_error_at_90_percent_coverage_leaves_the_most_doubtful_out():
    scores = np.arange(100) / 100
    wrong = np.zeros(100, dtype=bool)
    wrong[[3, 95, 97]] = True
    records = Records()
    add_selective(records, "test", Scored(scores, np.ones(100), wrong))
    found = records.find(SELECTIVE, "selective_risk")
    assert found.value == pytest.approx(1 / 90)
    assert found.interval[0] < found.value < found.interval[1]


def test_the_section_shows_all_of_it(fitted, judged, shifted, few, tmp_path):
    assert calibration_section(Inputs(tmp_path, None, shifted)) is None
    write(tmp_path, judged)
    write_calibration(fitted.calibrated, tmp_path / "models" / "committee")
    section = calibration_section(Inputs(tmp_path, tmp_path / "models", shifted))
    assert section.name == "calibration"
    verdicts = {target.what: target for target in section.targets}
    # 6,000 tiles are too few to say that the ECE is reached.
    assert verdicts["ECE after scaling, 6,000 fresh tiles"].reached is None
    assert len(section.targets) == 4
    assert [table.name for table in section.tables] == [
        "scaling",
        "promise",
        "accepted",
        "selective",
        "familiarity",
    ]
    promises = section.records.rows(PROMISE, quantity="error")
    assert [row.of["draw"] for row in promises] == list(DRAWS)
    json.dumps([section.stated, section.records.as_json()], allow_nan=False)
    assert fitted.policy.policy_version in section.blocks[0]
    assert "6,000" in section.tables[0].cells[0]
    assert judged.calibration.calibration_version in section.verified


def test_a_served_calibration_that_was_not_judged_is_refused(judged, shifted, few, tmp_path):
    write(tmp_path, judged)
    inputs = Inputs(tmp_path, tmp_path / "models", shifted)
    with pytest.raises(RecheckFailed, match="no calibration"):
        calibration_section(inputs)
    other = calibrate(labelled(2000), COVERAGE, WEIGHTS).calibrated
    write_calibration(other, tmp_path / "models" / "committee")
    with pytest.raises(RecheckFailed, match="another calibration is served than was measured"):
        calibration_section(inputs)
