"""Which tiles a step sees."""

import numpy as np

from lotwise_training.data.sampler import Batches, shuffled


def test_without_lots_the_order_is_that_of_the_generator():
    for seed in range(3):
        np.testing.assert_array_equal(
            shuffled(20, np.random.default_rng(seed)), np.random.default_rng(seed).permutation(20)
        )


def test_unequal_lots_count_alike():
    lots = np.repeat([0, 1, 2], [3, 30, 300])
    order = shuffled(len(lots), np.random.default_rng(0), lots)
    assert np.bincount(lots[order]).tolist() == [111, 111, 111]
    # Every tile of a small lot as often as its others; of a large lot none twice.
    assert set(np.bincount(order, minlength=333)[:33].tolist()) <= {3, 4, 37}
    assert np.bincount(order, minlength=333)[33:].max() == 1


def test_equal_lots_give_each_tile_once_a_pass():
    lots = np.repeat([0, 1], 8)
    batches = Batches(16, 4, seed=(5,), lots=lots)
    drawn = np.concatenate([batches.draw(step)[0] for step in range(4)])
    assert sorted(drawn.tolist()) == list(range(16))


def test_a_step_draws_the_same_whatever_was_drawn_before():
    lots = np.repeat([0, 1], [3, 13])
    fresh = Batches(16, 4, seed=(5,), lots=lots)
    used = Batches(16, 4, seed=(5,), lots=lots)
    for step in range(9):
        used.draw(step)
    np.testing.assert_array_equal(fresh.draw(9)[0], used.draw(9)[0])
