"""Made-up pictures that show no lot, on which the committee learns not to be sure.

A network that was trained on crystals alone is confident about whatever is not crystals: before
this, the committee was surer of photographs than of its own lots (AUROC of entropy 0.2). Outlier
exposure (Hendrycks, Mazeika & Dietterich, ICLR 2019) adds pictures whose wanted answer is the
uniform distribution. Ours are drawn by formula, so that nothing of what the committee is tested
on, or may meet, enters the training: no photograph, no unseen lot, no other instrument.

- Dead leaves: opaque shapes of power-law size that hide one another, flat, shaded or textured.
  The simplest model with the statistics of photographs (Lee, Mumford & Huang, IJCV 2001).
- Coloured noise: random phases under a power-law spectrum, from white noise to smooth clouds.
- Scrambled tiles: a training tile's own spectrum with random phases; crystals' grain, no crystal.
- Negatives: a training tile with bright and dark exchanged.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

# Half of all are dead leaves: the only kind with edges and occlusion, which photographs are made of
# and which look most like crystals.
KINDS: Final = ("leaves", "noise", "leaves", "scrambled", "leaves", "negative")
LEAVES: Final = 150
"""Shapes a picture: enough to cover it several times over."""


def outlier_tiles(n: int, tiles: Images, seed: int) -> Images:
    """Draw `n` outliers, the kinds in turn.

    Args:
        n: How many.
        tiles: Training tiles, uint8 [N, px, px], for the scrambled ones and the negatives.
        seed: Of everything random.

    Returns:
        uint8 [n, px, px].
    """
    rng = np.random.default_rng(seed)
    px = tiles.shape[1]
    outliers = np.empty((n, px, px), dtype=np.uint8)
    for index in range(n):
        kind = KINDS[index % len(KINDS)]
        tile = tiles[rng.integers(len(tiles))]
        if kind == "negative":
            outliers[index] = 255 - tile
        elif kind == "scrambled":
            spectrum = np.abs(np.fft.rfft2(tile - tile.mean()))
            outliers[index] = _exposed(_random_phases(spectrum, px, rng), rng)
        elif kind == "noise":
            outliers[index] = _exposed(_coloured_noise(px, rng), rng)
        else:
            outliers[index] = _exposed(_dead_leaves(px, rng), rng)
    return outliers


def _exposed(picture: Floats, rng: np.random.Generator) -> Images:
    """Bring a picture to a random brightness and contrast, clipped to grey levels as a camera."""
    standard = (picture - picture.mean()) / (picture.std() + 1e-9)
    grey = rng.uniform(60.0, 190.0) + rng.uniform(15.0, 80.0) * standard
    levels: Images = np.rint(grey.clip(0.0, 255.0)).astype(np.uint8)
    return levels


def _random_phases(amplitude: Floats, px: int, rng: np.random.Generator) -> Floats:
    """A picture [px, px] with this amplitude spectrum [px, px // 2 + 1] and random phases."""
    phases = np.angle(np.fft.rfft2(rng.standard_normal((px, px))))
    return np.fft.irfft2(amplitude * np.exp(1j * phases), s=(px, px))


def _coloured_noise(px: int, rng: np.random.Generator) -> Floats:
    """Noise whose amplitude falls as frequency^-a; a = 0 is white, 1 photographs, 2 clouds."""
    rows = np.fft.fftfreq(px)[:, None] / rng.uniform(0.4, 1.0)
    columns = np.fft.rfftfreq(px)[None, :] / rng.uniform(0.4, 1.0)
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf
    return _random_phases(frequency ** -rng.uniform(0.0, 2.2), px, rng)


def _dead_leaves(px: int, rng: np.random.Generator) -> Floats:
    """Shapes laid on one another; each an ellipse, a box or a stripe with a grey of its own."""
    y, x = np.mgrid[0:px, 0:px].astype(np.float64)
    picture = _coloured_noise(px, rng)
    picture /= picture.std() + 1e-9
    smallest, largest = rng.uniform(1.5, 4.0), rng.uniform(0.3, 1.0) * px
    for _ in range(rng.integers(5, LEAVES)):
        # Density of radii ~ r^-3: the one law that looks the same at every magnification.
        share = rng.random()
        radius = 1.0 / np.sqrt(share / smallest**2 + (1.0 - share) / largest**2)
        angle, flattening = rng.uniform(0.0, np.pi), rng.uniform(0.15, 1.0)
        dy, dx = y - rng.uniform(0.0, px), x - rng.uniform(0.0, px)
        along = (dx * np.cos(angle) + dy * np.sin(angle)) / radius
        across = (dy * np.cos(angle) - dx * np.sin(angle)) / (radius * flattening)
        if rng.random() < 0.5:
            inside = along**2 + across**2 < 1.0
        else:
            inside = np.maximum(np.abs(along), np.abs(across)) < 1.0
        slope, texture = rng.normal(0.0, 0.4), rng.uniform(0.0, 0.3)
        leaf = rng.normal() + slope * along + texture * rng.standard_normal((px, px))
        picture = np.where(inside, leaf, picture)
    # Edges as sharp as a drawing's would give them away; lenses and resampling soften.
    return gaussian_filter(picture, rng.uniform(0.0, 1.2))
