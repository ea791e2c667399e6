"""The scale rule: crop and resample a tile to the field of view that a model has learned.

A model sees a fixed physical field. A tile whose scale is known is cropped to that field
about its centre and resampled; nothing is stretched to fit. Both sides, training and
serving, resample with the one function here. Scaling of grey levels is in the networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise.core.errors import InvalidTile, WrongMagnification
from lotwise.core.quality import Quality, assess_quality, require_signal
from lotwise.core.signature import TileGeometry
from lotwise.core.tile import DecodedTile, Grey

# A field of 255 um serves a model of 256 um; 10% coarser pixels still carry its detail.
FIELD_TOLERANCE: Final = 0.01
RESOLUTION_TOLERANCE: Final = 0.10


@dataclass(frozen=True)
class PreparedTile:
    """A tile as a model takes it.

    Attributes:
        image: uint8 [1, 1, px, px], a batch of one.
        quality: Of the picture as it came, before any cropping.
    """

    image: npt.NDArray[np.uint8]
    quality: Quality


def prepare(tile: DecodedTile, geometry: TileGeometry) -> PreparedTile:
    """Judge the picture and fit it to a model.

    Raises:
        InvalidTile: TILE_BLACK, TILE_SATURATED, or as `fit_to_model`.
        WrongMagnification: As `fit_to_model`.
    """
    quality = assess_quality(tile.grey)
    require_signal(quality)
    return PreparedTile(fit_to_model(tile, geometry)[None, None], quality)


def fit_to_model(tile: DecodedTile, geometry: TileGeometry) -> Grey:
    """Crop to the model's field of view and resample to its pixels.

    Args:
        tile: Any size, scale known.
        geometry: What the model states of itself.

    Returns:
        uint8 [geometry.px, geometry.px].

    Raises:
        InvalidTile: TILE_SCALE_UNKNOWN.
        WrongMagnification: The field is too small or the pixels too coarse.
    """
    if tile.um_per_px is None:
        raise InvalidTile(
            "TILE_SCALE_UNKNOWN",
            "The file does not say how long a pixel is. State um_per_px with the tile.",
        )
    if not np.isfinite(tile.um_per_px) or tile.um_per_px <= 0:
        raise InvalidTile(
            "TILE_SCALE_INVALID",
            f"um_per_px must be a positive number of micrometres, not {tile.um_per_px}.",
        )
    if tile.um_per_px > geometry.um_per_px * (1 + RESOLUTION_TOLERANCE):
        raise WrongMagnification(
            f"A pixel of {tile.um_per_px:g} um is too coarse: the model reads detail of "
            f"{geometry.um_per_px:g} um. Scan at a higher magnification."
        )
    field_um = min(tile.grey.shape) * tile.um_per_px
    if field_um < geometry.field_of_view_um * (1 - FIELD_TOLERANCE):
        raise WrongMagnification(
            f"The tile shows {field_um:.1f} um; the model needs {geometry.field_of_view_um:.1f} "
            "um. Scan at a lower magnification or send a larger tile."
        )
    return resample_area(_centre_crop(tile.grey, field_px(tile, geometry)), geometry.px)


def field_px(tile: DecodedTile, geometry: TileGeometry) -> int:
    """Edge of the model's field of view in the tile's own pixels."""
    if tile.um_per_px is None:
        raise InvalidTile("TILE_SCALE_UNKNOWN", "The tile's scale is unknown.")
    height, width = tile.grey.shape
    return int(min(round(geometry.field_of_view_um / tile.um_per_px), height, width))


def resample_area(grey: Grey, px: int) -> Grey:
    """Area-average a square picture to `px` x `px`, rounded to whole grey levels.

    A pixel of the result is the mean of the area that it covers, as a detector with larger
    pixels would see it. Exact block means where the factor is whole.

    Args:
        grey: uint8 [n, n].
        px: Edge of the result.

    Returns:
        uint8 [px, px].
    """
    n = grey.shape[0]
    if grey.shape != (n, n):
        raise ValueError(f"the picture must be square, not {grey.shape}")
    if n == px:
        return grey
    if n % px == 0:
        blocks = grey.reshape(px, n // px, px, n // px).astype(np.float32)
        return _to_levels(blocks.mean(axis=(1, 3)))
    weights = _area_weights(n, px)
    return _to_levels(weights @ grey.astype(np.float32) @ weights.T)


def _area_weights(n: int, px: int) -> npt.NDArray[np.float32]:
    """Share of each of `n` pixels in each of `px` larger ones, [px, n]; every row sums to 1."""
    edges = np.linspace(0, n, px + 1)
    left = np.arange(n)
    overlap = np.minimum(edges[1:, None], left + 1) - np.maximum(edges[:-1, None], left)
    shares: npt.NDArray[np.float32] = (np.maximum(overlap, 0) * (px / n)).astype(np.float32)
    return shares


def _centre_crop(grey: Grey, px: int) -> Grey:
    top, left = (grey.shape[0] - px) // 2, (grey.shape[1] - px) // 2
    return grey[top : top + px, left : left + px]


def _to_levels(values: npt.NDArray[np.float32]) -> Grey:
    levels: Grey = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return levels
