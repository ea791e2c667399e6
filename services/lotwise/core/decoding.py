"""Bytes or raw pixels -> uint8 grey pixels, with a clear reason for all that cannot be read.

The content decides on the format, never a name or its extension. Who reads what: TIFF, with its
many types of pixels, is read here (`tiff`), Pillow reads PNG, JPEG and BMP.
"""

from __future__ import annotations

import io
import logging
import math
import warnings
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from lotwise.core.data_bar import find_data_bar
from lotwise.core.errors import InvalidTile
from lotwise.core.grey import apply_scale, grey_scale, to_grey
from lotwise.core.instrument_files import generic, read_page
from lotwise.core.instrument_files.header import SQUARE_TOLERANCE, Header
from lotwise.core.limits import (
    MAX_FILE_BYTES,
    MAX_PIXELS,
    MIN_EDGE_PX,
    check_bytes,
    check_size,
    cmyk,
    truncated,
)
from lotwise.core.picture import Picture, upright
from lotwise.core.tiff import read_tiff
from lotwise.core.tiff_structure import MAGIC as TIFF_MAGIC
from lotwise.core.tiff_structure import directories
from lotwise.core.tile import DecodedTile

PixelType = Literal["uint8", "uint16", "float32"]
_DTYPES: Final[dict[PixelType, np.dtype[np.generic]]] = {
    "uint8": np.dtype("u1"),
    "uint16": np.dtype("<u2"),
    "float32": np.dtype("<f4"),
}
_PILLOW_FORMATS: Final = ("PNG", "JPEG", "BMP")
# A stereo camera's JPEG has a name of its own.
_NAMES: Final = {"PNG": "PNG", "JPEG": "JPEG", "MPO": "JPEG", "BMP": "BMP"}
_READABLE: Final = "PNG, JPEG, BMP or TIFF"
_ORIENTATION: Final = 274
_EXIF: Final = b"Exif\x00\x00"
_TYPES: Final = {"1": "1 bit", "L": "8 bit", "LA": "8 bit", "P": "palette", "I": "16 bit"}

# Pillow writes each tag's value to its debug log, and headers name people.
logging.getLogger("PIL.TiffImagePlugin").addFilter(lambda record: False)


def decode_file(
    data: bytes, *, max_bytes: int = MAX_FILE_BYTES, max_pixels: int = MAX_PIXELS
) -> DecodedTile:
    """Read an image file: its pixels without the data bar, and what its header says.

    Args:
        data: The whole file.
        max_bytes: Larger files are refused.
        max_pixels: Larger pictures are refused before their pixels are unpacked.

    Raises:
        InvalidTile: TILE_EMPTY, TILE_TOO_LARGE, TILE_UNSUPPORTED_FORMAT, TILE_TRUNCATED,
            TILE_SEVERAL_PAGES, TILE_DECOMPRESSION_BOMB, TILE_TOO_SMALL, TILE_VALUE_RANGE,
            TILE_NOT_FINITE.
    """
    if not data:
        raise InvalidTile("TILE_EMPTY", "The tile has no bytes. Send the file's content.")
    check_bytes(len(data), max_bytes)
    try:
        if data.startswith(TIFF_MAGIC):
            return _decoded(read_tiff(data, max_pixels))
        return _decoded(_read_with_pillow(data, max_pixels))
    except InvalidTile:
        raise
    # What a malformed file makes of zlib, libtiff or an array's shape is of many kinds.
    except Exception:
        raise truncated() from None


def decode_raw(
    data: bytes,
    width: int,
    height: int,
    pixel_type: PixelType,
    *,
    max_bytes: int = MAX_FILE_BYTES,
    max_pixels: int = MAX_PIXELS,
) -> DecodedTile:
    """Read pixels that came without a file: row by row from the top, little endian.

    Nothing is cropped: who takes pixels from a detector has no data bar in them.

    Raises:
        InvalidTile: As `decode_file`; TILE_TRUNCATED where bytes and size disagree.
    """
    if not data:
        raise InvalidTile("TILE_EMPTY", "The tile has no pixels. Send the image's data.")
    check_bytes(len(data), max_bytes)
    dtype = _DTYPES[pixel_type]
    expected = width * height * dtype.itemsize
    if len(data) != expected:
        raise InvalidTile(
            "TILE_TRUNCATED",
            f"{width} x {height} pixels of {pixel_type} are {expected} bytes, but {len(data)} "
            "came. Send every row, without padding.",
        )
    check_size(width, height, max_pixels)
    pixels = np.frombuffer(data, dtype=dtype).reshape(height, width)
    return DecodedTile(to_grey(pixels), None, format=f"raw {pixel_type}")


def picture_width(data: bytes) -> int | None:
    """Width in pixels without unpacking the picture; None where it cannot be read."""
    try:
        if data.startswith(TIFF_MAGIC):
            return next(directories(data)).integer(256, 0) or None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS) as picture:
                return picture.width
    except Exception:
        return None


def _decoded(picture: Picture) -> DecodedTile:
    height, width = picture.pixels.shape[:2]
    header = read_page(picture.page, width) if picture.page is not None else None
    if header is None:
        header = Header(source="PNG pHYs", um_per_px=picture.um_per_px)
    stated_bar = header.bar_of(width, height)
    pixels = _above(picture.pixels, stated_bar or 0)
    scale = grey_scale(pixels, picture.full_scale)
    grey = apply_scale(pixels, scale)
    found_bar = 0
    # A header that counts the picture's rows knows better than any search.
    if not stated_bar and not (stated_bar == 0 and header.rows is not None):
        found_bar = find_data_bar(grey)
        pixels, grey = _above(pixels, found_bar), _above(grey, found_bar)
        if found_bar and scale.stretched:  # black and white were those of the bar
            grey = apply_scale(pixels, grey_scale(pixels, picture.full_scale))
    if min(grey.shape) < MIN_EDGE_PX:
        raise InvalidTile(
            "TILE_TOO_SMALL", "Without its data bar nothing is left of the tile. Send the whole."
        )
    return DecodedTile(
        grey=np.ascontiguousarray(255 - grey if picture.inverted else grey),
        um_per_px=header.um_per_px,
        instrument=header.instrument,
        data_bar_px=(stated_bar or 0) + found_bar,
        scale_source=header.source if header.um_per_px is not None else "",
        format=picture.format,
        stretched=scale.stretched,
        doubt=header.doubt,
    )


def _above(pixels: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
    return pixels[: len(pixels) - rows]


def _read_with_pillow(data: bytes, max_pixels: int) -> Picture:
    with warnings.catch_warnings():
        # Of broken EXIF, and of a number of pixels that our own stricter limit refuses.
        warnings.simplefilter("ignore")
        try:
            picture = Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS)
        except Image.DecompressionBombError:
            raise InvalidTile(
                "TILE_DECOMPRESSION_BOMB",
                f"The picture claims more than {max_pixels} pixels. Crop it to one field of view.",
            ) from None
        # Pillow raises many kinds on malformed headers; none of them is ours to tell apart.
        except Exception:
            raise _unreadable_or_truncated(data) from None
    check_size(*picture.size, max_pixels)
    if picture.mode in ("CMYK", "YCCK"):
        raise cmyk()
    orientation = _exif_orientation(picture)
    mode = picture.mode
    if mode in ("I;16", "I;16B", "I"):
        pixels: npt.NDArray[Any] = np.asarray(picture.convert("I")).astype(np.uint16)
    elif mode in ("1", "L", "LA"):
        pixels = np.asarray(picture.convert("LA" if mode == "LA" else "L"))
        pixels = pixels[..., 0] if mode == "LA" else pixels
    else:
        # A palette's transparency has its place in RGBA alone; alpha is dropped below.
        pixels = np.asarray(picture.convert("RGBA" if mode == "P" else "RGB"))
    return Picture(
        pixels=upright(pixels, orientation),
        format=_format(picture),
        um_per_px=_png_scale(picture),
    )


def _format(picture: Image.Image) -> str:
    pixel_type = _TYPES.get(picture.mode.partition(";")[0], "colour")
    return f"{_NAMES.get(picture.format or '', '')} ({pixel_type})"


def _exif_orientation(picture: Image.Image) -> int:
    """How a JPEG must be turned, by its EXIF; read here, as it may hold names and be broken."""
    exif = picture.info.get("exif", b"") if picture.format in ("JPEG", "MPO") else b""
    body = exif.removeprefix(_EXIF) if isinstance(exif, bytes) else b""
    if not body.startswith(TIFF_MAGIC):
        return 1
    try:
        return next(directories(body)).integer(_ORIENTATION, 1)
    except InvalidTile:
        return 1


def _png_scale(picture: Image.Image) -> float | None:
    """A PNG's pHYs chunk in pixels per metre, if it can be a microscope's."""
    dpi = picture.info.get("dpi") if picture.format == "PNG" else None
    if not dpi or not math.isclose(dpi[0], dpi[1], rel_tol=SQUARE_TOLERANCE) or dpi[0] <= 0:
        return None
    um_per_px = 25_400.0 / float(dpi[0])
    return um_per_px if generic.plausible(um_per_px) else None


def _unreadable_or_truncated(data: bytes) -> InvalidTile:
    known = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")
    if data.startswith(known):
        return truncated()
    return InvalidTile(
        "TILE_UNSUPPORTED_FORMAT",
        f"The bytes are no {_READABLE} file, whatever its name says. Send one of these.",
    )
