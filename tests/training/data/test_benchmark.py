"""Benchmark v1 as datasets: made once, compared with its hash, and made anew where asked."""

import functools
from contextlib import contextmanager

import numpy as np
import pytest

from lotwise.core.preprocessing import resample_area
from lotwise_simulator import benchmark
from lotwise_simulator.attributes import ATTRIBUTE_NAMES
from lotwise_simulator.benchmark import LotOfTiles, Pictures, benchmark_v1, recipe_of
from lotwise_simulator.benchmark_files import frozen, hash_part, part_name
from lotwise_training.data import benchmark as benchmark_data
from lotwise_training.data.benchmark import (
    HASH_DIGITS,
    benchmark_set,
    lot_table,
    render_places,
    tile_places,
)
from lotwise_training.data.tiles import DatasetError

PX = 64


def small(part):
    """All tiles of a lot as the committee sees them."""
    return np.stack([resample_area(tile.image, PX) for tile in part.tiles()])


FIRST, SECOND = benchmark.reference_lots()[2:4]
SETS = {
    "some": (
        LotOfTiles(FIRST, 6),
        LotOfTiles(SECOND, 3, benchmark.FILAMENTS["filament_dim"], region=7),
    ),
    "pictured": (Pictures(5, seed=3),),
}


@functools.cache
def hashes():
    return {
        name: {part_name(part): hash_part(part) for part in parts} for name, parts in SETS.items()
    }


@contextmanager
def in_place():
    """Two lots in mosaics of 2 x 2 tiles, and pictures, in place of the benchmark."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "TILES_PER_SIDE", 2)
        patch.setattr(benchmark_data, "TILES_PER_SIDE", 2)
        patch.setattr(benchmark_data, "PER_SCENE", 4)
        patch.setattr(benchmark_data, "benchmark_v1", lambda: SETS)
        patch.setattr(benchmark_data, "frozen", lambda: ("", "", hashes()))
        # In this process, because others would know nothing of this.
        here = functools.partial(benchmark_data.parallel_map, jobs=1)
        patch.setattr(benchmark_data, "parallel_map", here)
        yield


@pytest.fixture
def benchmark_of_two():
    with in_place():
        yield SETS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder of a set that was made, and the set."""
    cache = tmp_path_factory.mktemp("cache")
    with in_place():
        return cache, benchmark_set("some", cache)


def test_places_of_tiles_are_numbered_through_the_set(benchmark_of_two):
    lots, scenes, places = tile_places("some")
    assert lots.tolist() == [0] * 6 + [1] * 3
    assert scenes.tolist() == [0, 0, 0, 0, 1, 1] + [0] * 3
    assert places.tolist() == [0, 1, 2, 3, 0, 1, 0, 1, 2]
    tiles = [tile for part in benchmark_of_two["some"] for tile in part.tiles()]
    assert scenes.tolist() == [tile.scene for tile in tiles]
    assert places.tolist() == [2 * tile.row + tile.column for tile in tiles]


def test_places_of_the_frozen_reference_set():
    lots, scenes, places = tile_places("reference")
    assert len(lots) == len(scenes) == len(places) == 59_690
    np.testing.assert_array_equal(np.bincount(lots), [1990] * 20 + [1989] * 10)
    assert (np.bincount(lots * 20 + scenes) <= 100).all()
    assert (scenes.max(), places.max()) == (19, 99)
    assert len(set(zip(lots.tolist(), scenes.tolist(), places.tolist(), strict=True))) == 59_690


# In the order of the set, in another order, of one scene alone, and some twice.
@pytest.mark.parametrize(
    "tiles", [[0, 1, 2, 3, 4, 5, 6, 7, 8], [7, 0, 5, 2], [3], [5, 5, 1, 5]], ids=str
)
def test_tiles_made_anew_are_those_of_the_lot(tiles, benchmark_of_two):
    expected = np.concatenate([small(part) for part in benchmark_of_two["some"]])
    found = render_places("some", np.array(tiles))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected[tiles])


def test_pictures_made_anew_are_the_same_pictures(benchmark_of_two):
    expected = small(benchmark_of_two["pictured"][0])
    np.testing.assert_array_equal(
        render_places("pictured", np.array([4, 0, 3])), expected[[4, 0, 3]]
    )


def test_a_set_is_made_as_the_committee_sees_it(made, benchmark_of_two):
    _, data = made
    expected = np.concatenate([small(part) for part in benchmark_of_two["some"]])
    np.testing.assert_array_equal(data.images, expected)
    assert data.um_per_px == 4.0
    assert data.lots.tolist() == [0] * 6 + [1] * 3
    # Each scene is a region; no two lots share one.
    assert data.regions.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2]
    assert data.lots.dtype == data.regions.dtype == np.int64
    assert data.table.lot_ids == ("R03", "R04")


def test_a_set_is_made_once(benchmark_of_two, made, monkeypatch):
    cache, data = made
    monkeypatch.setattr(benchmark_data, "_make_part", lambda *_: pytest.fail("made again"))
    again = benchmark_set("some", cache)
    np.testing.assert_array_equal(again.images, data.images)
    assert again.version == data.version


def test_files_are_named_by_lot_and_frozen_hash(benchmark_of_two, made):
    cache, _ = made
    hashes = benchmark_data.frozen()[2]["some"]
    names = {path.name for path in (cache / "benchmark-v1" / "some").glob("*.npy")}
    assert names == {f"{lot}-{hashes[lot].whole[:HASH_DIGITS]}.npy" for lot in ("R03", "R04")}


def test_only_the_lot_that_is_missing_is_made(benchmark_of_two, made, monkeypatch):
    cache, data = made
    next((cache / "benchmark-v1" / "some").glob("R04-*")).unlink()
    asked = []
    make = benchmark_data._make_part

    def note(name, part, file):
        asked.append(part.lot.lot_id)
        make(name, part, file)

    monkeypatch.setattr(benchmark_data, "_make_part", note)
    np.testing.assert_array_equal(benchmark_set("some", cache).images, data.images)
    assert asked == ["R04"]


def test_tiles_that_are_not_as_frozen_are_refused_and_not_kept(
    benchmark_of_two, tmp_path, monkeypatch
):
    _, _, hashes = benchmark_data.frozen()
    other = {"some": {**hashes["some"], "R04": hashes["some"]["R03"]}}
    monkeypatch.setattr(benchmark_data, "frozen", lambda: ("", "", other))
    with pytest.raises(DatasetError, match="some/R04 is not as frozen") as caught:
        benchmark_set("some", tmp_path)
    assert caught.value.reason == "BENCHMARK_DIFFERS"
    assert not list(tmp_path.rglob("R04*"))


def test_a_set_that_is_not_there_is_an_error(benchmark_of_two, tmp_path):
    with pytest.raises(KeyError, match="other"):
        benchmark_set("other", tmp_path)


def test_the_frozen_pictures_come_from_the_file_of_their_hash(tmp_path):
    """With the real benchmark: where the file lies, nothing is made."""
    kept = np.random.default_rng(0).integers(0, 256, (1000, PX, PX), dtype=np.uint8)
    digits = frozen()[2]["unrelated"]["pictures"].whole[:HASH_DIGITS]
    path = tmp_path / "benchmark-v1" / "unrelated" / f"pictures-{digits}.npy"
    path.parent.mkdir(parents=True)
    np.save(path, kept)
    data = benchmark_set("unrelated", tmp_path)
    np.testing.assert_array_equal(data.images, kept)
    assert data.table.lot_ids == ("pictures",)
    assert data.table.origins == ("photographs",)
    assert np.isnan(data.table.values).all()
    assert data.table.attributes.shape == (1, len(ATTRIBUTE_NAMES))
    assert data.regions.max() == 9
    # Other pixels under that name would be another dataset.
    np.save(path, 255 - kept)
    assert benchmark_set("unrelated", tmp_path).version != data.version


def test_the_table_tells_what_a_laboratory_would_know():
    parts = benchmark_v1()["reference"]
    table = lot_table(parts)
    assert table.lot_ids[:3] == ("R01", "R02", "R03")
    assert table.recipes == tuple(str(recipe_of(lot)) for lot in table.lot_ids)
    assert table.recipes[:3] == ("1", "1", "2")
    assert (table.property_name, table.unit) == ("peak stress", "psi")
    assert table.attribute_names == ATTRIBUTE_NAMES
    assert set(table.origins) == {"simulated"}
    for part, value, scores in zip(parts, table.values, table.attributes, strict=True):
        assert value == part.lot.strength_tests().mean()
        np.testing.assert_array_equal(scores, part.lot.expert_scores().mean(axis=0))
        # As experts say, not as the simulator knows.
        assert not np.array_equal(scores, part.lot.attributes.as_array())


def test_lots_of_other_sets_are_recipes_of_their_own():
    table = lot_table(benchmark_v1()["ground"])
    assert table.recipes == table.lot_ids
