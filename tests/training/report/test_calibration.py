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
    auroc_interval,
    calibration_figures,
    familiarity_figures,
    guarantee_figures,
    perfect_ece,
    selective_figures,
)
from lotwise_training.evaluation.predictions import (
    CalibrationCheck,
    FreshPredictions,
    SetPredictions,
    pool_logits,
)
from lotwise_training.metrics import expected_calibration_error
from lotwise_training.report.calibration_page import calibration_section
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
    monkeypatch.setattr(calibration_tables, "RECALIBRATIONS", 200)
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
    found = calibration_figures(judged)
    assert found.ece_before > 0.1
    assert found.ece < 0.03
    assert found.tiles == 6000
    pooled = scaled(judged.fresh.pooled, found.temperature)
    assert found.ece == expected_calibration_error(pooled, judged.fresh.labels)


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


def test_the_promise_is_counted_as_it_is_kept_and_broken(few):
    rng = np.random.default_rng(1)
    scores = rng.beta(0.3, 3.0, 20_000)
    pool = Scored(scores, np.ones(20_000), rng.random(20_000) < scores)
    found = guarantee_figures(pool, COVERAGE, 0.05)
    assert found.kept
    assert 0 < found.violations <= found.most_violations
    assert found.coverage > found.bonferroni_coverage > 0.3
    # Whoever promises on tiles of another kind breaks it: wrong answers among the surest.
    assert (found.pool, found.recalibrations, found.unreachable) == (20_000, 200, 0)


def test_a_promise_that_nothing_keeps_is_counted_as_not_reachable(few):
    pool = Scored(np.linspace(0, 1, 1000), np.ones(1000), np.ones(1000, dtype=bool))
    found = guarantee_figures(pool, COVERAGE, 0.05)
    assert (found.unreachable, found.violations, found.coverage) == (200, 0, 0.0)


def test_unfamiliar_tiles_are_outside_of_the_promise(few):
    # All wrong answers are of unfamiliar tiles.
    wrong = np.arange(5000) % 5 == 0
    pool = Scored(np.linspace(0, 0.1, 5000), np.where(wrong, 0.01, 0.5), wrong)
    found = guarantee_figures(pool, COVERAGE, 0.05)
    assert found.violations == 0
    assert found.coverage == pytest.approx(0.8, abs=0.03)


def test_familiarity_stands_beside_entropy(shifted):
    figures = {each.set: each for each in familiarity_figures(shifted, 0.05)}
    assert set(figures) == {"filament_dim", "unrelated"}
    for each in figures.values():
        assert each.auroc > 0.6
        low, high = each.auroc_interval
        assert low < each.auroc < high
        assert each.referred > each.known_referred
    assert familiarity_figures(every_set(), 0.05) == []


def test_an_auroc_of_chance_has_the_interval_of_chance():
    low, high = auroc_interval(0.5, 1000, 1000)
    # Mann-Whitney: the variance of U is mn(m + n + 1) / 12.
    half = 1.96 * np.sqrt(2001 / 12 / 1e6)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-3)


def test_error_at_90_percent_coverage_leaves_the_most_doubtful_out():
    scores = np.arange(100) / 100
    wrong = np.zeros(100, dtype=bool)
    wrong[[3, 95, 97]] = True
    found = selective_figures("test tiles", Scored(scores, np.ones(100), wrong))
    assert found.error == pytest.approx(1 / 90)
    assert found.interval[0] < found.error < found.interval[1]


def test_the_section_says_all_of_it(fitted, judged, shifted, few, tmp_path):
    assert calibration_section(tmp_path, shifted, None) is None
    write(tmp_path, judged)
    write_calibration(fitted.calibrated, tmp_path / "models" / "committee")
    section = calibration_section(tmp_path, shifted, tmp_path / "models")
    assert section.name == "calibration"
    verdicts = {target.what: target for target in section.targets}
    # 6,000 tiles are too few to say that the ECE is reached.
    assert verdicts["ECE after scaling, 6,000 fresh tiles"].reached is None
    assert len(section.targets) == 4
    assert [sheet.name for sheet in section.sheets] == [
        "scaling",
        "guarantee",
        "selective",
        "familiarity",
    ]
    assert all(len(row) == len(s.headings) for s in section.sheets for row in s.rows)
    json.dumps(section.content, allow_nan=False)
    page = "".join(section.parts)
    assert fitted.policy.policy_version in page
    assert "6,000" in page
    assert judged.calibration.calibration_version in section.said


def test_a_served_calibration_that_was_not_judged_is_refused(judged, shifted, few, tmp_path):
    write(tmp_path, judged)
    with pytest.raises(RecheckFailed, match="no calibration"):
        calibration_section(tmp_path, shifted, tmp_path / "models")
    other = calibrate(labelled(2000), COVERAGE, WEIGHTS).calibrated
    write_calibration(other, tmp_path / "models" / "committee")
    with pytest.raises(RecheckFailed, match="was judged"):
        calibration_section(tmp_path, shifted, tmp_path / "models")
