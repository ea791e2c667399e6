"""TIFF and BigTIFF: which page is the picture, and what its samples mean."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.errors import InvalidTile
from lotwise.core.limits import cmyk, truncated
from lotwise.core.picture import Picture, upright
from lotwise.core.tiff_pixels import COMPRESSIONS, read_layout, read_pixels
from lotwise.core.tiff_structure import Directory, directories

_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _SEPARATED = 0, 1, 2, 3, 5
_REDUCED: Final = 0b101  # NewSubfileType: a smaller copy, or a mask
_OLD_REDUCED: Final = 2
# A page of at most half the picture's pixels is a preview of it.
_PREVIEW_SHARE: Final = 0.5
_ALPHA: Final = (1, 2)
_IMAGEJ_STACK: Final = re.compile(rb"^images=0*([1-9]\d*)", re.MULTILINE)


def read_tiff(data: bytes, max_pixels: int) -> Picture:
    """The picture of a TIFF; nothing of a header is read but what its pixels need.

    Args:
        data: The whole file; begins with one of `tiff_structure.MAGIC`.
        max_pixels: Larger pictures are refused before their pixels are unpacked.

    Raises:
        InvalidTile: TILE_TRUNCATED, TILE_UNSUPPORTED_FORMAT, TILE_SEVERAL_PAGES,
            TILE_DECOMPRESSION_BOMB or TILE_TOO_SMALL.
    """
    page = _picture_page(data)
    colours = page.integer(262, _MIN_IS_BLACK)
    layout = read_layout(page, max_pixels)
    _check_colours(page, colours, layout.samples)
    pixels = read_pixels(page, layout)
    if colours == _PALETTE:
        pixels = _look_up(page, pixels)
    elif pixels.ndim == 3 and pixels.shape[2] == 2:
        pixels = pixels[..., 0]
    bits = 8 * layout.dtype.itemsize
    return Picture(
        pixels=upright(pixels, page.integer(274, 1)),
        format=f"TIFF ({COMPRESSIONS[layout.compression]}, {_type_name(layout.dtype.kind, bits)})",
        inverted=colours == _MIN_IS_WHITE,
        full_scale=_full_scale(page, bits),
        page=page,
    )


def _picture_page(data: bytes) -> Directory:
    """The one page that is not a preview of another.

    Instruments write thumbnails, most of them marked as such, some not. Several pages of
    about the same size are a stack: nobody can tell which of them is the tile.
    """
    pages = list(directories(data))
    whole = [page for page in pages if not _is_reduced(page)] or pages
    picture = max(whole, key=_area)
    others = [page for page in whole if page is not picture]
    if any(_area(page) > _PREVIEW_SHARE * _area(picture) for page in others):
        raise _several(len(whole))
    # ImageJ describes a large stack by one page and this line.
    description = picture.text(270, 10_000)
    stack = _IMAGEJ_STACK.search(description) if description.startswith(b"ImageJ=") else None
    if stack is not None and len(stack[1]) < 10 and int(stack[1]) > 1:
        raise _several(int(stack[1]))
    return picture


def _several(pages: int) -> InvalidTile:
    return InvalidTile(
        "TILE_SEVERAL_PAGES",
        f"The TIFF holds {pages} pictures; a tile is one. Send each page as a tile of its own.",
    )


def _is_reduced(page: Directory) -> bool:
    return bool(page.integer(254, 0) & _REDUCED) or page.integer(255, 0) == _OLD_REDUCED


def _area(page: Directory) -> int:
    return max(0, page.integer(256, 0)) * max(0, page.integer(257, 0))


def _check_colours(page: Directory, colours: int, samples: int) -> None:
    if colours == _SEPARATED:
        raise cmyk()
    if colours not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE):
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            "The TIFF's colours are neither grey nor RGB. Send the instrument's original file.",
        )
    alpha = page.integer(338, 0) in _ALPHA
    allowed = (3, 4) if colours == _RGB else (1, 2) if alpha and colours != _PALETTE else (1,)
    if samples not in allowed:
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            f"A TIFF of {samples} channels is not one grey or RGB picture. Send one channel.",
        )


def _look_up(page: Directory, indices: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    table = page.integers(320)
    if table is None or len(table) % 3 or indices.dtype.kind != "u":
        raise truncated()
    # Some writers scale 8 bits by 257, some by 256: the upper byte is right for both.
    colours = (table.reshape(3, -1) >> 8).astype(np.uint8).T
    if indices.max() >= len(colours):
        raise truncated()
    return np.asarray(colours[indices])


def _full_scale(page: Directory, bits: int) -> int | None:
    """The largest value by the stated bit depth: MaxSampleValue or SMaxSampleValue.

    Some writers store the largest value that occurs; only 2^n - 1 is a bit depth.
    """
    for code in (281, 341):
        stated = page.integer(code, 0)
        if 2**8 - 1 <= stated < 2**bits - 1 and stated & (stated + 1) == 0:
            return stated
    return None


def _type_name(kind: str, bits: int) -> str:
    return f"{bits} bit" + {"i": " signed", "f": " float"}.get(kind, "")
