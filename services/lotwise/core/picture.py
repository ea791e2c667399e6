"""Pixels as a file holds them, before anybody has said which value is white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from lotwise.core.tiff_structure import Directory


@dataclass(frozen=True)
class Picture:
    """The picture of a file.

    Attributes:
        pixels: [height, width] or [height, width, 1 | 3 | 4], upright.
        format: For people: "TIFF (LZW, 16 bit)".
        inverted: Zero is white.
        full_scale: The largest value by the file's stated bit depth; None where it states none.
        um_per_px: Edge length of a pixel by the file's own format (PNG's pHYs); else None.
        page: The tags of a TIFF's page.
    """

    pixels: npt.NDArray[Any]
    format: str
    inverted: bool = False
    full_scale: int | None = None
    um_per_px: float | None = None
    page: Directory | None = None


def upright(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Turn and flip as the orientation of TIFF and EXIF says: the data bar goes to the bottom."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
