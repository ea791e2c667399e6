import numpy as np
import pytest

from lotwise.core.temperature import (
    COLDEST,
    error_probability,
    fit_temperature,
    log_loss,
    scaled,
)
from lotwise.core.uncertainty import softmax


def overconfident(factor, n=20_000, seed=0):
    """Pooled probabilities whose logarithms are `factor` times too large, and labels."""
    rng = np.random.default_rng(seed)
    evidence = rng.normal(0, 2, (n, 5))
    truth = softmax(evidence)
    labels = (truth.cumsum(axis=1) > rng.random(n)[:, None]).argmax(axis=1)
    return softmax(factor * evidence), labels


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_fit_finds_by_how_much_probabilities_are_too_sharp(factor):
    pooled, labels = overconfident(factor)
    assert fit_temperature(pooled, labels) == pytest.approx(factor, rel=0.03)


def test_scaling_lowers_the_loss_of_tiles_that_took_no_part():
    temperature = fit_temperature(*overconfident(2.0))
    pooled, labels = overconfident(2.0, seed=1)
    assert log_loss(scaled(pooled, temperature), labels) < log_loss(pooled, labels) - 0.05


def test_a_temperature_of_one_changes_nothing_and_none_changes_the_order():
    pooled, _ = overconfident(1.0, n=100)
    np.testing.assert_allclose(scaled(pooled, 1.0), pooled)
    hot = scaled(pooled, 3.0)
    np.testing.assert_array_equal(np.argsort(hot), np.argsort(pooled))
    np.testing.assert_allclose(hot.sum(axis=1), 1)
    assert (hot.max(axis=1) < pooled.max(axis=1)).all()


def test_a_committee_that_is_always_right_is_not_scaled_to_certainty():
    pooled = np.tile([0.9, 0.1], (50, 1))
    assert fit_temperature(pooled, np.zeros(50, dtype=np.int64)) == pytest.approx(COLDEST, rel=0.01)


def test_the_chance_of_error_keeps_its_digits():
    probabilities = np.array([[1.0 - 3e-18, 1e-18, 2e-18], [0.5, 0.3, 0.2]])
    np.testing.assert_allclose(error_probability(probabilities), [3e-18, 0.5])


def test_impossible_lots_stay_numbers():
    assert np.isfinite(scaled(np.array([[1.0, 0.0]]), 0.5)).all()
    assert np.isfinite(log_loss(np.array([[1.0, 0.0]]), np.array([1])))
