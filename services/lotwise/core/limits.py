"""What a picture may measure, and the refusals that every format shares."""

from __future__ import annotations

from typing import Final

from lotwise.core.errors import InvalidTile

MAX_FILE_BYTES: Final = 32 * 2**20
MAX_PIXELS: Final = 64 * 10**6
MIN_EDGE_PX: Final = 16
# A file may unpack to this many bytes for each pixel of the limit: RGBA, or single precision.
MAX_BYTES_A_PIXEL: Final = 4


def check_bytes(n: int, limit: int) -> None:
    """Refuse a file or raw pixels of more bytes than `limit`.

    Raises:
        InvalidTile: TILE_TOO_LARGE.
    """
    if n > limit:
        raise InvalidTile(
            "TILE_TOO_LARGE",
            f"The tile has {n / 2**20:.1f} MiB; the limit is {limit / 2**20:.1f} MiB. "
            "Crop it to one field of view.",
        )


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture by its size in pixels, before any pixel is unpacked.

    Raises:
        InvalidTile: TILE_DECOMPRESSION_BOMB or TILE_TOO_SMALL.
    """
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


def truncated() -> InvalidTile:
    """The refusal of a file that is not whole."""
    return InvalidTile(
        "TILE_TRUNCATED",
        "The file breaks off or is damaged. Wait until it is written, or copy it again.",
    )


def cmyk() -> InvalidTile:
    """The refusal of a printer's colours."""
    return InvalidTile(
        "TILE_UNSUPPORTED_FORMAT",
        "CMYK is a printer's picture, not an instrument's. Send the original file.",
    )
