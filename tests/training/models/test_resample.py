"""Zooms: what they enlarge, what they leave, and their slope where they do nothing."""

import pytest
import torch

from lotwise_training.models.resample import enlarged, zoomed
from lotwise_training.training.editor.texture import log_length

PX = 65


def waves(length, px=PX):
    """Waves of a length in pixels, crest in the middle, grey values."""
    pixels = torch.arange(px, dtype=torch.float32) - (px - 1) / 2
    crest = torch.cos(2 * torch.pi * pixels / length)
    return (120.0 + 50.0 * torch.outer(crest, crest))[None, None]


@pytest.mark.parametrize("px", [64, 65])
def test_no_zoom_returns_the_tile_itself(px):
    image = torch.rand(2, 1, px, px) * 255
    torch.testing.assert_close(zoomed(image, torch.zeros(2)), image, atol=1e-3, rtol=0)


@pytest.mark.parametrize("log_zoom", [0.4, -0.4])
def test_waves_become_longer_by_the_factor(log_zoom):
    drawn = zoomed(waves(16.0), torch.tensor([log_zoom]))
    expected = waves(16.0 * torch.tensor(log_zoom).exp().item())
    inside = slice(PX // 4, -PX // 4)
    torch.testing.assert_close(
        drawn[..., inside, inside], expected[..., inside, inside], atol=2.0, rtol=0
    )


def test_beyond_the_edges_is_the_tile_mirrored():
    image = torch.rand(1, 1, PX, PX) * 255
    drawn = zoomed(image, torch.log(torch.tensor([0.5])))[0, 0]
    middle = (PX - 1) // 2
    first, last = middle - middle // 2, middle + middle // 2
    doubled = drawn[first : last + 1, first : last + 1]
    torch.testing.assert_close(doubled, image[0, 0, ::2, ::2], atol=1e-2, rtol=0)
    torch.testing.assert_close(drawn[last + 1], drawn[last - 1], atol=1e-2, rtol=0)


def test_each_tile_has_a_zoom_of_its_own():
    image = waves(16.0).repeat(2, 1, 1, 1)
    both = zoomed(image, torch.tensor([0.0, 0.3]))
    torch.testing.assert_close(both[0], image[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(both[1:], zoomed(image[1:], torch.tensor([0.3])))


@pytest.mark.parametrize("at", [0.0, 0.3, -0.2])
def test_its_slope_is_that_of_finite_differences(at):
    image = waves(20.0)
    weight = torch.zeros_like(image)
    inside = slice(PX // 4, -PX // 4)  # what is mirrored moves with the edges
    weight[..., inside, inside] = waves(27.0)[..., inside, inside] - 120.0
    log_zoom = torch.tensor([at], requires_grad=True)
    (slope,) = torch.autograd.grad((zoomed(image, log_zoom) * weight).sum(), log_zoom)
    with torch.no_grad():
        step = 1e-3
        up, down = (
            (zoomed(image, torch.tensor([at + d])) * weight).double().sum().item()
            for d in (step, -step)
        )
    assert slope.item() == pytest.approx((up - down) / (2 * step), rel=0.02)


@pytest.mark.parametrize("log_zoom", [0.3, -0.3])
def test_the_length_of_what_a_tile_shows_grows_with_the_zoom(log_zoom):
    image = waves(12.0, px=256)
    grown = log_length(zoomed(image, torch.tensor([log_zoom]))) - log_length(image)
    assert grown.item() == pytest.approx(log_zoom, abs=0.08)


def test_a_blank_tile_has_a_finite_length():
    assert torch.isfinite(log_length(torch.full((1, 1, 64, 64), 99.0))).all()


@pytest.mark.parametrize("factor", [2, 4])
def test_maps_are_enlarged_in_straight_lines(factor):
    ramp = torch.arange(8.0)[None, None, None, :].expand(1, 2, 6, 8)
    grown = enlarged(ramp, factor)
    assert grown.shape == (1, 2, 6 * factor, 8 * factor)
    inside = grown[0, 0, 0, factor:-factor]
    torch.testing.assert_close(inside.diff(), torch.full_like(inside[1:], 1.0 / factor))
    torch.testing.assert_close(
        enlarged(torch.full_like(ramp, 3.0), factor).unique(), torch.tensor([3.0])
    )
