"""Pixels of any type -> uint8 grey.

Which value is white?

- Unsigned 8 and 16 bits: the largest that the type holds, unless the file states a smaller bit
  depth (a detector of 12 bits saves 0 to 4095).
- Float: 1. Other ranges are refused, as nobody says what they mean.
- Signed, or wider than 16 bits: no full scale is agreed on. Software makes such files by
  averaging, adding or resampling frames. The picture's own minimum becomes black, its maximum
  white, as viewers for microscopists show it. Grey levels of two such tiles can therefore not be
  compared, so the result says that it was stretched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.errors import InvalidTile
from lotwise.core.tile import Grey

# ITU-R BT.601 luma, as Pillow's "L": a grey picture saved as RGB stays as it is.
_LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_BLOCK_PIXELS: Final = 2**20


@dataclass(frozen=True)
class GreyScale:
    """Which values of a picture are black and white.

    Attributes:
        black: Becomes 0.
        white: Becomes 255.
        stretched: They were taken from the picture itself.
    """

    black: float
    white: float
    stretched: bool = False


def to_grey(pixels: npt.NDArray[Any], full_scale: int | None = None) -> Grey:
    """Grey or RGB(A) of any numeric type -> uint8 grey, by the rules above.

    Args:
        pixels: [height, width] or [height, width, 1 | 3 | 4]; alpha is ignored.
        full_scale: The largest value by the file's stated bit depth; ignored where a pixel is
            above it.

    Raises:
        InvalidTile: TILE_UNSUPPORTED_FORMAT, TILE_NOT_FINITE, TILE_VALUE_RANGE.
    """
    return apply_scale(pixels, grey_scale(pixels, full_scale))


def grey_scale(pixels: npt.NDArray[Any], full_scale: int | None = None) -> GreyScale:
    """Which values are black and white; arguments and errors as `to_grey`."""
    check_shape(pixels.shape)
    colours = pixels[..., :3] if pixels.ndim == 3 else pixels
    kind, bits = pixels.dtype.kind, 8 * pixels.dtype.itemsize
    if kind == "f":
        _check_floats(colours)
        return GreyScale(0.0, 1.0)
    if kind not in "ui":
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            f"Pixels of type {pixels.dtype} are not read. Send 8 or 16 bits, or float32.",
        )
    unsigned = kind == "u" and bits <= 16
    if unsigned and full_scale is None:
        return GreyScale(0.0, float(2**bits - 1))
    low, high = float(colours.min()), float(colours.max())
    if full_scale is not None and low >= 0 and high <= full_scale:
        return GreyScale(0.0, float(full_scale))
    if unsigned:
        return GreyScale(0.0, float(2**bits - 1))
    return GreyScale(low, high, stretched=True)


def apply_scale(pixels: npt.NDArray[Any], scale: GreyScale) -> Grey:
    """Pixels as `to_grey` takes them -> uint8 grey [height, width]."""
    height, width = pixels.shape[:2]
    if pixels.dtype == np.uint8 and pixels.ndim == 2 and (scale.black, scale.white) == (0.0, 255.0):
        return pixels
    grey = np.empty((height, width), dtype=np.uint8)
    # Wide integers do not fit into single precision.
    working = np.dtype(np.float64 if pixels.dtype.itemsize > 2 else np.float32)
    factor = 255.0 / (scale.white - scale.black) if scale.white > scale.black else 0.0
    step = max(1, _BLOCK_PIXELS // max(1, width))  # floats of the whole picture would be large
    for top in range(0, height, step):
        block = pixels[top : top + step]
        colours = block[..., :3] if block.ndim == 3 else block
        levels: npt.NDArray[Any] = colours.astype(working)
        levels -= scale.black
        levels *= factor
        if levels.ndim == 3:
            levels = levels @ _LUMA if levels.shape[2] == 3 else levels[..., 0]
        grey[top : top + step] = np.rint(np.clip(levels, 0, 255)).astype(np.uint8)
    return grey


def check_shape(shape: tuple[int, ...]) -> None:
    """Refuse what is not one grey or RGB(A) picture.

    Raises:
        InvalidTile: TILE_UNSUPPORTED_FORMAT.
    """
    if len(shape) != 2 and not (len(shape) == 3 and shape[2] in (1, 3, 4)):
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            f"An image of shape {shape} is not one grey or RGB picture. "
            "Send one page, one channel.",
        )


def _check_floats(values: npt.NDArray[Any]) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = np.float32(values.min()), np.float32(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InvalidTile(
            "TILE_NOT_FINITE",
            "The tile holds NaN or infinite values. Replace or crop them before sending.",
        )
    if low < 0.0 or high > 1.0:
        raise InvalidTile(
            "TILE_VALUE_RANGE",
            f"Float pixels must lie within 0 to 1; these span {low:g} to {high:g}. "
            "Scale them by the detector's range.",
        )
