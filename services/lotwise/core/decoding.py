"""Bytes or raw pixels -> uint8 grey pixels, with a clear reason for all that cannot be read.

The content decides on the format, never a name or its extension.
"""

from __future__ import annotations

import io
import math
import warnings
import zlib
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from lotwise.core.errors import InvalidTile
from lotwise.core.tile import DecodedTile, Grey

MAX_FILE_BYTES: Final = 32 * 2**20
MAX_PIXELS: Final = 64 * 10**6
MIN_EDGE_PX: Final = 16
# Coarser than this, a resolution tag is a printer's (600 dpi is 42 um), not a microscope's.
MAX_PLAUSIBLE_UM_PER_PX: Final = 10.0

PixelType = Literal["uint8", "uint16", "float32"]
_DTYPES: Final[dict[PixelType, np.dtype[np.generic]]] = {
    "uint8": np.dtype("u1"),
    "uint16": np.dtype("<u2"),
    "float32": np.dtype("<f4"),
}
_TIFF_MAGIC: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_TIFF_PLAIN: Final = (tifffile.COMPRESSION.NONE,)
_TIFF_DEFLATE: Final = (tifffile.COMPRESSION.ADOBE_DEFLATE, tifffile.COMPRESSION.DEFLATE)
_TIFF_MIN_IS_WHITE: Final = tifffile.PHOTOMETRIC.MINISWHITE
_TIFF_PALETTE: Final = tifffile.PHOTOMETRIC.PALETTE
_TIFF_COLOURS: Final = (
    _TIFF_MIN_IS_WHITE,
    tifffile.PHOTOMETRIC.MINISBLACK,
    tifffile.PHOTOMETRIC.RGB,
    _TIFF_PALETTE,
)
_PILLOW_FORMATS: Final = ("PNG", "JPEG", "BMP")
_READABLE: Final = "PNG, JPEG, BMP or TIFF"


def decode_file(
    data: bytes, *, max_bytes: int = MAX_FILE_BYTES, max_pixels: int = MAX_PIXELS
) -> DecodedTile:
    """Read an image file.

    Args:
        data: The whole file.
        max_bytes: Larger files are refused.
        max_pixels: Larger pictures are refused before their pixels are unpacked.

    Raises:
        InvalidTile: TILE_EMPTY, TILE_TOO_LARGE, TILE_UNSUPPORTED_FORMAT, TILE_TRUNCATED,
            TILE_DECOMPRESSION_BOMB, TILE_TOO_SMALL, TILE_VALUE_RANGE, TILE_NOT_FINITE.
    """
    if not data:
        raise InvalidTile("TILE_EMPTY", "The tile has no bytes. Send the file's content.")
    _check_bytes(len(data), max_bytes)
    if data.startswith(_TIFF_MAGIC):
        return _decode_tiff(data, max_pixels)
    return _decode_with_pillow(data, max_pixels)


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

    Raises:
        InvalidTile: As `decode_file`; TILE_TRUNCATED where bytes and size disagree.
    """
    if not data:
        raise InvalidTile("TILE_EMPTY", "The tile has no pixels. Send the image's data.")
    _check_bytes(len(data), max_bytes)
    dtype = _DTYPES[pixel_type]
    expected = width * height * dtype.itemsize
    if len(data) != expected:
        raise InvalidTile(
            "TILE_TRUNCATED",
            f"{width} x {height} pixels of {pixel_type} are {expected} bytes, but {len(data)} "
            "came. Send every row, without padding.",
        )
    _check_size(width, height, max_pixels)
    pixels = np.frombuffer(data, dtype=dtype).reshape(height, width)
    return DecodedTile(to_grey(pixels), None)


def to_grey(pixels: npt.NDArray[np.generic]) -> Grey:
    """uint8, uint16 (full range) or float (0 to 1), grey or RGB(A) -> uint8 grey.

    Args:
        pixels: [height, width] or [height, width, 1 | 3 | 4].

    Raises:
        InvalidTile: TILE_UNSUPPORTED_FORMAT, TILE_NOT_FINITE, TILE_VALUE_RANGE.
    """
    _check_shape(pixels.shape)
    if pixels.dtype == np.uint8:
        levels = pixels.astype(np.float32)
    elif pixels.dtype == np.uint16:
        levels = pixels.astype(np.float32) / 257.0
    elif np.issubdtype(pixels.dtype, np.floating):
        with np.errstate(over="ignore", invalid="ignore"):
            levels = _float_levels(pixels.astype(np.float32))
    else:
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            f"Pixels of type {pixels.dtype} are not read. Send uint8, uint16 or float32.",
        )
    if levels.ndim == 3 and levels.shape[2] > 1:
        # ITU-R BT.601 luma, as Pillow's "L": a grey picture saved as RGB stays as it is.
        levels = levels[..., :3] @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    elif levels.ndim == 3:
        levels = levels[..., 0]
    return np.rint(levels).astype(np.uint8)


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 and not (len(shape) == 3 and shape[2] in (1, 3, 4)):
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            f"An image of shape {shape} is not one grey or RGB picture. "
            "Send one page, one channel.",
        )


def _float_levels(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise InvalidTile(
            "TILE_NOT_FINITE",
            "The tile holds NaN or infinite values. Replace or crop them before sending.",
        )
    if values.min() < 0.0 or values.max() > 1.0:
        raise InvalidTile(
            "TILE_VALUE_RANGE",
            f"Float pixels must lie within 0 to 1; these span {values.min():g} to "
            f"{values.max():g}. Scale them by the detector's range.",
        )
    return values * np.float32(255.0)


def _check_bytes(n: int, limit: int) -> None:
    if n > limit:
        raise InvalidTile(
            "TILE_TOO_LARGE",
            f"The tile has {n / 2**20:.1f} MiB; the limit is {limit / 2**20:.1f} MiB. "
            "Crop it to one field of view.",
        )


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise InvalidTile(
            "TILE_DECOMPRESSION_BOMB",
            f"{width} x {height} pixels are more than the limit of {max_pixels}. "
            "Crop the picture to one field of view.",
        )
    if min(width, height) < MIN_EDGE_PX:
        raise InvalidTile(
            "TILE_TOO_SMALL",
            f"A tile of {width} x {height} pixels shows nothing; {MIN_EDGE_PX} x {MIN_EDGE_PX} "
            "is the least. Send the whole tile.",
        )


def _decode_with_pillow(data: bytes, max_pixels: int) -> DecodedTile:
    with warnings.catch_warnings():
        # The limit below is ours and stricter than the one that Pillow warns of.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
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
    _check_size(*picture.size, max_pixels)
    if picture.mode == "CMYK":
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            "CMYK is a printer's picture, not an instrument's. Send the original file.",
        )
    um_per_px = _png_scale(picture)
    try:
        if picture.mode in ("I;16", "I;16B", "I"):
            pixels = np.asarray(picture.convert("I")).astype(np.uint16)
        else:
            # A palette's transparency has its place in RGBA alone; alpha is dropped below.
            pixels = np.asarray(picture.convert("RGBA" if picture.mode == "P" else "RGB"))
    except Exception:
        raise _truncated() from None
    return DecodedTile(to_grey(pixels), um_per_px)


def _png_scale(picture: Image.Image) -> float | None:
    """A PNG's pHYs chunk in pixels per metre, if it can be a microscope's."""
    dpi = picture.info.get("dpi") if picture.format == "PNG" else None
    if not dpi or not math.isclose(dpi[0], dpi[1], rel_tol=1e-3) or dpi[0] <= 0:
        return None
    um_per_px = 25_400.0 / float(dpi[0])
    return um_per_px if um_per_px <= MAX_PLAUSIBLE_UM_PER_PX else None


def _decode_tiff(data: bytes, max_pixels: int) -> DecodedTile:
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            page = tiff.pages.first
            if not page.imagewidth or not page.imagelength:
                raise _truncated()  # its tags break off
            _check_size(int(page.imagewidth), int(page.imagelength), max_pixels)
            _check_tiff(page, data, max_pixels)
            pixels = np.asarray(page.asarray())
            if page.photometric == _TIFF_PALETTE:
                pixels = np.moveaxis(np.asarray(page.colormap)[:, pixels], 0, -1)
            min_is_white = page.tags.valueof("PhotometricInterpretation") == _TIFF_MIN_IS_WHITE
    except InvalidTile:
        raise
    # tifffile raises many kinds on malformed files (AttributeError and struct.error too).
    except Exception:
        raise _truncated() from None
    grey = to_grey(pixels)
    return DecodedTile(255 - grey if min_is_white else grey, None)


def _check_tiff(page: Any, data: bytes, max_pixels: int) -> None:
    """Refuse what would be misread, and what would unpack to more than it claims."""
    if page.photometric not in _TIFF_COLOURS:
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            "The TIFF's colours are neither grey nor RGB. Send the instrument's original file.",
        )
    _check_shape(page.shape)
    if page.compression not in (*_TIFF_PLAIN, *_TIFF_DEFLATE):
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            "The TIFF's compression is not read. Save it uncompressed, or send PNG.",
        )
    if page.is_contiguous:
        return
    pieces = tuple(zip(page.dataoffsets, page.databytecounts, strict=True))
    if len(pieces) != math.prod(page.chunked) or not all(length for _, length in pieces):
        raise _truncated()  # tifffile would leave the missing pieces black
    if page.compression in _TIFF_PLAIN:
        return
    # Deflate unpacks to a thousand times its size, and tifffile sets it no limit.
    values = math.prod(page.chunks)
    room = values * page.dtype.itemsize
    bomb = values > 4 * max_pixels
    for start, length in pieces:
        piece = data[start : start + length]
        if bomb or len(zlib.decompressobj().decompress(piece, room + 1)) > room:
            raise InvalidTile(
                "TILE_DECOMPRESSION_BOMB",
                "The TIFF unpacks to more than its picture. Save it anew, or send PNG.",
            )


def _unreadable_or_truncated(data: bytes) -> InvalidTile:
    known = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")
    if data.startswith(known):
        return _truncated()
    return InvalidTile(
        "TILE_UNSUPPORTED_FORMAT",
        f"The bytes are no {_READABLE} file, whatever its name says. Send one of these.",
    )


def _truncated() -> InvalidTile:
    return InvalidTile(
        "TILE_TRUNCATED",
        "The file breaks off or is damaged. Wait until it is written, or copy it again.",
    )
