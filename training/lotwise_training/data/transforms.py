"""Random views of a training tile. Every draw comes from the generator that is passed in."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lotwise_training.config.schema import InstrumentRanges


def random_crops(images: Tensor, px: int, rng: np.random.Generator) -> Tensor:
    """A crop of each tile at a place of its own, flipped left-right and up-down at random.

    Args:
        images: uint8 [B, H, W], grey values.
        px: Edge of the crop; at most H and W.
        rng: Source of places and flips.

    Returns:
        float32 [B, 1, px, px], grey values 0..255.

    Raises:
        ValueError: The tile is smaller than the crop.
    """
    batch, height, width = images.shape
    if px > min(height, width):
        raise ValueError(f"a crop of {px} px does not fit into tiles of {height} x {width} px")
    device = images.device

    def places(edge: int) -> Tensor:
        first = torch.from_numpy(rng.integers(0, edge - px + 1, (batch, 1)))
        run = torch.arange(px)
        flipped = torch.from_numpy(rng.random((batch, 1)) < 0.5)
        return (first + torch.where(flipped, px - 1 - run, run)).to(device)

    which = torch.arange(batch, device=device)[:, None, None]
    crops = images[which, places(height)[:, :, None], places(width)[:, None, :]]
    return crops[:, None].float()


def disturb_instrument(
    images: Tensor, ranges: InstrumentRanges, rng: np.random.Generator
) -> Tensor:
    """Another state of the microscope for each tile: blur, gain, offset, noise, clipping.

    Args:
        images: float32 [B, 1, H, W], grey values 0..255.
        ranges: Of the states.
        rng: Source of the draws; the noise itself is drawn on the device from a seed of it.

    Returns:
        float32 [B, 1, H, W], grey values 0..255.
    """
    batch = images.shape[0]

    def draw(low: float, high: float) -> Tensor:
        values = rng.uniform(low, high, (batch, 1, 1, 1)).astype(np.float32)
        return torch.from_numpy(values).to(images.device)

    gain, offset = ranges.gain_range, ranges.offset_range
    images = _blur(images, draw(0.0, ranges.max_blur_sigma_px))
    images = images * draw(1.0 - gain, 1.0 + gain) + draw(-offset, offset)
    generator = torch.Generator(images.device).manual_seed(int(rng.integers(2**62)))
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return (images + draw(0.0, ranges.max_noise_sigma) * noise).clamp(0.0, 255.0)


def _blur(images: Tensor, sigma: Tensor) -> Tensor:
    """A Gaussian of seven pixels for each picture, as two passes over a line."""
    batch, _, height, width = images.shape
    offsets = torch.arange(-3.0, 4.0, device=images.device)
    kernels = torch.exp(-0.5 * (offsets / sigma.reshape(batch, 1).clamp(min=1e-3)) ** 2)
    kernels = kernels / kernels.sum(dim=1, keepdim=True)
    # The batch becomes the channels of one grouped convolution: each picture has its own kernel.
    x = functional.pad(images.reshape(1, batch, height, width), (3, 3, 3, 3), mode="replicate")
    x = functional.conv2d(x, kernels.reshape(batch, 1, 7, 1), groups=batch)
    x = functional.conv2d(x, kernels.reshape(batch, 1, 1, 7), groups=batch)
    return x.reshape(batch, 1, height, width)
