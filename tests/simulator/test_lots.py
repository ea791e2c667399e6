"""Lots and mosaics: determinism, overlap, what seeds and instruments change."""

import itertools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from lotwise_simulator.attributes import Attributes
from lotwise_simulator.instrument import NOMINAL, InstrumentState, after_filament_change
from lotwise_simulator.lots import (
    OVERLAP_PX,
    SCENE_TILES,
    STRIDE_PX,
    TILE_PX,
    Lot,
    Tile,
    mosaic,
    scene_px,
    scene_tiles,
    scene_yield,
    stitch,
)

TILES_PER_SCENE = SCENE_TILES**2
LOT = Lot("test", Attributes(size=0.4, porosity=0.3, polydispersity=0.4, facetness=0.6), seed=11)
QUIET = InstrumentState(
    dose=1e7, beam_sigma_px=0.0, astigmatism=0.0, drift_px=0.0, noise_sigma=0.0, charging=0.0
)


@pytest.fixture(scope="module")
def tiles() -> list[Tile]:
    return mosaic(LOT, TILES_PER_SCENE + 1)


def correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Correlation of two images after smoothing, so that crystals count and noise does not."""
    smooth = [gaussian_filter(image.astype(float), 2.0).ravel() for image in (first, second)]
    return float(np.corrcoef(smooth)[0, 1])


def test_tiles_are_numbered_row_by_row(tiles: list[Tile]) -> None:
    assert all(t.image.shape == (TILE_PX, TILE_PX) and t.image.dtype == np.uint8 for t in tiles)
    assert [(t.row, t.column) for t in tiles[:5]] == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)]
    assert [t.scene for t in tiles] == [0] * TILES_PER_SCENE + [1]
    assert {(t.lot_id, t.um_per_px, t.region) for t in tiles} == {("test", 1.0, 0)}


def test_the_same_seeds_give_the_same_bits(tiles: list[Tile]) -> None:
    again = mosaic(LOT, 2)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(again, tiles, strict=False))


def test_neighbours_share_the_scene_to_the_pixel_before_noise() -> None:
    quiet = mosaic(LOT, SCENE_TILES + 1, QUIET)
    left, right, below = (quiet[place].image.astype(int) for place in (0, 1, SCENE_TILES))
    assert np.abs(left[:, -OVERLAP_PX:] - right[:, :OVERLAP_PX]).max() <= 1
    assert np.abs(left[-OVERLAP_PX:] - below[:OVERLAP_PX]).max() <= 1
    assert np.abs(left[:, :OVERLAP_PX] - right[:, :OVERLAP_PX]).max() > 50


def test_neighbours_overlap_through_the_noise_and_differ_in_it(tiles: list[Tile]) -> None:
    shared = tiles[0].image[:, -OVERLAP_PX:], tiles[1].image[:, :OVERLAP_PX]
    assert correlation(*shared) > 0.95
    assert not np.array_equal(*shared)


def test_a_wider_mosaic_is_cut_from_one_scene() -> None:
    tiles = mosaic(LOT, 6, QUIET, tiles_per_side=6)
    assert [(t.row, t.column, t.scene) for t in tiles] == [(0, column, 0) for column in range(6)]
    for left, right in itertools.pairwise(tiles):
        shared = left.image[:, -OVERLAP_PX:].astype(int) - right.image[:, :OVERLAP_PX]
        assert np.abs(shared).max() <= 1
    assert scene_yield(LOT, tiles_per_side=6).shape == (scene_px(6), scene_px(6))


def same_tile(one: Tile, other: Tile) -> bool:
    places = [(t.lot_id, t.row, t.column, t.region, t.scene) for t in (one, other)]
    return places[0] == places[1] and np.array_equal(one.image, other.image)


@pytest.mark.parametrize("places", [(0,), (3, 1, 2), (2, 2), range(4), ()], ids=str)
def test_tiles_of_a_scene_are_those_of_its_mosaic(places: Iterable[int]) -> None:
    dim = after_filament_change(NOMINAL)
    options = {"region": 4, "tiles_per_side": 2}
    whole = mosaic(LOT, 8, dim, 5, **options)
    for scene in (0, 1):
        chosen = scene_tiles(LOT, places, dim, 5, scene=scene, **options)
        wanted = [whole[4 * scene + place] for place in places]
        assert len(chosen) == len(wanted)
        assert all(map(same_tile, chosen, wanted))


def test_tiles_of_a_scene_are_by_default_those_of_the_default_mosaic(tiles: list[Tile]) -> None:
    assert all(map(same_tile, scene_tiles(LOT, range(2)), tiles))
    assert same_tile(scene_tiles(LOT, [0], scene=1)[0], tiles[TILES_PER_SCENE])


def test_places_and_scenes_that_are_not_there_are_refused() -> None:
    for place in (-1, 4, 100):
        with pytest.raises(ValueError, match=f"no place {place} in 2 x 2"):
            scene_tiles(LOT, [0, place], tiles_per_side=2)
    for wrong in ({"seed": -1}, {"region": -1}, {"scene": -1}, {"tiles_per_side": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            scene_tiles(LOT, [0], **wrong)


def test_stitching_puts_the_scene_back_together() -> None:
    quiet = mosaic(LOT, TILES_PER_SCENE, QUIET)
    stitched = stitch(quiet)
    assert stitched.shape == (scene_px(SCENE_TILES), scene_px(SCENE_TILES))
    assert np.array_equal(stitched[-TILE_PX:, -TILE_PX:], quiet[-1].image)
    assert np.array_equal(stitched[:STRIDE_PX, :STRIDE_PX], quiet[0].image[:STRIDE_PX, :STRIDE_PX])
    # A place that was not scanned stays black.
    assert not stitch(quiet[:5])[TILE_PX:, -STRIDE_PX:].any()


def test_tiles_of_two_mosaics_are_not_stitched(tiles: list[Tile]) -> None:
    with pytest.raises(ValueError, match="one mosaic"):
        stitch(tiles)
    with pytest.raises(ValueError, match="one mosaic"):
        stitch([])


def test_tiles_of_one_lot_show_different_crystals(tiles: list[Tile]) -> None:
    for other in (tiles[2], tiles[8], tiles[TILES_PER_SCENE]):
        assert abs(correlation(tiles[0].image, other.image)) < 0.3


def test_another_region_and_another_lot_seed_show_other_crystals(tiles: list[Tile]) -> None:
    region = mosaic(LOT, 1, region=1)[0]
    sibling = mosaic(replace(LOT, seed=12), 1)[0]
    assert region.region == 1
    assert abs(correlation(tiles[0].image, region.image)) < 0.3
    assert abs(correlation(tiles[0].image, sibling.image)) < 0.3


def test_another_seed_scans_the_same_crystals_again(tiles: list[Tile]) -> None:
    again = mosaic(LOT, 1, seed=1)[0]
    assert not np.array_equal(again.image, tiles[0].image)
    assert correlation(again.image, tiles[0].image) > 0.95


def test_a_filament_change_leaves_the_material_alone(tiles: list[Tile]) -> None:
    dim = mosaic(LOT, 1, after_filament_change(NOMINAL))[0]
    assert correlation(dim.image, tiles[0].image) > 0.9
    assert dim.image.std() < 0.85 * tiles[0].image.std()


def test_broken_crystals_show(tiles: list[Tile]) -> None:
    broken = mosaic(replace(LOT, fracture=0.8), 1)[0]
    assert not np.array_equal(broken.image, tiles[0].image)
    assert abs(broken.image.mean() - tiles[0].image.mean()) < 20


def test_strength_tests_are_the_lots_own() -> None:
    first = LOT.strength_tests()
    assert first.shape == (2,)
    assert np.array_equal(first, LOT.strength_tests())
    assert not np.array_equal(first, replace(LOT, seed=12).strength_tests())
    np.testing.assert_allclose(first, LOT.peak_stress_psi, rtol=0.1)
    assert LOT.peak_stress_gradient.shape == (4,)


def test_errors() -> None:
    with pytest.raises(ValueError, match="n_tiles"):
        mosaic(LOT, 0)
    with pytest.raises(ValueError, match="seed"):
        mosaic(LOT, 1, seed=-1)
    with pytest.raises(ValueError, match="region"):
        scene_yield(LOT, region=-1)
    for width in (0, 17):
        with pytest.raises(ValueError, match="tiles_per_side"):
            mosaic(LOT, 1, tiles_per_side=width)
    with pytest.raises(ValueError, match="fracture"):
        Lot("x", LOT.attributes, 1, fracture=1.2)
    with pytest.raises(ValueError, match="lot_id"):
        Lot("", LOT.attributes, 1)
    with pytest.raises(ValueError, match="seed"):
        Lot("x", LOT.attributes, -1)
