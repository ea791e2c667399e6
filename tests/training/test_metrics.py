"""Figures of merit against values that can be worked out by hand."""

import numpy as np
import pytest

from lotwise_training.metrics import (
    accuracy,
    auroc,
    expected_calibration_error,
    mape,
    negative_log_likelihood,
    rmse,
)


def test_accuracy_and_likelihood_of_three_tiles():
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.25, 0.75]])
    labels = np.array([0, 1, 0])
    # argmax takes the first of two equals.
    assert accuracy(probabilities, labels) == pytest.approx(1 / 3)
    expected = -(np.log(0.9) + np.log(0.5) + np.log(0.25)) / 3
    assert negative_log_likelihood(probabilities, labels) == pytest.approx(expected)


def test_an_impossible_answer_has_a_large_but_finite_likelihood():
    assert 600 < negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1])) < 700


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    # Confidence 0.8 throughout, right in half: a gap of 0.3.
    probabilities = np.tile([0.8, 0.2], (10, 1))
    assert expected_calibration_error(probabilities, np.arange(10) % 2) == pytest.approx(0.3)


def test_calibration_error_weighs_bins_by_their_tiles():
    # Three tiles at 1.0, all right; one at 0.6, wrong.
    probabilities = np.array([[1.0, 0.0]] * 3 + [[0.6, 0.4]])
    labels = np.array([0, 0, 0, 1])
    assert expected_calibration_error(probabilities, labels) == pytest.approx(0.25 * 0.6)


@pytest.mark.parametrize(
    ("known", "shifted", "expected"),
    [([1, 2], [3, 4], 1.0), ([3, 4], [1, 2], 0.0), ([1, 3], [2, 2], 0.5), ([1, 1], [1, 1], 0.5)],
)
def test_auroc_is_the_chance_to_order_a_pair(known, shifted, expected):
    assert auroc(known, shifted) == expected


def test_errors_of_a_regression():
    assert rmse([1.0, 5.0], [1.0, 2.0]) == pytest.approx(np.sqrt(4.5))
    assert mape([90.0, 220.0], [100.0, 200.0]) == pytest.approx(10.0)
