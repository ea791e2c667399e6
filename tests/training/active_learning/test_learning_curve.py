"""The learning curve that unlabelled tiles predict, and how it is drawn further."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from lotwise_training.active_learning.learning_curve import (
    CurvePoint,
    LearningCurve,
    curve_jobs,
    curve_point,
    measure_curve,
)
from lotwise_training.active_learning.power_law import PowerLaw, fit_power_law, interval, need
from lotwise_training.config.load import BASE, RECIPES
from lotwise_training.config.schema import PlanRecipe
from lotwise_training.data.splits import SPLITS
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.report.planning import (
    curve_table,
    curve_targets,
    learning_section,
    need_sentences,
)
from lotwise_training.report.render import Inputs
from lotwise_training.store.arrays import ResultsError, read, write
from lotwise_training.store.checkpoint import CheckpointError
from tests.training.commands import TINY_NETWORK, said, write_grey_lots, write_recipes
from tests.training.small_lots import NETWORK, RECIPE, grey_lots

SHARES = (0.1, 0.4, 1.0)
PLAN = PlanRecipe(
    split="tile-random",
    shares=SHARES,
    members=2,
    parallel=2,
    test_tiles=1000,
    resamples=20,
    network=NETWORK,
)
DATA = grey_lots(n_lots=4, regions=10, per_region=4)
LAW = PowerLaw(floor=0.05, scale=2.0, exponent=0.35)
TILES = (100, 300, 1000, 3000, 10_000)


def a_curve(law=LAW, wrong_by=0.0, seed=0):
    """A curve of points on a power law, with resamples around them."""
    rng = np.random.default_rng(seed)
    points = []
    for tiles in TILES:
        right = 1.0 - law.error(tiles)
        drawn = tuple((right + rng.normal(0.0, 0.004, 50)).tolist())
        points.append(
            CurvePoint(
                tiles=tiles,
                share=tiles / TILES[-1],
                steps=500,
                temperature=0.8,
                confidence=right - 0.05,
                predicted=right,
                accuracy=right + wrong_by,
                drawn=drawn,
            )
        )
    return LearningCurve(tuple(points), 10, 4000, 4, (16, 1), 1, "cpu")


def test_a_power_law_is_found_again():
    errors = np.array([LAW.error(tiles) for tiles in TILES])
    found = fit_power_law(TILES, errors, np.full(len(TILES), 0.01))
    np.testing.assert_allclose([found.error(t) for t in TILES], errors, atol=5e-4)
    assert found.exponent == pytest.approx(LAW.exponent, rel=0.05)
    assert found.error(100_000) == pytest.approx(LAW.error(100_000), abs=2e-3)


def test_points_that_are_less_sure_count_less():
    errors = np.array([LAW.error(tiles) for tiles in TILES])
    off = errors + np.array([0.0, 0.0, 0.1, 0.0, 0.0])
    sure = fit_power_law(TILES, off, np.array([0.01, 0.01, 10.0, 0.01, 0.01]))
    assert sure.error(1000) == pytest.approx(LAW.error(1000), abs=1e-3)


def test_errors_that_do_not_fall_are_a_floor():
    found = fit_power_law(TILES, np.full(5, 0.2), np.full(5, 0.01))
    assert found.error(10**9) == pytest.approx(0.2, abs=1e-6)
    assert found.size(0.1) == math.inf


def test_a_curve_of_two_points_is_refused():
    with pytest.raises(ValueError, match="three points"):
        fit_power_law((10, 20), np.array([0.3, 0.2]), np.array([0.1, 0.1]))


def test_tiles_are_the_inverse_of_errors():
    assert LAW.size(LAW.error(12_345)) == pytest.approx(12_345)
    assert LAW.size(LAW.floor) == math.inf
    assert LAW.size(0.0) == math.inf
    # Nearly at the floor more are needed than a number holds.
    assert PowerLaw(0.05, 2.0, 0.05).size(0.05 + 1e-17) == math.inf
    assert PowerLaw(0.1, 0.0, 1.0).size(0.2) == 0.0


def test_a_need_is_an_interval_of_the_resampled_curves():
    laws = [PowerLaw(0.05, 2.0, 0.30 + 0.01 * n) for n in range(10)]
    found = need(LAW, laws, 0.10)
    each = sorted(law.size(0.10) for law in laws)
    assert (found.low, found.high) == (each[0], each[9])
    assert found.low < found.tiles < found.high
    assert found.never == 0.0
    some = need(LAW, [*laws, *[PowerLaw(0.2, 1.0, 0.5)] * 10], 0.10)
    assert (some.high, some.never) == (math.inf, 0.5)


def test_the_interval_of_the_error_ahead_is_wider_than_where_it_was_measured():
    resampled = a_curve().resampled()
    here, ahead = (np.ptp(interval(resampled, tiles)) for tiles in (1000, 1_000_000))
    assert ahead > 2 * here


def test_points_take_as_many_steps_on_tiles_of_their_own_share():
    jobs = curve_jobs(DATA, PLAN)
    split = SPLITS["tile-random"](DATA, NETWORK.seed)
    assert len({job.steps for job in jobs}) == 1
    assert len({job.seed for job in jobs}) == len(jobs) == 6
    by_point = [[j for j in jobs if j.name.startswith(f"plan/share-{s:g}/")] for s in SHARES]
    assert [len(jobs) for jobs in by_point] == [2, 2, 2]
    sets = [set(jobs[0].train.tolist()) for jobs in by_point]
    for fewer, more in itertools.pairwise(sets):
        assert fewer < more
    np.testing.assert_array_equal(by_point[-1][0].train, split.train)
    for job in jobs:
        np.testing.assert_array_equal(job.validation, split.validation)
        assert not set(job.train) & set(split.test)
    # Every lot gives its share.
    assert np.bincount(DATA.lots[by_point[1][0].train]).tolist() == [13] * 4
    limited = curve_jobs(DATA, PLAN, max_seconds=60.0)
    assert sum(job.max_seconds for job in limited) == pytest.approx(2 * 60.0)


def test_one_tile_of_each_lot_is_the_least():
    jobs = curve_jobs(DATA, replace(PLAN, shares=(0.001, 0.5, 1.0)))
    assert len(jobs[0].train) == 4


def logits(truth, sharp, rng, members=3, lots=4):
    """Logits whose pooled answers are right in some of the cases, and not sure enough of it."""
    return sharp * np.eye(lots)[truth][:, None] + rng.normal(size=(len(truth), members, lots))


def test_what_unlabelled_tiles_predict_is_their_accuracy_within_its_error():
    rng = np.random.default_rng(1)
    for sharp in (0.7, 1.5, 2.5):
        truth, held = rng.integers(4, size=3000), rng.integers(4, size=3000)
        asked = (logits(truth, sharp, rng), truth)
        point = curve_point(
            asked,
            (logits(held, sharp, rng), held),
            tiles=100,
            share=0.1,
            steps=5,
            resamples=30,
        )
        assert point.predicted == pytest.approx(point.accuracy, abs=0.03)
        # As it is, the committee is surer or less sure than it is right.
        assert abs(point.confidence - point.accuracy) > abs(point.predicted - point.accuracy)
        assert len(point.drawn) == 30
        assert 0.001 < point.spread < 0.05
        assert np.mean(point.drawn) == pytest.approx(point.predicted, abs=1e-4)


def test_the_labels_of_unlabelled_tiles_predict_nothing():
    rng = np.random.default_rng(1)
    truth, held = rng.integers(4, size=300), rng.integers(4, size=300)
    answers, known = logits(truth, 1.5, rng), (logits(held, 1.5, rng), held)
    how = {"tiles": 100, "share": 0.1, "steps": 5, "resamples": 5}
    right, other = (curve_point((answers, lots), known, **how) for lots in (truth, truth[::-1]))
    assert right.accuracy != other.accuracy
    assert (right.predicted, right.drawn) == (other.predicted, other.drawn)


def test_a_curve_is_read_as_it_was_written(tmp_path):
    curve = a_curve()
    write(tmp_path, curve)
    assert read(LearningCurve, tmp_path) == curve
    for content in ("", "[]", "{}", '{"points": [{"tiles": 3}]}'):
        (tmp_path / "learning_curve.json").write_text(content)
        with pytest.raises(ResultsError, match="no readable results|is not the file"):
            read(LearningCurve, tmp_path)
    (tmp_path / "learning_curve.json").write_text('{"arrays_sha256": "", "points": []}')
    with pytest.raises(ResultsError, match=r"learning_curve\.json: lots: Field required"):
        read(LearningCurve, tmp_path)


def test_sentences_say_what_is_reached_needed_and_out_of_reach():
    curve = a_curve()
    here = curve.points[-1].predicted
    reached, more, never = need_sentences(curve, (0.5, here + 0.02, 0.999))[1:]
    assert reached.startswith("For 50.0%: reached with ")
    assert " more: " in more
    assert "of each of the 10 lots" in more
    assert never.startswith("For 99.9%: out of reach by the curve")
    assert "In 100% of the resamples" in never


def test_nobody_asked_is_a_quarter_and_half_of_the_errors_less():
    curve = a_curve()
    wrong = 1.0 - curve.points[-1].predicted
    said = need_sentences(curve, ())
    assert [s.split(":")[0] for s in said[1:]] == [
        f"For {1 - 0.75 * wrong:.1%}",
        f"For {1 - 0.5 * wrong:.1%}",
    ]


def test_the_table_shows_what_the_points_before_the_last_said_of_it():
    curve = a_curve()
    table = curve_table(curve)
    assert len(table.cells) == len(TILES)
    expected = 1 - curve.law(4).error(TILES[-1])
    assert f"the last one would be {expected:.1%}" in table.note
    few = replace(curve, points=curve.points[:3])
    assert "Extrapolated" not in curve_table(few).note


@pytest.mark.parametrize(("wrong_by", "reached"), [(0.015, True), (-0.025, False)])
def test_the_target_is_the_largest_difference(wrong_by, reached):
    (target,) = curve_targets(a_curve(wrong_by=wrong_by))
    assert target.reached is reached
    assert target.value == pytest.approx(abs(wrong_by))


def test_the_section_is_there_where_a_curve_is(tmp_path):
    assert learning_section(Inputs(tmp_path)) is None
    write(tmp_path, a_curve())
    section = learning_section(Inputs(tmp_path))
    assert [plot.name for plot in section.plots] == ["learning"]
    assert len(section.records.rows("learning curve")) == len(TILES)
    assert "points" not in section.stated


def test_networks_that_are_missing_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="lotwise-train"):
        measure_curve(DATA, PLAN, PredictionCache(tmp_path, RECIPE), benchmark=None, profile="tiny")


RECIPE_TOML = f"""
split = "tile-random"
shares = [0.2, 0.5, 1.0]
members = 2
parallel = 1
test_tiles = 100
resamples = 10
{TINY_NETWORK}"""


def test_a_laboratory_plans_with_its_own_lots(tmp_path):
    lots = write_grey_lots(tmp_path / "lots")
    committee = (RECIPES / BASE / "committee.toml").read_text()
    recipes = write_recipes(tmp_path / "recipes", plan=RECIPE_TOML, committee=committee)
    common = ("--profile", "tiny", "--recipes", recipes, "--home", tmp_path / "home")
    code, text = said("plan", "tiles", *common, "--lots", lots, "--accuracy", "0.9")
    assert code == 0, text
    assert "Learning curve, predicted from unlabelled tiles" in text
    assert "For 90.0%: " in text
    curve = read(LearningCurve, tmp_path / "home" / "runs" / "plan")
    assert curve.benchmark is None
    assert curve.lots == 3
    assert [point.share for point in curve.points] == [0.2, 0.5, 1.0]
    assert len({point.steps for point in curve.points}) == 1


def test_an_accuracy_that_is_none_is_refused():
    code, text = said("plan", "tiles", "--accuracy", "90")
    assert code == 1
    assert "an accuracy lies between 0 and 1, not 90" in text
