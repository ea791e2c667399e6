"""Figures of merit against values that can be worked out by hand."""

import numpy as np
import pytest

from lotwise_training.metrics import (
    ECE_BINS,
    accuracy,
    adaptive_calibration_error,
    auroc,
    brier_score,
    excess_aurc,
    expected_calibration_error,
    false_positive_rate,
    mape,
    negative_log_likelihood,
    reliability,
    risk_coverage,
    rmse,
)

SEEDS = range(20)


def random_answers(seed, n=240, lots=5):
    """Answers of a mediocre network, rounded so that many tie."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, lots, n)
    logits = rng.normal(size=(n, lots)) + 2 * np.eye(lots)[labels]
    weights = np.exp(np.round(logits))
    return weights / weights.sum(axis=1, keepdims=True), labels


def entropies(probabilities):
    # Rounded, because sums of the same terms in another order are no ties.
    return -(probabilities * np.log(probabilities)).sum(axis=1).round(9)


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


def test_a_confidence_of_one_falls_into_the_last_bin_and_empty_bins_are_nan():
    bins = reliability(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 1]))
    assert bins.tiles[ECE_BINS - 1] == 1
    assert bins.tiles[10] == 1
    assert (bins.accuracy[10], bins.confidence[10]) == (0.0, 0.5)
    assert np.isnan(bins.accuracy[:10]).all()
    assert bins.tiles.sum() == 2


def test_adaptive_calibration_error_has_bins_of_as_many_tiles():
    # 40 tiles, two a bin, confidence rising from 0.60 to 0.99; the lower half is wrong.
    confidence = 0.60 + 0.01 * np.arange(40)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.repeat([1, 0], 20)
    expected = (confidence[:20].sum() + (1 - confidence[20:]).sum()) / 40
    assert adaptive_calibration_error(probabilities, labels) == pytest.approx(expected)
    # Gaps of both signs within a bin cancel: the first two tiles of a bin, one right, one wrong.
    alternating = np.tile([0, 1], 20)
    per_bin = [abs(confidence[i] + confidence[i + 1] - 1.0) for i in range(0, 40, 2)]
    assert adaptive_calibration_error(probabilities, alternating) == pytest.approx(
        sum(per_bin) / 40
    )


def test_adaptive_calibration_error_of_ties_is_one_gap():
    # All tiles are equally sure, so the bins are alike: |0.8 - 0.5|, whatever the order.
    probabilities = np.tile([0.8, 0.2], (50, 1))
    labels = np.repeat([0, 1], 25)
    assert adaptive_calibration_error(probabilities, labels) == pytest.approx(0.3)
    assert adaptive_calibration_error(np.array([[0.7, 0.3]]), np.array([0])) == pytest.approx(0.3)


def test_brier_score_sums_over_lots():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]])
    # (0.3^2 + 0.2^2 + 0.1^2 + 0 + 1 + 1) / 2
    assert brier_score(probabilities, np.array([0, 1])) == pytest.approx((0.14 + 2.0) / 2)


def test_risk_of_a_curve_by_hand():
    curve = risk_coverage([0.1, 0.4, 0.2, 0.3], [False, True, True, False])
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(curve.risk, [0.0, 1 / 2, 1 / 3, 1 / 2])
    assert curve.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    # The best order has both errors last.
    best = (0 + 0 + 1 / 3 + 1 / 2) / 4
    assert excess_aurc([0.1, 0.4, 0.2, 0.3], [False, True, True, False]) == pytest.approx(
        curve.area - best
    )


def test_ties_share_their_errors():
    # One tile is sure and right; of four that tie, two are wrong.
    curve = risk_coverage([0, 1, 1, 1, 1], [False, True, True, False, False])
    np.testing.assert_allclose(curve.risk, [0, 0.5 / 2, 1 / 3, 1.5 / 4, 2 / 5])


@pytest.mark.parametrize(("coverage", "expected"), [(1.0, 0.3), (0.7, 0.0), (0.71, 1 / 8), (0, 0)])
def test_error_at_a_coverage_accepts_at_least_that_share(coverage, expected):
    curve = risk_coverage(np.arange(10), np.arange(10) >= 7)
    assert curve.at(coverage) == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_figure_depends_on_the_order_of_tiles(seed):
    probabilities, labels = random_answers(seed)
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    for figure in (
        expected_calibration_error,
        adaptive_calibration_error,
        brier_score,
        lambda p, y: risk_coverage(entropies(p), p.argmax(axis=1) != y).area,
        lambda p, y: excess_aurc(entropies(p), p.argmax(axis=1) != y),
        lambda p, y: false_positive_rate(entropies(p)[y < 3], entropies(p)[y >= 3]),
        lambda p, y: auroc(entropies(p)[y < 3], entropies(p)[y >= 3]),
    ):
        assert figure(probabilities[shuffled], labels[shuffled]) == pytest.approx(
            figure(probabilities, labels), abs=1e-12
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_figures_stay_inside_their_bounds(seed):
    probabilities, labels = random_answers(seed)
    wrong = probabilities.argmax(axis=1) != labels
    entropy = entropies(probabilities)
    curve = risk_coverage(entropy, wrong)
    assert curve.at(1.0) == pytest.approx(wrong.mean())
    assert curve.risk.min() >= 0
    assert curve.risk.max() <= 1
    # No order is better than the best, nor worse than the worst.
    best, worst = risk_coverage(wrong, wrong), risk_coverage(~wrong, wrong)
    assert (best.risk <= curve.risk + 1e-12).all()
    assert (curve.risk <= worst.risk + 1e-12).all()
    assert excess_aurc(entropy, wrong) >= 0
    assert excess_aurc(wrong, wrong) == 0
    assert 0 <= brier_score(probabilities, labels) <= 2
    gap = abs(probabilities.max(axis=1).mean() - (1 - wrong.mean()))
    # The triangle inequality: binning can only add to the gap over all tiles.
    assert gap - 1e-12 <= expected_calibration_error(probabilities, labels) <= 1
    assert gap - 1e-12 <= adaptive_calibration_error(probabilities, labels) <= 1
    # Only the order of the scores counts.
    assert risk_coverage(np.exp(3 * entropy), wrong).area == pytest.approx(curve.area)


@pytest.mark.parametrize(
    ("known", "shifted", "expected"),
    [
        # Nineteen of twenty shifted tiles score 2 or more; of the known ones one in four does.
        ([0, 1, 1, 2], [0, *[2] * 19], 0.25),
        # All twenty are needed where nineteen are not 95%: 19 of 21.
        ([0, 1, 1, 2], [0, 1, *[2] * 19], 0.75),
        ([1, 1, 1], [1, 1], 1.0),
        ([0, 0], [1], 0.0),
    ],
)
def test_false_positives_at_95_percent_of_true_ones(known, shifted, expected):
    assert false_positive_rate(known, shifted) == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_the_threshold_flags_at_least_its_share(seed):
    rng = np.random.default_rng(seed)
    shifted = rng.integers(0, 9, rng.integers(1, 60))
    for rate in (0.5, 0.8, 0.95, 1.0):
        # Flagged shifted tiles, by giving the shifted tiles as the known ones.
        assert false_positive_rate(shifted, shifted, rate) >= rate - 1e-12


@pytest.mark.parametrize(
    ("known", "shifted", "expected"),
    [([1, 2], [3, 4], 1.0), ([3, 4], [1, 2], 0.0), ([1, 3], [2, 2], 0.5), ([1, 1], [1, 1], 0.5)],
)
def test_auroc_is_the_chance_to_order_a_pair(known, shifted, expected):
    assert auroc(known, shifted) == expected


def test_errors_of_a_regression():
    assert rmse([1.0, 5.0], [1.0, 2.0]) == pytest.approx(np.sqrt(4.5))
    assert mape([90.0, 220.0], [100.0, 200.0]) == pytest.approx(10.0)


def test_errors_relative_to_values_near_zero_are_not_given():
    assert mape([11.0, 18.0], [10.0, 20.0]) == pytest.approx(10.0)
    assert mape([-11.0, -18.0], [-10.0, -20.0]) == pytest.approx(10.0)
    for true in ([0.0, 20.0], [0.1, 20.0], [-10.0, 20.0], [0.0, 0.0]):
        assert np.isnan(mape([1.0, 1.0], true))
