"""Random views and made-up outliers."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from lotwise_training.data.outliers import outlier_tiles
from lotwise_training.data.transforms import disturb_instrument, random_crops


@dataclass(frozen=True)
class Ranges:
    gain_range: float = 0.0
    offset_range: float = 0.0
    max_noise_sigma: float = 0.0
    max_blur_sigma_px: float = 0.0


def rng():
    return np.random.default_rng(0)


@pytest.fixture
def tiles():
    return torch.from_numpy(rng().integers(0, 256, (40, 12, 12), dtype=np.uint8))


def test_a_crop_of_the_whole_tile_is_one_of_its_four_mirrorings(tiles):
    seen = set()
    for tile, view in zip(tiles.float(), random_crops(tiles, 12, rng())[:, 0], strict=True):
        mirrorings = [tile, tile.flip(0), tile.flip(1), tile.flip(0, 1)]
        matches = [n for n, mirrored in enumerate(mirrorings) if torch.equal(mirrored, view)]
        assert len(matches) == 1
        seen.update(matches)
    assert seen == {0, 1, 2, 3}


def test_crops_are_patches_of_their_own_tile(tiles):
    views = random_crops(tiles, 5, rng())
    assert views.shape == (40, 1, 5, 5)
    for tile, view in zip(tiles.float(), views[:, 0], strict=True):
        patches = tile.unfold(0, 5, 1).unfold(1, 5, 1)
        mirrored = [view, view.flip(0), view.flip(1), view.flip(0, 1)]
        assert any((patches == one).all(dim=(2, 3)).any() for one in mirrored)


def test_a_crop_larger_than_the_tile_is_refused(tiles):
    with pytest.raises(ValueError, match="13 px does not fit"):
        random_crops(tiles, 13, rng())


def test_no_disturbance_leaves_a_tile_as_it_is(tiles):
    grey = tiles[:, None].float()
    torch.testing.assert_close(disturb_instrument(grey, Ranges(), rng()), grey)


def test_each_tile_has_a_gain_and_an_offset_of_its_own():
    ramp = torch.arange(100.0, 116.0).reshape(1, 1, 4, 4).repeat(3, 1, 1, 1)
    views = disturb_instrument(ramp, Ranges(gain_range=0.3, offset_range=20.0), rng())
    gains = (views[:, 0, 3, 3] - views[:, 0, 0, 0]) / 15.0
    assert ((gains > 0.7) & (gains < 1.3)).all()
    assert gains.unique().numel() == 3
    offsets = views[:, 0, 0, 0] - 100.0 * gains
    assert offsets.unique().numel() == 3


def test_noise_and_blur_do_what_they_say():
    flat = torch.full((8, 1, 64, 64), 128.0)
    noisy = disturb_instrument(flat, Ranges(max_noise_sigma=10.0), rng())
    deviations = noisy.std(dim=(1, 2, 3))
    assert deviations.max() < 10.5
    assert deviations.std() > 1.0
    blurred = disturb_instrument(noisy, Ranges(max_blur_sigma_px=1.5), rng())
    smoothed = blurred.std(dim=(1, 2, 3))
    # A narrow blur lies between the pixels and changes nothing.
    assert (smoothed <= deviations + 1e-3).all()
    assert smoothed.mean() < 0.8 * deviations.mean()
    torch.testing.assert_close(blurred.mean(), noisy.mean(), rtol=1e-2, atol=0.0)


def test_grey_levels_are_clipped_as_a_detector_clips():
    bright = torch.full((4, 1, 4, 4), 250.0)
    views = disturb_instrument(bright, Ranges(gain_range=0.5), rng())
    assert views.max() == 255.0


def test_outliers_are_drawn_from_their_seed_and_are_no_training_tiles(tiles):
    images = tiles.numpy().repeat(4, axis=1).repeat(4, axis=2)
    outliers = outlier_tiles(24, images, seed=1)
    assert outliers.shape == (24, 48, 48)
    assert outliers.dtype == np.uint8
    np.testing.assert_array_equal(outliers, outlier_tiles(24, images, seed=1))
    assert (outliers != outlier_tiles(24, images, seed=2)).any()
    assert not any((outliers == tile).all(axis=(1, 2)).any() for tile in images)
    # None is blank: a blank picture teaches brightness, not structure.
    assert (outliers.std(axis=(1, 2)) > 2.0).all()
