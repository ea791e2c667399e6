"""Promises fitted again and again, on pools whose scenes and lots differ."""

import numpy as np
import pytest

from lotwise.core.policy_fit import Scored
from lotwise_training.evaluation.records import Records
from lotwise_training.evaluation.risk_promise import (
    ACCEPTED,
    DRAWS,
    add_accepted,
    check_promise,
    checked_risk,
    draw_scenes,
    scenes_of,
)
from lotwise_training.store.arrays import ResultsError
from tests.support.committees import COVERAGE

SCENE = 50


def pool_of(scores, wrong, familiarity=None):
    return Scored(scores, np.ones(len(scores)) if familiarity is None else familiarity, wrong)


def unequal_lots(seed=1):
    """Ten lots of ten scenes; wrong answers are as sure as right ones in half of the lots."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(10), 10 * SCENE)
    scores = rng.beta(0.3, 3.0, len(labels))
    hard = np.where(labels % 2, 1.6, 0.1)
    return pool_of(scores, rng.random(len(labels)) < scores * hard), labels


def check(pool, labels, promise, draw, recalibrations=100):
    scenes = scenes_of(labels, SCENE)
    return check_promise(pool, scenes, COVERAGE, promise, draw, recalibrations=recalibrations)


def test_a_promise_holds_on_scenes_of_every_lot_and_breaks_on_lots_at_random():
    pool, labels = unequal_lots()
    equal, _, lots = (check(pool, labels, ("error", 0.04), draw) for draw in DRAWS)
    assert equal.kept
    assert equal.interval[0] <= equal.violations / 100 <= equal.interval[1]
    assert lots.violations > lots.most_violations > equal.violations
    assert not lots.kept
    assert (equal.pool, equal.scenes, equal.calibration_tiles, equal.unreachable) == (
        5000,
        10,
        500,
        0,
    )


def test_a_promise_on_independent_tiles_is_counted_as_it_is_kept_and_broken():
    rng = np.random.default_rng(1)
    scores = rng.beta(0.3, 3.0, 20_000)
    pool = pool_of(scores, rng.random(20_000) < scores)
    found = check(pool, np.repeat(np.arange(20), 1000), ("error", 0.05), DRAWS[0], 200)
    assert found.kept
    assert 0 < found.violations <= found.most_violations
    assert found.coverage > found.bonferroni_coverage > 0.3
    assert (found.pool, found.recalibrations, found.unreachable) == (20_000, 200, 0)


def test_the_same_seed_gives_the_same_draws():
    pool, labels = unequal_lots()
    first, second = (check(pool, labels, ("error", 0.05), DRAWS[1], 20) for _ in range(2))
    assert first == second


def test_a_promised_coverage_is_counted_too():
    pool, labels = unequal_lots()
    found = check(pool, labels, ("coverage", 0.8), DRAWS[0])
    assert found.kept
    assert found.bonferroni_coverage is None
    assert 0.8 < found.coverage < 0.9


def test_a_promise_that_nothing_keeps_is_counted_as_not_reachable():
    pool = pool_of(np.linspace(0, 1, 1000), np.ones(1000, dtype=bool))
    found = check(pool, np.repeat([0, 1], 500), ("error", 0.05), DRAWS[0])
    assert (found.unreachable, found.violations, found.coverage) == (100, 0, 0.0)


def test_unfamiliar_tiles_are_outside_of_the_promise():
    # All wrong answers are of unfamiliar tiles.
    wrong = np.arange(5000) % 5 == 0
    scores = np.random.default_rng(3).permutation(np.linspace(0, 0.1, 5000))
    pool = pool_of(scores, wrong, np.where(wrong, 0.01, 0.5))
    found = check(pool, np.repeat(np.arange(10), 500), ("error", 0.05), DRAWS[1])
    assert found.violations == 0
    assert found.coverage == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("draw", DRAWS)
def test_whole_scenes_are_drawn_and_never_for_both_parts(draw):
    labels = np.repeat(np.arange(7), 6 * SCENE)
    first, second = draw_scenes(scenes_of(labels, SCENE), draw, np.random.default_rng(2))
    assert len(first) == len(second)
    for rows in (*first, *second):
        assert len(rows) == SCENE
        assert (np.diff(rows) == 1).all()
        assert rows[0] % SCENE == 0
    if draw == "every lot equally":
        assert [labels[rows[0]] for rows in second] == list(range(7))
        assert not set(np.concatenate(first)) & set(np.concatenate(second))


def test_a_lot_of_one_scene_is_refused():
    pool = pool_of(np.linspace(0, 1, 150), np.zeros(150, dtype=bool))
    with pytest.raises(ResultsError, match="two scenes"):
        check(pool, np.repeat([0, 1], [100, 50]), ("error", 0.05), DRAWS[0])


def test_a_risk_that_could_not_be_broken_is_made_smaller():
    wrong = np.arange(2000) % 10 == 0
    pool = pool_of(np.linspace(0, 1, 2000), wrong)
    # A tenth is wrong under any threshold.
    assert checked_risk(pool, COVERAGE, 0.3) == pytest.approx(0.05, abs=0.001)
    assert checked_risk(pool, COVERAGE, 0.02) == 0.02


def test_the_worst_lot_stands_beside_all():
    labels = np.repeat([0, 1], [300, 100])
    pool = pool_of(np.where(labels == 1, 0.8, 0.1), np.zeros(400, dtype=bool))
    records = Records()
    add_accepted(records, pool, labels, 0.05, 0.5)
    (row,) = records.rows(ACCEPTED)
    assert (row.value("accepted_share"), row.value("worst_accepted_share")) == (0.75, 0.0)
