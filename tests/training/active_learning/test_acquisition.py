"""Measures of what a test would tell, against their definitions."""

import numpy as np
import pytest

from lotwise_training.active_learning.acquisition import (
    cut_of_risk,
    greedy,
    mutual_information,
    untested,
)
from lotwise_training.active_learning.gaussian_process import (
    Hyperparameters,
    LotKernel,
    conditioned,
)

NOISE = 0.04
TESTED = np.array([0, 6])


@pytest.fixture(scope="module")
def prior():
    places = np.random.default_rng(5).normal(size=(9, 2))
    return LotKernel.of(places).covariance(Hyperparameters(0.9, 0.8, 0.5, 0.2))


def information(prior, lots):
    """Mutual information of measured values of some lots and of all others, by determinants."""
    measured = prior + NOISE * np.eye(len(prior))
    rest = np.setdiff1d(np.arange(len(prior)), lots)

    def log_determinant(rows):
        return np.linalg.slogdet(measured[np.ix_(rows, rows)])[1]

    both = log_determinant(np.arange(len(prior)))
    return 0.5 * (log_determinant(lots) + log_determinant(rest) - both)


def test_mutual_information_is_what_a_test_adds_by_the_definition(prior):
    said = mutual_information(prior, TESTED, NOISE)
    before = information(prior, TESTED)
    rest = untested(9, TESTED)
    wanted = [information(prior, np.append(TESTED, lot)) - before for lot in rest]
    np.testing.assert_allclose(said, wanted, rtol=1e-6)
    assert np.ptp(said) > 0.01


def test_cut_of_risk_is_that_of_the_variances_when_the_lot_is_tested(prior):
    rest = untested(9, TESTED)
    now = np.diag(conditioned(prior, TESTED, NOISE))[rest].mean()
    wanted = []
    for lot in rest:
        after = np.diag(conditioned(prior, np.append(TESTED, lot), NOISE))[rest].mean()
        wanted.append((now - after) / now)
    np.testing.assert_allclose(cut_of_risk(prior, TESTED, NOISE), wanted, rtol=1e-6)
    assert min(wanted) > 0
    assert np.ptp(wanted) > 0.01


@pytest.mark.parametrize("gain", [cut_of_risk, mutual_information])
def test_every_lot_of_a_batch_is_the_best_after_those_before(prior, gain):
    batch = greedy(prior, TESTED, NOISE, 3, gain)
    assert len({*batch, *TESTED.tolist()}) == 5
    taken = TESTED
    for lot in batch:
        gains = dict(zip(untested(9, taken).tolist(), gain(prior, taken, NOISE), strict=True))
        assert gains[lot] == max(gains.values())
        taken = np.append(taken, lot)
    assert greedy(prior, TESTED, NOISE, 1, gain) == batch[:1]


def test_two_lots_at_one_place_are_not_both_chosen_before_a_far_one():
    places = np.array([[0.0], [3.0], [3.0], [-3.0], [0.1]])
    prior = LotKernel.of(places).covariance(Hyperparameters(1.0, 0.5, 1e-3, 0.05))
    for gain in (cut_of_risk, mutual_information):
        batch = greedy(prior, np.array([0]), NOISE, 2, gain)
        assert sorted(batch) != [1, 2]


def test_a_batch_ends_with_the_untested_lots_whatever_is_asked_for(prior):
    batch = greedy(prior, TESTED, NOISE, 100)
    assert sorted(batch) == untested(9, TESTED).tolist()


def test_names_of_lots_do_not_matter(prior):
    # The measures follow the lots when they are listed in another order.
    order = np.random.default_rng(1).permutation(9)
    moved = prior[np.ix_(order, order)]
    places = np.argsort(order)
    there = places[TESTED]
    for gain in (cut_of_risk, mutual_information):
        said = dict(zip(untested(9, there).tolist(), gain(moved, there, NOISE), strict=True))
        before = dict(zip(untested(9, TESTED).tolist(), gain(prior, TESTED, NOISE), strict=True))
        for lot, value in before.items():
            assert said[int(places[lot])] == pytest.approx(value)
