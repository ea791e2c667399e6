"""Tiles of lots with strength tests: what must never be on both sides of a split, and the cache."""

import numpy as np
import pytest

from lotwise_simulator.lots import mosaic
from lotwise_simulator.reference import tested_lots
from lotwise_training import rendering
from lotwise_training.config import StrengthDataRecipe
from lotwise_training.data import TEST_REGION, TRAIN_REGION, strength_data
from lotwise_training.rendering import TileOrder, render

TINY = StrengthDataRecipe(train_tiles=2, test_tiles=1, held_out_lots=1, held_out_tiles=2, seed=0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def strengths(cache):
    return strength_data(TINY, cache, lots=tested_lots()[:3])


def test_tiles_are_brought_to_scale_by_block_means():
    lot = tested_lots()[0]
    tile = mosaic(lot, 2, region=TRAIN_REGION)[1].image
    blocks = tile.reshape(64, 4, 64, 4).astype(float).mean(axis=(1, 3))
    small = render(TileOrder(lot, TRAIN_REGION, 2, 64))
    assert small.shape == (2, 64, 64)
    np.testing.assert_array_equal(small[1], np.rint(blocks).astype(np.uint8))


def test_training_and_test_tiles_see_different_crystals(strengths):
    """Two scans of one patch correlate, whatever the noise; patches of two regions do not."""

    def shown(tiles):
        return [tile[::2, ::2] - tile[::2, ::2].mean() for tile in tiles.images.astype(float)]

    for a in shown(strengths.train):
        for b in shown(strengths.test):
            # By Fourier transform, at every displacement of the stage.
            spectrum = np.fft.fft2(a) * np.conj(np.fft.fft2(b))
            correlation = np.fft.ifft2(spectrum).real / (a.size * a.std() * b.std())
            assert correlation.max() < 0.5


def test_regions_are_apart_and_none_is_the_default_of_demonstrations():
    assert len({0, TRAIN_REGION, TEST_REGION}) == 3


def test_rendered_tiles_are_read_again_not_rendered_again(strengths, cache, monkeypatch):
    def fail(*_):
        pytest.fail("rendered again")

    monkeypatch.setattr(rendering, "_render_all", fail)
    again = strength_data(TINY, cache, lots=tested_lots()[:3])
    np.testing.assert_array_equal(again.train.images, strengths.train.images)
    assert again.fingerprint == strengths.fingerprint


def test_other_lots_or_another_simulator_have_another_cache(monkeypatch, tmp_path):
    lots = tested_lots()[:2]

    def fingerprint(lot, n_tiles=1):
        return rendering._fingerprint({"train": [TileOrder(lot, 1, n_tiles, 64)]})

    first = fingerprint(lots[0])
    assert first == fingerprint(lots[0])
    assert len({first, fingerprint(lots[1]), fingerprint(lots[0], 2)}) == 3
    (tmp_path / "lots.py").write_text("SCENE_TILES = 5\n")
    monkeypatch.setattr(rendering.lotwise_simulator, "__path__", [str(tmp_path)])
    other = fingerprint(lots[0])
    assert other != first
    (tmp_path / "lots.py").write_text(
        '"""A text changes nothing."""\nSCENE_TILES = 5  # nor a comment\n'
    )
    assert fingerprint(lots[0]) == other


def test_held_out_lots_appear_nowhere_else(strengths):
    known = set(strengths.train.lots.tolist())
    assert known == set(strengths.test.lots.tolist())
    assert known.isdisjoint(strengths.held_out.lots.tolist())
    assert len(known) == 2


def test_every_tile_carries_the_mean_of_its_lots_two_tests(strengths):
    lots = {lot.lot_id: lot for lot in tested_lots()}
    for tiles in (strengths.train, strengths.test, strengths.held_out):
        assert tiles.images.shape[1:] == (256, 256)
        for index, strength, attributes in zip(
            tiles.lots, tiles.strength_psi, tiles.attributes, strict=True
        ):
            lot = lots[strengths.lot_ids[index]]
            assert strength == pytest.approx(lot.strength_tests().mean(), rel=1e-6)
            np.testing.assert_array_equal(attributes, lot.attributes.as_array())


def test_tiles_belong_to_the_lot_that_their_index_names(strengths):
    lots = {lot.lot_id: lot for lot in tested_lots()}
    index = int(strengths.held_out.lots[0])
    order = TileOrder(lots[strengths.lot_ids[index]], TEST_REGION, 2, 256)
    np.testing.assert_array_equal(strengths.held_out.images, render(order))


def test_all_lots_cannot_be_held_out(tmp_path):
    with pytest.raises(ValueError, match="1 of 1 lots"):
        strength_data(TINY, tmp_path, lots=tested_lots()[:1])
