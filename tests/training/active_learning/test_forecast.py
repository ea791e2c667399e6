"""Where lots lie, and how large the error will be once more are tested."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise_training.active_learning.embedding import COMPONENTS, PlaceSpace, lot_means
from lotwise_training.active_learning.forecast import (
    FARTHEST,
    expected_error,
    learning_curve,
    outlook,
)
from lotwise_training.active_learning.gaussian_process import LotKernel, LotProcess, conditioned
from lotwise_training.active_learning.power_law import PowerLaw, fit_above_floor
from lotwise_training.store.arrays import ResultsError
from tests.training.planned_lots import curve, lots

# Where lots lie


def test_lots_are_the_means_of_what_all_members_see_early():
    rng = np.random.default_rng(0)
    early, late = rng.normal(size=(7, 2, 3)), rng.normal(size=(7, 2, 5))
    of = np.array([0, 1, 0, 1, 1, 0, 0])
    outputs = CommitteeOutputs(np.zeros((7, 2, 4)), {"features": late, "early": early})
    means = lot_means(outputs, of)
    assert means.shape == (2, 6)
    np.testing.assert_allclose(means[1, 3:], early[[1, 3, 4], 1].mean(axis=0))
    alone = lot_means(CommitteeOutputs(outputs.logits, {"features": late}), of)
    assert alone.shape == (2, 10)
    with pytest.raises(ResultsError, match="gives no features"):
        lot_means(CommitteeOutputs(outputs.logits), of)


def test_places_are_principal_components_whose_spreads_are_evened_by_the_root():
    rng = np.random.default_rng(1)
    means = rng.normal(size=(60, 30)) @ rng.normal(size=(30, 30))
    means[:, 4] = 5.0  # a channel that is the same everywhere tells nothing
    space = PlaceSpace.of(means)
    places = space.places(means)
    assert places.shape == (60, COMPONENTS)
    standardised = (means - means.mean(axis=0)) / np.where(means.std(axis=0) == 0, 1,
                                                           means.std(axis=0))  # fmt: skip
    sizes = np.linalg.svd(standardised, compute_uv=False)[:COMPONENTS]
    np.testing.assert_allclose(places.std(axis=0), np.sqrt(sizes / sizes[0]), rtol=1e-6)
    np.testing.assert_allclose(np.corrcoef(places.T), np.eye(COMPONENTS), atol=1e-6)
    np.testing.assert_allclose(space.places(means[:3]), places[:3])


def test_few_lots_have_fewer_components_and_lots_that_look_the_same_are_refused():
    means, _, _ = lots(6)
    assert PlaceSpace.of(means).places(means).shape == (6, 5)
    with pytest.raises(ResultsError, match="the same in all lots"):
        PlaceSpace.of(np.ones((6, 4)))


# Errors to come


@pytest.mark.parametrize("deviation", [0.01, 0.1, 0.5])
def test_expected_error_is_the_integral_over_the_gaussian(deviation):
    wanted, _ = quad(lambda z: abs(np.expm1(deviation * z)) * norm.pdf(z), -12, 12, points=[0])
    assert expected_error(np.array(deviation)) == pytest.approx(wanted, rel=1e-6)
    small = float(expected_error(np.array(1e-4)))
    assert small == pytest.approx(math.sqrt(2 / math.pi) * 1e-4, rel=1e-3)


def test_a_power_law_is_found_again_and_ends_at_its_floor():
    sizes = np.array([5, 10, 20, 40])
    law = fit_above_floor(sizes, 0.02 + 0.4 * sizes**-0.7, floor=0.02)
    assert (law.scale, law.exponent) == (pytest.approx(0.4), pytest.approx(0.7))
    assert law.size(law.error(90)) == pytest.approx(90)
    assert math.isinf(law.size(0.02))
    assert fit_above_floor(sizes, np.full(4, 0.05), floor=0.0).size(0.04) > 1e9
    assert math.isinf(fit_above_floor(sizes, np.array([1, 2, 3, 4.0]), floor=0.0).size(0.04))


@pytest.fixture(scope="module")
def process():
    means, values, _ = lots(24)
    kernel = LotKernel.of(PlaceSpace.of(means).places(means))
    return LotProcess.fitted(kernel, np.arange(9), values[:9], 0.02)


def test_a_learning_curve_is_of_the_lots_that_are_left(process):
    order = np.random.default_rng(3).permutation(np.arange(9, 24))
    curve = learning_curve(process, order)
    assert (curve.tested, curve.lots, len(curve.errors)) == (9, 24, 15)
    for further in (0, 6, 14):
        given = np.concatenate([np.arange(9), order[:further]])
        left = np.diag(conditioned(process.prior(), given, process.noise))[order[further:]]
        wanted = float(expected_error(np.sqrt(left)).mean())
        assert curve.error(9 + further) == pytest.approx(wanted, rel=1e-6)
    assert curve.error(24) == curve.beyond.error(24)
    assert curve.beyond.floor == pytest.approx(float(expected_error(np.array(process.nugget))))


def test_an_outlook_is_the_same_again_and_holds_its_own_curve(process):
    first, again = outlook(process, resamples=30), outlook(process, resamples=30)
    for size in (9, 15, 40):
        error, low, high = first.error(size)
        assert (error, low, high) == again.error(size)
        assert low < error < high
    assert sorted(first.chosen) == list(range(9, 24))


def test_lots_needed_come_from_the_curve_and_beyond_from_the_law():
    one = curve([0.10, 0.08, 0.06], PowerLaw(0.02, 0.4, 0.8))
    assert one.more(0.10) == 0
    assert one.more(0.07) == 2
    assert one.more(0.05) == math.ceil((0.4 / 0.03) ** (1 / 0.8)) - 10
    assert math.isinf(one.more(0.02))
    far = PowerLaw(0.0, 0.4, 0.3)
    assert far.size(0.05) > FARTHEST * 13
    assert math.isinf(curve([0.2, 0.2, 0.2], far).more(0.05))
    # The law may lie below the curve's end: lots at hand are not skipped.
    assert curve([0.10, 0.09, 0.08], PowerLaw(0.0, 0.1, 1.0)).more(0.05) == 3
