"""Zooms tiles by factors that networks learn: differentiable, and of plain operators.

Larger crystals are, first of all, the same picture nearer by. A convolution has to learn that from
thousands of examples; a resampling has it in one number (Jaderberg et al. 2015, "Spatial
transformer networks", section 3, whose only transform here is the scale).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

LOBES: Final = 8


def zoomed(image: Tensor, log_zoom: Tensor) -> Tensor:
    """Tiles magnified about their centres, by Lanczos interpolation.

    What lies beyond the edges is the tile mirrored. Of operators that any engine and the export of
    gradients know: two products with matrices instead of a sampling of the picture.

    Args:
        image: float [B, 1, H, W].
        log_zoom: float32 [B], natural logarithm of the magnification; 0 returns the tile itself.

    Returns:
        float32 [B, 1, H, W].
    """
    height, width = image.shape[2:]
    with torch.autocast(image.device.type, enabled=False):
        rows = _interpolation(height, log_zoom)
        columns = rows if height == width else _interpolation(width, log_zoom)
        return (rows @ image.float()[:, 0] @ columns.transpose(1, 2)).unsqueeze(1)


def enlarged(maps: Tensor, factor: int) -> Tensor:
    """Maps of more pixels, interpolated linearly; of the operators of `zoomed`.

    Args:
        maps: Float [B, C, h, w].
        factor: Pixels out of one.

    Returns:
        [B, C, factor * h, factor * w], of the same type.
    """
    rows, columns = (_spread(edge, factor).to(maps) for edge in maps.shape[2:])
    return rows @ maps @ columns.T


def _spread(edge: int, factor: int) -> Tensor:
    """From pixels to factor times as many, [factor * edge, edge]."""
    places = (torch.arange(factor * edge) + 0.5) / factor - 0.5
    places = places.clamp(0.0, edge - 1.0)
    return (1.0 - (places.unsqueeze(1) - torch.arange(edge)).abs()).clamp(min=0.0)


def _interpolation(edge: int, log_zoom: Tensor) -> Tensor:
    """From pixels to pixels of the zoomed tile, [B, edge, edge]."""
    pixels = torch.arange(edge, device=log_zoom.device, dtype=torch.float32)
    centre, last = (edge - 1) / 2.0, float(edge - 1)
    places = centre + (pixels - centre) * torch.exp(-log_zoom.float()).unsqueeze(1)
    # Mirrored at both ends: a triangular wave.
    places = places - 2.0 * last * torch.floor(places / (2.0 * last))
    places = (last - (places - last).abs()).unsqueeze(2)
    # And so are the neighbours of a place next to an end; the pixel at the end itself is one.
    weights = _lanczos((places - pixels).abs())
    weights = weights + torch.where(pixels > 0.0, _lanczos(places + pixels), 0.0)
    beyond = _lanczos(2.0 * last - places - pixels)
    weights = weights + torch.where(pixels < last, beyond, 0.0)
    return weights / weights.sum(dim=2, keepdim=True)


def _lanczos(distance: Tensor) -> Tensor:
    """A sinc in a window of LOBES pixels to either side (Duchon 1979).

    Short kernels blur a tile's grain between pixels and leave it on them, so that the slightest
    zoom changes what networks read off it, up and down: slopes would say nothing.
    """
    angle = torch.pi * distance.clamp(min=1e-3)
    window = torch.sin(angle / LOBES) / (angle / LOBES)
    return torch.where(distance < LOBES, torch.sin(angle) / angle * window, 0.0)
