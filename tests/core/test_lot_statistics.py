"""A lot by some of its tiles."""

import numpy as np
import pytest

from lotwise.core.lot_statistics import MeanInterval, Reservoir, Spread


def kept(size, seed, count):
    reservoir = Reservoir(size, seed)
    for item in range(count):
        reservoir.offer(item)
    assert reservoir.seen == count
    return reservoir.kept()


def test_a_stream_that_is_shorter_is_kept_whole():
    assert kept(5, 0, 3) == [0, 1, 2]
    assert kept(5, 0, 0) == []


def test_every_item_is_as_likely_as_any_other():
    counts = np.bincount(np.concatenate([kept(4, seed, 20) for seed in range(2000)]), minlength=20)
    # 400 expected of each; four standard deviations either way.
    assert np.abs(counts - 400).max() < 4 * np.sqrt(2000 * 0.2 * 0.8)


def test_the_same_seed_keeps_the_same_in_the_order_of_arrival():
    first = kept(8, 3, 1000)
    assert first == sorted(first) == kept(8, 3, 1000)
    assert first != kept(8, 4, 1000)


def test_quartiles_are_those_of_the_values():
    assert Spread.of([1.0, 2.0, 3.0, 4.0, 10.0]) == Spread(2.0, 3.0, 4.0, 4.0)


def test_a_bootstrap_interval_holds_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(300):
        interval = MeanInterval.of(rng.normal(5.0, 2.0, 40), seed)
        held += interval.lower <= 5.0 <= interval.upper
    # 40 values make percentile intervals a little too narrow: 93 to 94% is what is known of them.
    assert 0.89 <= held / 300 <= 0.98


def test_a_single_tile_has_no_spread():
    assert MeanInterval.of([7.0], 0) == MeanInterval(7.0, 7.0, 7.0)


def test_the_same_tiles_have_the_same_interval():
    values = np.random.default_rng(1).normal(size=10)
    assert MeanInterval.of(values, 5) == MeanInterval.of(values, 5)
    assert MeanInterval.of(values, 5).mean == pytest.approx(values.mean())
