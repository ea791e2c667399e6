"""What the regressor is compared with."""

from dataclasses import replace

import numpy as np
import pytest

from lotwise_training.evaluation.baselines import (
    forest_on_scores,
    forest_on_texture,
    mean_predictor,
    texture_features,
)
from lotwise_training.training.tasks.property import lot_values
from tests.training.striped_lots import striped_lots

DATA = striped_lots()
TILES = np.arange(len(DATA))
KNOWN = TILES[DATA.lots < 4]
HELD = TILES[DATA.lots == 4]


def test_the_mean_is_over_lots_not_tiles():
    some = np.concatenate([KNOWN[:1], KNOWN[DATA.lots[KNOWN] == 2]])
    np.testing.assert_allclose(mean_predictor(DATA, some, HELD), (200 + 800) / 2)
    assert mean_predictor(DATA, some, HELD).shape == HELD.shape


def test_a_forest_on_scores_gives_all_tiles_of_a_lot_one_answer():
    answer = forest_on_scores(DATA, KNOWN, HELD)
    assert answer.shape == HELD.shape
    assert len(set(answer)) == 1
    # Between the neighbours of 600, which it has not seen.
    assert 300 < answer[0] < 800


def test_a_forest_on_scores_answers_for_other_lots():
    table = replace(DATA.table, attributes=np.array([[0.2, 0.5]] * 5))
    other = replace(DATA, table=table)
    known = forest_on_scores(DATA, KNOWN, HELD, other)
    assert known[0] < forest_on_scores(DATA, KNOWN, HELD)[0]


def test_texture_is_a_row_a_tile_and_tells_widths_apart():
    texture = texture_features(DATA.images)
    assert texture.shape == (len(DATA), 114)
    assert texture.dtype == np.float32
    assert np.isfinite(texture).all()
    train, test = TILES[::2], TILES[1::2]
    values = lot_values(DATA)
    answer = forest_on_texture(texture[train], values[train], texture[test])
    assert np.abs(answer - values[test]).mean() < 20


def test_texture_does_not_know_gain_and_offset():
    image = DATA.images[:1].astype(np.float64)
    # Even steps of grey, so that rounding is the same on both sides.
    brighter = (2 * (image // 4) + 100).astype(np.uint8)
    plain = (image // 4).astype(np.uint8)
    np.testing.assert_allclose(texture_features(brighter), texture_features(plain), rtol=1e-5)


def test_a_blank_tile_has_texture_of_finite_numbers():
    assert np.isfinite(texture_features(np.full((1, 32, 32), 90, dtype=np.uint8))).all()


@pytest.mark.parametrize("tiles", [65, 130])
def test_many_tiles_are_done_in_parts_in_their_order(tiles):
    images = np.concatenate([DATA.images, DATA.images])[:tiles]
    expected = np.stack([texture_features(image[None])[0] for image in images[::40]])
    np.testing.assert_array_equal(texture_features(images)[::40], expected)
