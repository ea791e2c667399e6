"""Statistics of a texture that small patterns cannot forge: a scattering transform.

Bruna & Mallat, "Invariant Scattering Convolution Networks", IEEE TPAMI 35 (2013), section 2; as a
description of textures: Sifre & Mallat, CVPR 2013. Moduli of wavelets, and of wavelets of those
moduli, averaged over the tile. Nothing in it is learned, and it does not expand distances: two
tiles that look alike have statistics that are alike, so nobody can move them much by a pattern that
no person would see. A network that learned to read attributes has no such bound.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

POOL: Final = 2
"""Edge of the squares of pixels that are averaged first: a quarter of the work, and less noise;
pin-pricks still show."""
SCALES: Final = 4
"""Octaves: wavelets of about 6 to 45 pixels, pin-pricks to crystals."""
ORIENTATIONS: Final = 4
FILTER_PX: Final = 7
SIGMA_PX: Final = 1.1
WAVE_NUMBER: Final = 2.1
"""Radians a pixel."""
SLANT: Final = 0.7
"""Width of the envelope across the wave over that along it."""
FLOOR: Final = 1e-2
"""Added to every modulus, in units of the tile's standard deviation."""


class Scattering(nn.Module):
    """Logarithms of mean wavelet moduli of tiles that were freed of mean and contrast."""

    wavelets: Tensor
    smooth: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("wavelets", _morlets(), persistent=False)
        line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
        self.register_buffer("smooth", torch.outer(line, line)[None, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Statistics of a batch of tiles.

        Args:
            image: Float [B, 1, H, W], any scale; H and W at least 64.

        Returns:
            float32 [B, n]: of every scale and of its details, deviation, skewness and kurtosis; of
            every scale and orientation, mean and spread of the moduli; of every pair of scales and
            pair of orientations, from fine to coarse, the mean moduli of moduli. Logarithms of all
            but the skewness.
        """
        x = functional.avg_pool2d(image.float(), POOL)
        x = x - x.mean(dim=(1, 2, 3), keepdim=True)
        x = x / (x.square().mean(dim=(1, 2, 3), keepdim=True) + 1.0).sqrt()
        statistics: list[Tensor] = []
        moduli: list[Tensor] = []  # of all scales so far, each [B, ORIENTATIONS, h, w] at this one
        for scale in range(SCALES):
            if scale:
                x = self._halved(x)
                moduli = [self._halved(each) for each in moduli]
            statistics += [_shape(x), _shape(x - self._smoothed(x))]
            for each in moduli:
                statistics.append(self._moduli(each).mean(dim=(2, 3)).add(FLOOR).log())
            here = self._moduli(x)
            mean = here.mean(dim=(2, 3))
            spread = (here - mean[:, :, None, None]).square().mean(dim=(2, 3)).add(FLOOR**2).sqrt()
            statistics += [mean.add(FLOOR).log(), (spread / (mean + FLOOR)).log()]
            moduli.append(here)
        return torch.cat(statistics, dim=1)

    def _moduli(self, x: Tensor) -> Tensor:
        """Moduli of the wavelets of every channel: [B, C, h, w] to [B, C * ORIENTATIONS, h, w]."""
        batch, channels, height, width = x.shape
        flat = x.reshape(batch * channels, 1, height, width)
        edge = FILTER_PX // 2
        flat = functional.pad(flat, (edge, edge, edge, edge), mode="reflect")
        waves = functional.conv2d(flat, self.wavelets)
        real, imaginary = waves[:, :ORIENTATIONS], waves[:, ORIENTATIONS:]
        moduli = (real.square() + imaginary.square() + FLOOR**2).sqrt()
        return moduli.reshape(batch, channels * ORIENTATIONS, *moduli.shape[2:])

    def _smoothed(self, x: Tensor, stride: int = 1) -> Tensor:
        channels = x.shape[1]
        x = functional.pad(x, (2, 2, 2, 2), mode="reflect")
        return functional.conv2d(
            x, self.smooth.expand(channels, -1, -1, -1), stride=stride, groups=channels
        )

    def _halved(self, x: Tensor) -> Tensor:
        """Smoothed, and every other pixel left out."""
        return self._smoothed(x, stride=2)


def _morlets() -> Tensor:
    """Morlet wavelets, real parts and then imaginary ones: [2 * ORIENTATIONS, 1, px, px]."""
    axis = torch.arange(FILTER_PX, dtype=torch.float32) - FILTER_PX // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    parts: list[Tensor] = []
    for number in range(ORIENTATIONS):
        angle = math.pi * number / ORIENTATIONS
        along = x * math.cos(angle) + y * math.sin(angle)
        across = -x * math.sin(angle) + y * math.cos(angle)
        envelope = torch.exp(-0.5 * (along.square() + (across * SLANT).square()) / SIGMA_PX**2)
        wave = envelope * torch.exp(1j * WAVE_NUMBER * along)
        # Without its mean, or the modulus would also measure the brightness.
        wave = wave - envelope * (wave.sum() / envelope.sum())
        parts.append(wave / wave.abs().sum())
    waves = torch.stack(parts)[:, None]
    return torch.cat([waves.real, waves.imag]).contiguous()


def _shape(x: Tensor) -> Tensor:
    """Of the pixels' distribution, [B, 3]: log deviation, skewness, log kurtosis.

    Bright edges and dark holes differ in the sign of the skewness.
    """
    centred = x - x.mean(dim=(1, 2, 3), keepdim=True)
    square = centred.square()
    variance = square.mean(dim=(1, 2, 3)).add(FLOOR**2)
    skewness = (square * centred).mean(dim=(1, 2, 3)) / variance**1.5
    kurtosis = square.square().mean(dim=(1, 2, 3)) / variance**2
    return torch.stack([0.5 * variance.log(), skewness, kurtosis.add(FLOOR).log()], dim=1)
