"""Intervals of the report, against a table and against what resampling means."""

import numpy as np
import pytest

from lotwise_training.evaluation.bootstrap import bootstrap_means, wilson


def test_wilson_intervals_as_tabulated():
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_a_region_counts_once_in_the_bootstrap_however_many_tiles_it_has():
    values = np.random.default_rng(0).normal(size=(40, 2))
    tiles = bootstrap_means(values, seed=3)
    regions = bootstrap_means(np.repeat(values, 9, axis=0), np.repeat(np.arange(40), 9), seed=3)
    np.testing.assert_allclose(regions, tiles)
    narrower = bootstrap_means(np.repeat(values, 9, axis=0), seed=3)
    assert narrower[0][1] - narrower[0][0] < 0.5 * (tiles[0][1] - tiles[0][0])
    spread = 2 * 1.96 * values[:, 0].std() / np.sqrt(40)
    assert tiles[0][1] - tiles[0][0] == pytest.approx(spread, rel=0.1)
