"""The Gaussian process over lots, against brute force."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import gamma, kv
from scipy.stats import multivariate_normal

from lotwise_training.active_learning.gaussian_process import (
    LEVEL,
    PRIOR_MEDIAN,
    PRIOR_SPREAD,
    Hyperparameters,
    LotKernel,
    LotProcess,
    conditioned,
    fitted_hyperparameters,
    negative_log_posterior,
)
from lotwise_training.data.tiles import DatasetError

H = Hyperparameters(signal=0.8, length=1.3, slope=0.6, nugget=0.2)


def lots_at(count=12, components=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, components))


@pytest.fixture
def kernel():
    return LotKernel.of(lots_at())


def drawn(kernel, h, seed=0):
    covariance = kernel.covariance(h)
    return np.linalg.cholesky(covariance) @ np.random.default_rng(seed).normal(size=len(covariance))


def test_kernel_is_the_matern_of_half_integer_order_with_level_slope_and_nugget(kernel):
    first, second = 2, 7
    r = np.sqrt(5) * kernel.distances[first, second] / H.length
    matern = 2 ** (1 - 2.5) / gamma(2.5) * r**2.5 * kv(2.5, r)  # Rasmussen & Williams 4.14
    wanted = LEVEL**2 + H.slope**2 * kernel.products[first, second] + H.signal**2 * matern
    made = kernel.covariance(H)
    assert made[first, second] == pytest.approx(wanted)
    own = LEVEL**2 + H.slope**2 * kernel.products[first, first] + H.signal**2 + H.nugget**2
    assert made[first, first] == pytest.approx(own)


def test_units_are_the_pools_median_distance_and_mean_square():
    places = lots_at()
    kernel = LotKernel.of(1000 * places, pool=8)
    np.testing.assert_allclose(kernel.distances, LotKernel.of(places, pool=8).distances, atol=1e-6)
    among = kernel.distances[:8, :8][np.triu_indices(8, 1)]
    assert np.median(among) == pytest.approx(1.0)
    assert np.diag(kernel.products)[:8].mean() == pytest.approx(1.0)
    np.testing.assert_array_equal(kernel.take(np.array([3, 1])).distances[0, 1],
                                  kernel.distances[3, 1])  # fmt: skip


def test_what_is_minimised_is_the_likelihood_and_the_priors(kernel):
    values, noise = drawn(kernel, H), np.full(12, 0.05)

    def wanted(logarithms):
        covariance = kernel.covariance(Hyperparameters.of(logarithms)) + np.diag(noise)
        off = (logarithms - np.log(PRIOR_MEDIAN)) / PRIOR_SPREAD
        return -multivariate_normal(np.zeros(12), covariance).logpdf(values) + off @ off / 2

    at = np.log([[0.8, 1.3, 0.6, 0.2], [0.3, 0.7, 1.4, 0.05]])
    said = [negative_log_posterior(each, kernel, values, noise)[0] for each in at]
    assert said[1] - said[0] == pytest.approx(wanted(at[1]) - wanted(at[0]))
    for each in at:
        off = check_grad(
            lambda x: negative_log_posterior(x, kernel, values, noise)[0],
            lambda x: negative_log_posterior(x, kernel, values, noise)[1],
            each,
        )
        assert off < 1e-4


def test_fitted_hyperparameters_are_a_minimum_and_the_same_again(kernel):
    values, noise = drawn(kernel, H), np.full(12, 0.01)
    found = fitted_hyperparameters(kernel, values, noise)
    at = np.log([found.signal, found.length, found.slope, found.nugget])
    value, gradient = negative_log_posterior(at, kernel, values, noise)
    assert np.abs(gradient).max() < 0.01
    for step in 0.3 * np.vstack([np.eye(4), -np.eye(4)]):
        assert negative_log_posterior(at + step, kernel, values, noise)[0] > value
    assert fitted_hyperparameters(kernel, values, noise) == found


def test_many_lots_give_back_the_nugget_that_they_were_drawn_with():
    kernel = LotKernel.of(lots_at(150))
    for nugget in (0.1, 0.5):
        h = replace(H, nugget=nugget)
        found = fitted_hyperparameters(kernel, drawn(kernel, h, 1), np.full(150, 1e-6))
        assert found.nugget == pytest.approx(nugget, rel=0.35)


def test_posterior_is_that_of_a_gaussian_conditioned_by_its_precision(kernel):
    tested = np.array([1, 4, 5, 8, 10])
    measured = np.exp(7 + 0.3 * drawn(kernel, H)[tested])
    process = LotProcess.fitted(kernel, tested, measured, standard_error=0.02)
    mean, covariance = process.posterior()
    prior = process.prior()
    rest = np.setdiff1d(np.arange(12), tested)
    # Joint of untested lots' own values and of measured ones; then by blocks of its inverse.
    rows = np.concatenate([rest, tested])
    joint = prior[np.ix_(rows, rows)]
    joint[len(rest) :, len(rest) :] += 0.02**2 * np.eye(len(tested))
    precision = np.linalg.inv(joint)
    own = precision[: len(rest), : len(rest)]
    np.testing.assert_allclose(covariance[np.ix_(rest, rest)], np.linalg.inv(own), rtol=1e-6)
    away = np.log(measured) - process.level
    wanted = process.level - np.linalg.solve(own, precision[: len(rest), len(rest) :] @ away)
    np.testing.assert_allclose(mean[rest], wanted, rtol=1e-6)


def test_a_test_without_scatter_leaves_nothing_unknown_of_its_lot(kernel):
    tested = np.arange(6)
    measured = np.exp(drawn(kernel, H)[tested])
    mean, covariance = LotProcess.fitted(kernel, tested, measured).posterior()
    np.testing.assert_allclose(np.exp(mean[tested]), measured, rtol=1e-6)
    assert np.diag(covariance)[tested].max() < 1e-8
    assert np.diag(covariance)[6:].min() > 1e-4


def test_conditioning_goes_step_by_step_as_at_once(kernel):
    prior, noise = kernel.covariance(H), 0.03
    once = conditioned(prior, np.array([2, 9]), noise)
    now = prior
    for lot in (2, 9):
        now = now - np.outer(now[lot], now[lot]) / (now[lot, lot] + noise)
    np.testing.assert_allclose(once, now, atol=1e-9)
    assert conditioned(prior, np.array([], dtype=int), noise) is prior


def test_the_unit_of_the_property_changes_nothing(kernel):
    tested = np.arange(7)
    measured = np.exp(drawn(kernel, H)[tested])
    psi = LotProcess.fitted(kernel, tested, measured, 0.01)
    pascal = LotProcess.fitted(kernel, tested, 6894.76 * measured, 0.01)
    np.testing.assert_allclose(pascal.posterior()[1], psi.posterior()[1], rtol=1e-6, atol=1e-12)
    shift = pascal.posterior()[0] - psi.posterior()[0]
    np.testing.assert_allclose(shift, np.log(6894.76), rtol=1e-6)


def test_too_few_tested_lots_are_refused(kernel):
    with pytest.raises(DatasetError, match="4 of the lots have a value; 5") as refused:
        LotProcess.fitted(kernel, np.arange(4), np.arange(1.0, 5.0))
    assert refused.value.reason == "TESTED_TOO_FEW"


def test_values_that_are_all_the_same_are_refused(kernel):
    with pytest.raises(DatasetError, match="have the same value, 1300") as refused:
        LotProcess.fitted(kernel, np.arange(5), np.full(5, 1300.0))
    assert refused.value.reason == "PROPERTY_CONSTANT"
