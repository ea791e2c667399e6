"""CV+ intervals: the published definition, the weights of units, and what few units can certify."""

import math

import numpy as np
import pytest

from lotwise.core.conformal import (
    Residuals,
    cv_plus,
    guaranteed_coverage,
    most_certifiable,
    require_certifiable,
    units_needed,
)
from lotwise.core.errors import InvalidRequest


def one_each(values, folds):
    return Residuals.of([(value,) for value in values], folds, [str(n) for n in range(len(values))])


@pytest.mark.parametrize(("n", "coverage"), [(9, 0.9), (30, 0.9), (30, 30 / 31), (17, 0.5)])
def test_units_of_one_residual_give_the_published_order_statistics(n, coverage):
    rng = np.random.default_rng(n)
    values, folds, centres = rng.exponential(size=n), np.arange(n) % 3, rng.normal(size=3)
    lower, upper = cv_plus(centres, one_each(values, folds), coverage)
    # Barber et al. 2021: the ceil((1-a)(n+1))-th smallest, the floor(a(n+1))-th smallest.
    up, down = np.sort(centres[folds] + values), np.sort(centres[folds] - values)
    assert upper == up[math.ceil(round(coverage * (n + 1), 9)) - 1]
    assert lower == down[math.floor(round((1 - coverage) * (n + 1), 9)) - 1]


def test_a_unit_weighs_as_much_as_another_however_many_residuals_it_has():
    few = Residuals.of([(1.0,), (2.0,), (3.0,)], [0, 0, 1], ["a", "b", "c"])
    many = Residuals.of([(1.0,) * 50, (2.0,) * 2, (3.0,)], [0, 0, 1], ["a", "b", "c"])
    assert many.units == 3
    assert many.shares.sum() == pytest.approx(3)
    centres = np.array([10.0, 20.0])
    for coverage in (0.5, 0.6, 0.75):
        assert cv_plus(centres, many, coverage) == cv_plus(centres, few, coverage)


def test_lots_of_one_recipe_share_its_weight():
    repeats = Residuals.of([(1.0,), (3.0,), (2.0,)], [0, 0, 1], ["a", "a", "b"])
    assert repeats.units == 2
    assert repeats.shares.tolist() == [0.5, 0.5, 1.0]
    with pytest.raises(InvalidRequest, match="there are 2, which can certify 66.7%"):
        cv_plus(np.zeros(2), repeats, 0.75)


def test_the_median_of_the_networks_lies_inside():
    rng = np.random.default_rng(1)
    for _ in range(200):
        residuals = one_each(0.1 * rng.exponential(size=23), np.arange(23) % 5)
        centres = rng.normal(size=5)
        lower, upper = cv_plus(centres, residuals, 0.5)
        assert lower <= np.median(centres) <= upper


def test_thirty_units_certify_no_more_than_30_of_31():
    assert most_certifiable(30) == 30 / 31
    require_certifiable(30 / 31, 30)
    with pytest.raises(InvalidRequest, match="needs 39 calibration recipes; there are 30") as no:
        require_certifiable(0.975, 30)
    assert no.value.reason == "COVERAGE_UNCERTIFIABLE"
    assert units_needed(0.9) == 9
    require_certifiable(0.9, 9)
    with pytest.raises(InvalidRequest, match="needs 9 calibration recipes"):
        require_certifiable(0.9, 8)


@pytest.mark.parametrize("coverage", [0.0, 0.49, 1.0, 95.0, -0.9, math.nan, math.inf])
def test_a_coverage_out_of_range_is_refused(coverage):
    with pytest.raises(InvalidRequest) as refused:
        require_certifiable(coverage, 1000)
    assert refused.value.reason == "COVERAGE_OUT_OF_RANGE"


def test_the_guarantee_is_that_of_theorem_4():
    # n = 30, K = 5: the terms are 2 * 0.8 / 7 and (1 - 1/6) / 6.
    assert guaranteed_coverage(0.9, 30, 5) == pytest.approx(0.8 - 5 / 36)
    # n = 1000, K = 5: 2 * 0.8 / 201 is the smaller.
    assert guaranteed_coverage(0.9, 1000, 5) == pytest.approx(0.8 - 1.6 / 201)
    assert guaranteed_coverage(0.5, 30, 5) == 0.0


def line(points):
    return np.stack([np.ones_like(points), points], axis=-1)


@pytest.mark.parametrize(("tiles", "coverage"), [(1, 0.9), (6, 0.8)])
def test_it_covers_as_often_as_it_says_for_units_of_correlated_residuals(tiles, coverage):
    """A line fitted to few lots of many tiles; what counts is coverage of a new lot."""
    rng = np.random.default_rng(7)
    folds, n, hits, trials = 5, 40, 0.0, 600
    for _ in range(trials):
        lots = rng.uniform(-1, 1, n + 1)
        noise = rng.standard_t(3, n + 1)  # of the lot: all its tiles share it
        tile = lots[:, None] + 0.3 * rng.normal(size=(n + 1, tiles))
        true = 2.0 * lots + noise
        fold = np.arange(n) % folds
        centres, values = np.empty(folds), []
        fits = []
        for k in range(folds):
            kept = np.flatnonzero(fold != k)
            seen = line(tile[kept].ravel())
            fits.append(np.linalg.lstsq(seen, np.repeat(true[kept], tiles), rcond=None)[0])
        values = [np.abs(true[i] - line(tile[i]) @ fits[fold[i]]) for i in range(n)]
        residuals = Residuals.of(values, fold.tolist(), [str(i) for i in range(n)])
        for one in tile[n]:
            centres = np.array([line(one) @ fit for fit in fits])
            lower, upper = cv_plus(centres, residuals, coverage)
            hits += (lower <= true[n] <= upper) / tiles
    # Four standard deviations of the binomial.
    assert hits / trials == pytest.approx(
        coverage, abs=4 * math.sqrt(coverage * (1 - coverage) / trials)
    )
