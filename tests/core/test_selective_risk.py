"""Promises of thresholds, checked by drawing calibration sets again and again."""

import numpy as np
import pytest
from scipy.stats import binom

from lotwise.core.selective_risk import (
    HEAD_START,
    bonferroni_bisection,
    candidates,
    certify_coverage,
    certify_risk,
    measure_threshold,
    rejections,
    tiles_needed,
)

RISK, CONFIDENCE = 0.05, 0.9


def tiles(n, rng):
    """Scores that are the chance of error, and errors drawn by them."""
    scores = rng.beta(0.3, 3.0, n)
    return scores, rng.random(n) < scores


def true_risk(threshold, pool):
    scores, wrong = pool
    return wrong[scores <= threshold].mean()


def test_without_an_error_as_many_tiles_are_needed_as_the_binomial_tail_asks():
    n = tiles_needed(0.02, 0.95)
    assert 0.98**n <= 0.05 < 0.98 ** (n - 1)
    for tried, passes in ((n, True), (n - 1, False)):
        scores, wrong = np.zeros(tried), np.zeros(tried, dtype=bool)
        assert (certify_risk(np.array([0.5]), scores, wrong, 0.02, 0.95) is not None) == passes


def test_the_promise_of_risk_is_kept_as_often_as_promised():
    rng = np.random.default_rng(0)
    pool = tiles(400_000, rng)
    others = tiles(1000, rng)[0]
    violations = 0
    rounds = 600
    coverage = []
    for _ in range(rounds):
        scores, wrong = tiles(1500, rng)
        found = certify_risk(
            candidates(others, 1500, RISK, CONFIDENCE), scores, wrong, RISK, CONFIDENCE
        )
        if found is not None:
            violations += true_risk(found.threshold, pool) > RISK
            coverage.append(found.coverage)
    assert violations <= binom.ppf(0.999, rounds, 1 - CONFIDENCE)
    # And not for nothing: it is the promise that limits, not the method.
    assert violations >= rounds * (1 - CONFIDENCE) / 5
    assert len(coverage) > 0.99 * rounds
    assert np.mean(coverage) > 0.6


def test_fixed_sequence_testing_accepts_more_than_bonferroni():
    rng = np.random.default_rng(1)
    others = tiles(1000, rng)[0]
    gain = []
    for _ in range(50):
        scores, wrong = tiles(1500, rng)
        ours = certify_risk(
            candidates(others, 1500, RISK, CONFIDENCE), scores, wrong, RISK, CONFIDENCE
        )
        theirs = bonferroni_bisection(scores, wrong, RISK, CONFIDENCE)
        gain.append(ours.coverage - (scores <= theirs).mean())
    assert np.mean(gain) > 0.01


def test_the_sequence_ends_at_the_first_failure():
    # Ten errors in the middle; beyond them many right tiles make later thresholds pass alone.
    scores = np.arange(1000) / 1000
    wrong = np.zeros(1000, dtype=bool)
    wrong[300:310] = True
    thresholds = np.array([0.25, 0.31, 0.999])
    assert rejections(thresholds, scores, wrong, 0.02, 0.95) == 1
    assert rejections(thresholds[2:], scores, wrong, 0.02, 0.95) == 1
    assert certify_risk(thresholds, scores, wrong, 0.02, 0.95).threshold == 0.25


def test_candidates_begin_where_a_test_has_a_chance_and_end_at_the_last_familiar_tile():
    scores = np.append(np.arange(900) / 1000, np.full(100, np.inf))
    found = candidates(scores, 2000, 0.02, 0.95)
    needed = tiles_needed(0.02, 0.95)
    assert (scores <= found[0]).sum() * 2 == pytest.approx(HEAD_START * needed, abs=2)
    assert found[-1] == 0.899
    assert (np.diff(found) > 0).all()
    assert not len(candidates(scores, needed - 1, 0.02, 0.95))
    assert not len(candidates(np.full(5, np.inf), 2000, 0.02, 0.95))


def test_tiles_that_tie_are_accepted_together():
    scores = np.repeat([0.1, 0.2], 500)
    wrong = np.arange(1000) % 100 == 0
    found = measure_threshold(0.1, scores, wrong, 0.95)
    assert (found.accepted, found.errors, found.coverage) == (500, 5, 0.5)
    assert found.risk_bound == pytest.approx(0.0208, abs=2e-4)  # Clopper-Pearson, 5 of 500


def test_nothing_accepted_bounds_nothing():
    found = measure_threshold(0.0, np.ones(10), np.zeros(10, dtype=bool), 0.95)
    assert (found.risk_bound, found.coverage_bound) == (1.0, 0.0)


def test_the_promise_of_coverage_is_kept_as_often_as_promised():
    rng = np.random.default_rng(2)
    violations = 0
    rounds = 600
    for _ in range(rounds):
        scores = rng.random(400)
        found = certify_coverage(scores, np.zeros(400, dtype=bool), 0.8, CONFIDENCE)
        violations += found.threshold < 0.8  # uniform: the threshold is its coverage
    assert rounds * (1 - CONFIDENCE) / 3 <= violations <= binom.ppf(0.999, rounds, 1 - CONFIDENCE)


def test_a_coverage_that_unfamiliar_tiles_forbid_is_not_found():
    scores = np.append(np.zeros(850), np.full(150, np.inf))
    assert certify_coverage(scores, np.zeros(1000, dtype=bool), 0.9, 0.95) is None
    assert certify_coverage(scores, np.zeros(1000, dtype=bool), 0.8, 0.95).coverage == 0.85
