"""Texture statistics: what they see, what they overlook, and what an edit is asked for."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from lotwise_training.models.scattering import Scattering
from lotwise_training.training.editor.texture import TextureTargets, fit_statistics

SCATTERING = Scattering()


def blobs(width, px=128, seed=0):
    """Random blobs of a width in pixels, as grey values with some noise."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=(px, px)), width, mode="wrap")
    image = 120.0 + 40.0 * field / field.std() + rng.normal(0, 5, (px, px))
    return torch.from_numpy(image.astype(np.float32))[None, None]


def distance(first, second):
    with torch.no_grad():
        return float((SCATTERING(first) - SCATTERING(second)).norm())


def test_gain_and_offset_change_nothing():
    image = blobs(4)
    assert distance(image, 0.7 * image + 20.0) < 0.05


def test_the_same_texture_elsewhere_is_alike_and_another_is_not():
    image = blobs(3)
    assert distance(image, blobs(6, seed=1)) > 2 * distance(image, blobs(3, seed=1))


def test_dark_holes_are_told_from_bright_ones():
    dark, bright = blobs(6), blobs(6)
    for row in (4, 5):
        for column in (4, 5):
            dark[..., row::16, column::16] -= 60.0
            bright[..., row::16, column::16] += 60.0
    assert distance(dark, bright) > 1.0


def test_a_faint_pattern_cannot_forge_a_texture():
    """Of 2 grey levels, each pixel in the direction that helps most."""
    image, other = blobs(3), blobs(6, seed=1)
    wanted = SCATTERING(other).detach()
    pattern = torch.zeros_like(image).requires_grad_(True)
    (slope,) = torch.autograd.grad((SCATTERING(image + pattern) - wanted).square().sum(), pattern)
    assert distance(image - 2.0 * slope.sign(), other) > 0.7 * distance(image, other)


@pytest.mark.parametrize("edge", [64, 256])
def test_tiles_of_every_size_have_finite_statistics_and_slopes(edge):
    for image in (torch.rand(2, 1, edge, edge) * 255, torch.full((2, 1, edge, edge), 99.0)):
        image.requires_grad_(True)
        statistics = SCATTERING(image)
        assert torch.isfinite(statistics).all()
        (slope,) = torch.autograd.grad(statistics.sum(), image)
        assert torch.isfinite(slope).all()


def test_a_fit_finds_a_quadratic_law_in_units_of_the_spread_within_a_lot():
    rng = np.random.default_rng(0)
    lots = rng.random((60, 2))
    attributes = lots.repeat(20, axis=0)
    centred = 2.0 * attributes - 1.0
    law = np.stack([3.0 * centred[:, 0], centred[:, 0] * centred[:, 1]], axis=1)
    statistics = law + rng.normal(0, 0.5, law.shape)
    scale, weights = fit_statistics(statistics, attributes)
    np.testing.assert_allclose(scale, 0.5, rtol=0.1)
    # Terms: a, b, aa, ab, bb.
    np.testing.assert_allclose(scale[0] * weights[:, 0], [3.0, 0, 0, 0, 0], atol=0.15)
    np.testing.assert_allclose(scale[1] * weights[:, 1], [0, 0, 0, 1.0, 0], atol=0.15)


@pytest.fixture(scope="module")
def targets():
    widths = np.geomspace(2.0, 8.0, 9)
    tiles = torch.cat([blobs(w, seed=n) for w in widths for n in range(6)])
    scores = (np.log2(widths) / 4).astype(np.float32).repeat(6)[:, None]
    tiles = tiles[:, 0].clamp(0, 255).to(torch.uint8)
    return TextureTargets(tiles, torch.from_numpy(scores), 96, np.random.default_rng(0))


def test_an_edit_owes_what_it_has_not_changed(targets):
    tile = blobs(2, px=96, seed=20)
    own, wanted = torch.tensor([[0.25]]), torch.tensor([[0.75]])
    idle = targets.loss(tile, tile, own, wanted)
    done = targets.loss(tile, blobs(8, px=96, seed=21), own, wanted)
    assert 0.5 < idle < 1.0
    assert done < 0.5 * idle


def test_no_change_owes_nothing_and_asks_for_nothing(targets):
    tile, own = blobs(4, px=96), torch.tensor([[0.5]])
    assert targets.loss(tile, tile, own, own) == 0.0
    assert targets.change(own, own).abs().max() == 0.0


def test_a_zoom_is_read_off_the_lots(targets):
    """A score of 1 stands for a length that is 16 times as large."""
    assert 0.75 * np.log(16.0) < targets.log_zoom.item() < 1.25 * np.log(16.0)
