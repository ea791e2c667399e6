"""How a user's own lots are split: by region, else inside their pictures, a part to calibrate."""

from itertools import combinations

import numpy as np
import pytest

from lotwise_training.data.folder_split import calibration_tiles, split_lots
from lotwise_training.data.splits import SPLITS, lot_held_out, tile_random
from lotwise_training.data.tiles import DatasetError, TileDataset
from tests.training.small_lots import folder_lots


def split(data, seed=0):
    return split_lots(data, np.arange(len(data)), seed)


def parts(found):
    return found[:4]


def assert_apart(data, found):
    """No two tiles of two parts touch, diagonals included."""
    for one, other in combinations(parts(found), 2):
        a, b = data.positions[one][:, None], data.positions[other][None]
        near = (np.abs(a[..., 1:] - b[..., 1:]) <= 1).all(axis=2) & (a[..., 0] == b[..., 0])
        assert not near.any()


ONE_PICTURE = [(8, 8)]
TWO_PICTURES = [(6, 6), (6, 6)]
MANY = [(1, 1)] * 24


@pytest.mark.parametrize("pictures", [ONE_PICTURE, TWO_PICTURES], ids=["one", "two"])
@pytest.mark.parametrize("seed", range(4))
def test_few_pictures_are_split_into_blocks_a_field_apart(pictures, seed):
    data = folder_lots(pictures, pictures)
    found = split(data, seed)
    assert_apart(data, found)
    for lot in (0, 1):
        counts = [int((data.lots[part] == lot).sum()) for part in parts(found)]
        assert counts[3] >= 10
        assert counts[0] >= counts[3]
        assert min(counts) >= 1
    (remark,) = found.remarks
    assert "Split inside their pictures" in remark
    assert remark.endswith("L0, L1.")


def test_four_regions_or_more_are_never_cut():
    data = folder_lots([(4, 4)] * 6, MANY)
    found = split(data)
    regions = [set(data.regions[part].tolist()) for part in parts(found)]
    assert all(one.isdisjoint(other) for one, other in combinations(regions, 2))
    assert sum(map(len, parts(found))) == len(data)
    assert found.remarks == ()


@pytest.mark.parametrize(("tiles", "calibrate"), [(24, 10), (100, 10), (101, 11), (1000, 100)])
def test_the_larger_of_ten_tiles_and_a_tenth_calibrates(tiles, calibrate):
    assert calibration_tiles(tiles) == calibrate
    data = folder_lots([(1, 1)] * tiles)
    assert len(split(data).calibration) == calibrate


def test_one_lot_too_small_leaves_the_tiles_of_all_to_training():
    data = folder_lots(MANY, [(1, 1)] * 23)
    found = split(data)
    assert len(found.calibration) == 0
    assert sum(map(len, parts(found))) == len(data)
    (remark,) = found.remarks
    assert "lot L1 has 23 tiles in 23 regions and needs about 24 such regions" in remark
    assert "L0" not in remark


@pytest.mark.parametrize("pictures", [[(3, 3)], [(1, 5)], [(1, 1)] * 3, [(1, 1), (1, 3)]])
def test_the_smallest_lots_that_train(pictures):
    data = folder_lots(pictures, MANY)
    found = split(data)
    assert_apart(data, found)
    assert all(set(data.lots[part].tolist()) == {0, 1} for part in parts(found)[:3])


@pytest.mark.parametrize("pictures", [[(1, 4)], [(2, 2)], [(1, 1)] * 2])
def test_smaller_lots_are_refused_with_what_is_needed(pictures):
    with pytest.raises(DatasetError, match=r"three regions, or a picture of 3 x 3") as caught:
        split(folder_lots(MANY, pictures))
    assert caught.value.reason == "REGIONS_TOO_FEW"
    assert "Lot L1 has" in str(caught.value)


def test_joined_pictures_are_not_cut_because_they_may_overlap():
    # Pictures 0 and 1 are joined; picture 2 is a region by itself.
    regions = np.array([7, 7, 8])
    data = folder_lots([(3, 3), (3, 3), (5, 5)], regions=regions)
    found = split(data)
    joined = set(np.flatnonzero(data.regions == 7).tolist())
    sides = [joined & set(part.tolist()) for part in parts(found)]
    assert [side for side in sides if side] == [joined]


@pytest.mark.parametrize("name", SPLITS)
def test_every_split_of_a_folder_is_by_region(name):
    data = folder_lots(*[[(4, 4)] * 6] * 5)
    found = SPLITS[name](data, 0)
    known = np.concatenate([found.train, found.validation, found.test, found.calibration])
    regions = [set(data.regions[part].tolist()) for part in (found.train, found.calibration)]
    assert regions[0].isdisjoint(regions[1])
    assert regions[1]
    assert sorted([*known, *found.unseen]) == list(range(len(data)))


def test_lots_that_are_held_out_do_not_calibrate():
    data = folder_lots(*[[(4, 4)] * 6] * 5)
    found = lot_held_out(data, 0)
    held = set(data.lots[found.unseen].tolist())
    assert held
    assert held.isdisjoint(data.lots[found.calibration].tolist())


def test_simulated_lots_keep_nothing_to_calibrate_on():
    data = folder_lots([(4, 4)] * 6)
    simulated = TileDataset(data.images, 4.0, data.lots, data.regions, data.table, "")
    assert len(tile_random(simulated, 0).calibration) == 0
