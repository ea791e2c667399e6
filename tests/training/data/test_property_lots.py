"""Tiles of lots with strength tests: whose they are, what they carry, and the cache."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lotwise_simulator import benchmark
from lotwise_simulator.lots import mosaic
from lotwise_simulator.reference import reference_lots, tested_lots
from lotwise_training.config.schema import StrengthDataRecipe
from lotwise_training.data import property_lots as strength_tiles
from lotwise_training.data import render_cache as rendering
from lotwise_training.data.property_lots import FURTHER_REGION, ordered_tiles
from lotwise_training.data.render_cache import RenderOrder, render

LOTS = tested_lots()[:2]
ORDERS = [
    RenderOrder(LOTS[0], FURTHER_REGION, 3, 256, tiles_per_side=1),
    RenderOrder(LOTS[1], FURTHER_REGION, 2, 256, tiles_per_side=2),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def tiles(cache):
    return ordered_tiles("strength", ORDERS, cache)


def test_tiles_are_brought_to_scale_by_block_means():
    tile = mosaic(LOTS[0], 2, region=FURTHER_REGION)[1].image
    blocks = tile.reshape(64, 4, 64, 4).astype(float).mean(axis=(1, 3))
    small = render(RenderOrder(LOTS[0], FURTHER_REGION, 2, 64))
    assert small.shape == (2, 64, 64)
    np.testing.assert_array_equal(small[1], np.rint(blocks).astype(np.uint8))


def test_tiles_belong_to_the_lot_that_their_index_names(tiles):
    assert tiles.table.lot_ids == tuple(lot.lot_id for lot in LOTS)
    assert tiles.images.shape == (5, 256, 256)
    np.testing.assert_array_equal(tiles.lots, [0, 0, 0, 1, 1])
    for number, order in enumerate(ORDERS):
        np.testing.assert_array_equal(tiles.images[tiles.lots == number], render(order))


def test_a_region_is_a_scene_and_no_two_lots_share_one(tiles):
    # The first lot's scenes hold one tile, the second's four.
    np.testing.assert_array_equal(tiles.regions, [0, 1, 2, 3, 3])


def test_lots_carry_what_a_laboratory_would_know(tiles):
    for number, lot in enumerate(LOTS):
        assert tiles.table.values[number] == lot.strength_tests().mean()
        np.testing.assert_array_equal(
            tiles.table.attributes[number], lot.expert_scores().mean(axis=0)
        )
    assert tiles.table.unit == "psi"


def test_the_reference_tiles_are_the_first_of_the_frozen_set(monkeypatch, tmp_path):
    asked = []

    def note(name, orders, cache):
        asked.extend(orders)

    monkeypatch.setattr(strength_tiles, "ordered_tiles", note)
    strength_tiles.strength_tiles(StrengthDataRecipe(5, 2, 3), tmp_path)
    parts = benchmark.benchmark_v1()["reference"]
    assert [order.lot for order in asked] == [*(part.lot for part in parts), *LOTS]
    assert [order.n_tiles for order in asked] == [5] * 30 + [3] * 2
    first = next(order for order in asked if order.lot.lot_id == "R01")
    assert (first.region, first.tiles_per_side) == (parts[0].region, benchmark.TILES_PER_SIDE)
    strength_tiles.new_lot_tiles(2, 4, tmp_path)
    assert [order.lot.lot_id for order in asked[32:]] == ["N001", "N002"]


def test_further_lots_are_all_different_and_fill_the_box():
    lots = strength_tiles.further_lots(strength_tiles.MOST_FURTHER)
    assert lots[:40] == tested_lots()
    known = (*lots, *benchmark.reference_lots(), *benchmark.new_lots(), *reference_lots())
    assert len({lot.seed for lot in known}) == len(known)
    assert len({lot.lot_id for lot in lots}) == len(lots)
    first = np.array([lot.attributes.as_array() for lot in lots[40:168]])
    np.testing.assert_allclose(first.mean(axis=0), 0.5, atol=0.02)
    assert np.abs(np.corrcoef(first.T) - np.eye(4)).max() < 0.1
    with pytest.raises(ValueError, match="there are 4096 further lots, not 4097"):
        strength_tiles.further_lots(4097)


def test_who_needs_the_same_tiles_at_the_same_time_waits_for_them(tmp_path, monkeypatch):
    begun = []
    render_all = rendering._render_all

    def slowly(*arguments):
        begun.append(1)
        time.sleep(0.3)
        render_all(*arguments)

    monkeypatch.setattr(rendering, "_render_all", slowly)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: ordered_tiles("strength", ORDERS, tmp_path), range(2))
    assert begun == [1]
    assert first.version == second.version


def test_rendered_tiles_are_read_again_not_rendered_again(tiles, cache, monkeypatch):
    def fail(*_):
        pytest.fail("rendered again")

    monkeypatch.setattr(rendering, "_render_all", fail)
    again = ordered_tiles("strength", ORDERS, cache)
    np.testing.assert_array_equal(again.images, tiles.images)
    assert again.version == tiles.version


def test_other_lots_or_another_simulator_have_another_cache(monkeypatch, tmp_path):
    def fingerprint(lot, n_tiles=1, tiles_per_side=4):
        order = RenderOrder(lot, 1, n_tiles, 64, tiles_per_side=tiles_per_side)
        return rendering._fingerprint({"train": [order]})

    first = fingerprint(LOTS[0])
    assert first == fingerprint(LOTS[0])
    others = {fingerprint(LOTS[1]), fingerprint(LOTS[0], 2), fingerprint(LOTS[0], 1, 2)}
    assert len({first, *others}) == 4
    (tmp_path / "lots.py").write_text("SCENE_TILES = 5\n")
    monkeypatch.setattr(rendering.lotwise_simulator, "__path__", [str(tmp_path)])
    other = fingerprint(LOTS[0])
    assert other != first
    (tmp_path / "lots.py").write_text(
        '"""A text changes nothing."""\nSCENE_TILES = 5  # nor a comment\n'
    )
    assert fingerprint(LOTS[0]) == other
