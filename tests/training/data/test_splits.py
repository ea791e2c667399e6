"""What a split must keep apart, whatever the seed."""

from itertools import combinations

import numpy as np
import pytest

from lotwise_training.data.splits import (
    SPLITS,
    classes,
    lot_held_out,
    region_blocked,
    tile_random,
)
from lotwise_training.data.tiles import DatasetError, LotTable, TileDataset

SEEDS = range(8)
# Of each lot, how many tiles its regions have; lots 1 and 4 are repeats of 0 and 2.
REGIONS = ([10] * 10, [10] * 10, [10] * 20, [1, 2, 3, 4, 5], [7] * 3, [1] * 12, [10] * 10)
RECIPES = ("a", "a", "b", "c", "b", "d", "e")


def dataset(regions=REGIONS, recipes=RECIPES):
    """Tiles without a picture, in no order of lot or region."""
    sizes = [(lot, size) for lot, of_lot in enumerate(regions) for size in of_lot]
    lots = np.repeat([lot for lot, _ in sizes], [size for _, size in sizes])
    places = np.repeat(np.arange(len(sizes)), [size for _, size in sizes])
    mixed = np.random.default_rng(0).permutation(len(lots))
    names = tuple(f"lot {number}" for number in range(len(regions)))
    table = LotTable(
        lot_ids=names,
        recipes=tuple(recipes),
        property_name="",
        unit="",
        values=np.full(len(names), np.nan),
        attribute_names=(),
        attributes=np.empty((len(names), 0)),
        origins=("",) * len(names),
    )
    images = np.zeros((len(lots), 1, 1), dtype=np.uint8)
    return TileDataset(images, 4.0, lots[mixed], places[mixed], table, "")


DATA = dataset()
every_split = pytest.mark.parametrize("name", SPLITS)
every_seed = pytest.mark.parametrize("seed", SEEDS)


def sides(split):
    return (split.train, split.validation, split.test, split.unseen)


def together(split):
    return np.concatenate(sides(split))


def apart(values, split):
    """Whether no value of a tile stands on two sides."""
    found = [set(np.asarray(values)[side].tolist()) for side in sides(split)]
    return all(one.isdisjoint(other) for one, other in combinations(found, 2))


def test_the_three_splits_have_their_names():
    assert tuple(SPLITS) == ("tile-random", "region-blocked", "lot-held-out")


@every_seed
@every_split
def test_every_tile_is_on_one_side(name, seed):
    split = SPLITS[name](DATA, seed)
    assert sorted(together(split).tolist()) == list(range(len(DATA)))
    for side in sides(split):
        assert side.dtype == np.int64
        assert (np.diff(side) > 0).all()


@every_split
def test_a_seed_gives_one_split_and_another_seed_another(name):
    drawn = [SPLITS[name](DATA, seed) for seed in SEEDS]
    for seed, split in zip(SEEDS, drawn, strict=True):
        for one, again in zip(sides(split), sides(SPLITS[name](DATA, seed)), strict=True):
            np.testing.assert_array_equal(one, again)
    assert len({split.test.tobytes() for split in drawn}) == len(drawn)
    assert len({split.validation.tobytes() for split in drawn}) == len(drawn)


@every_seed
@every_split
def test_every_known_lot_is_on_all_three_sides(name, seed):
    split = SPLITS[name](DATA, seed)
    known = set(range(len(REGIONS))) - set(DATA.lots[split.unseen].tolist())
    for side in (split.train, split.validation, split.test):
        assert set(DATA.lots[side].tolist()) == known
    assert classes(split, DATA).tolist() == sorted(known)
    assert classes(split, DATA).dtype == np.int64


@pytest.mark.parametrize("name", ["tile-random", "region-blocked"])
def test_no_tile_is_held_out_where_all_lots_are_known(name):
    unseen = SPLITS[name](DATA, 0).unseen
    assert (unseen.shape, unseen.dtype) == ((0,), np.int64)


@every_seed
def test_tile_random_takes_a_tenth_of_the_tiles_of_each_lot(seed):
    split = tile_random(DATA, seed)
    # Lots of 100, 100, 200, 15, 21, 12 and 100 tiles.
    expected = [10, 10, 20, None, 2, 1, 10]
    for side in (split.validation, split.test):
        counts = np.bincount(DATA.lots[side], minlength=7)
        for count, wanted in zip(counts, expected, strict=True):
            assert count == wanted if wanted is not None else count in (1, 2)


def test_tile_random_parts_neighbours():
    assert not apart(DATA.regions, tile_random(DATA, 0))


@every_seed
@pytest.mark.parametrize("name", ["region-blocked", "lot-held-out"])
def test_no_region_is_on_two_sides(name, seed):
    assert apart(DATA.regions, SPLITS[name](DATA, seed))


@every_seed
def test_region_blocked_takes_a_tenth_of_the_regions_and_one_at_least(seed):
    split = region_blocked(DATA, seed)
    for side in (split.validation, split.test):
        regions = [len(set(DATA.regions[side[DATA.lots[side] == lot]])) for lot in range(7)]
        assert regions == [1, 1, 2, 1, 1, 1, 1]
    for side, share in ((split.train, 0.8), (split.validation, 0.1), (split.test, 0.1)):
        of_large = np.isin(DATA.lots[side], (0, 1, 2, 6)).sum()
        assert of_large == share * 500


@every_seed
def test_three_regions_are_enough_for_a_split_by_region(seed):
    data = dataset(regions=[[4, 4, 4]], recipes=["a"])
    split = region_blocked(data, seed)
    assert [len(side) for side in sides(split)] == [4, 4, 4, 0]


def test_too_few_regions_are_refused_and_the_lot_is_named():
    data = dataset(regions=[[5] * 5, [50, 50]], recipes=["a", "b"])
    with pytest.raises(DatasetError, match="lot 1 has 2 regions") as caught:
        region_blocked(data, 0)
    assert caught.value.reason == "REGIONS_TOO_FEW"
    assert apart(np.arange(len(data)), tile_random(data, 0))  # not asked for regions


def test_too_few_tiles_are_refused_and_the_lot_is_named():
    data = dataset(regions=[[5] * 5, [1, 1]], recipes=["a", "b"])
    with pytest.raises(DatasetError, match="lot 1 has 2 tiles") as caught:
        tile_random(data, 0)
    assert caught.value.reason == "TILES_TOO_FEW"


@every_seed
def test_no_recipe_is_both_learned_and_held_out(seed):
    split = lot_held_out(DATA, seed)
    held = {RECIPES[lot] for lot in DATA.lots[split.unseen]}
    seen = {RECIPES[lot] for lot in classes(split, DATA)}
    assert held.isdisjoint(seen)
    assert held | seen == set(RECIPES)
    # With a lot go all its repeats, and each with all its tiles.
    assert set(split.unseen.tolist()) == {
        tile for tile, lot in enumerate(DATA.lots) if RECIPES[lot] in held
    }


@every_seed
@pytest.mark.parametrize(("recipes", "held"), [(3, 1), (5, 1), (10, 2), (15, 3)])
def test_the_share_is_of_recipes_and_one_at_least(seed, recipes, held):
    data = dataset(regions=[[2] * 3] * recipes, recipes=[f"recipe {n}" for n in range(recipes)])
    assert len(set(data.lots[lot_held_out(data, seed).unseen])) == held


def test_repeats_are_held_out_with_their_recipe():
    data = dataset(regions=[[2] * 3] * 20, recipes=[f"recipe {n // 2}" for n in range(20)])
    assert len(set(data.lots[lot_held_out(data, 0).unseen])) == 4


def test_every_recipe_is_held_out_by_some_seed():
    splits = [lot_held_out(DATA, seed) for seed in range(60)]
    held = {RECIPES[lot] for split in splits for lot in DATA.lots[split.unseen]}
    assert held == set(RECIPES)


@pytest.mark.parametrize("recipes", [["a", "a", "a"], ["a", "a", "b"]])
def test_too_few_recipes_are_refused(recipes):
    with pytest.raises(DatasetError) as caught:
        lot_held_out(dataset(regions=[[5] * 5] * 3, recipes=recipes), 0)
    assert caught.value.reason == "RECIPES_TOO_FEW"


def test_a_known_lot_of_too_few_regions_is_refused_by_lot_held_out_too():
    data = dataset(regions=[[5] * 2] * 6, recipes=list("abcdef"))
    with pytest.raises(DatasetError) as caught:
        lot_held_out(data, 0)
    assert caught.value.reason == "REGIONS_TOO_FEW"
