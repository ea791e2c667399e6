"""One page of a TIFF -> its pixels.

Every strip or tile is unpacked alone and into no more room than the page's own size gives it, so
that a few bytes cannot fill the memory.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from lotwise.core.errors import InvalidTile
from lotwise.core.limits import MAX_BYTES_A_PIXEL, check_size, truncated
from lotwise.core.tiff_structure import Directory

NONE: Final = 1
LZW: Final = 5
DEFLATE: Final = (8, 32946)
PACKBITS: Final = 32773
COMPRESSIONS: Final = {
    NONE: "uncompressed",
    LZW: "LZW",
    DEFLATE[0]: "Deflate",
    DEFLATE[1]: "Deflate",
    PACKBITS: "PackBits",
}
_KINDS: Final = {1: "u", 2: "i", 3: "f", 4: "u"}
_HORIZONTAL: Final = 2
_FLOATING: Final = 3
# Padded tiles may hold more pixels than the picture, but not arbitrarily more.
_MAX_PADDING: Final = 4
# Pillow warns of larger pictures. A tile in one such strip does not occur.
_MAX_LIBTIFF_BYTES: Final = 2**26


@dataclass(frozen=True)
class Layout:
    """How the pixels of a page lie in the file.

    Attributes:
        width, height: Of the picture.
        samples: Channels.
        dtype: Of one sample, in the file's byte order.
        chunk_width, chunk_height: Of a strip or tile.
        tiled: Whether `chunk_*` are tiles, which are padded at the edges.
        planes: Channels that lie apart, one after another; 1 where they are interleaved.
    """

    width: int
    height: int
    samples: int
    dtype: np.dtype[Any]
    chunk_width: int
    chunk_height: int
    tiled: bool
    planes: int
    compression: int
    predictor: int

    @property
    def depth(self) -> int:
        """Samples of a pixel that lie together."""
        return self.samples // self.planes

    @property
    def chunks(self) -> tuple[int, int, int]:
        """How many there are: planes, down, across."""
        down = math.ceil(self.height / self.chunk_height)
        return self.planes, down, math.ceil(self.width / self.chunk_width)


def read_layout(page: Directory, max_pixels: int) -> Layout:
    """The page's layout, if it can be read within the limits.

    Raises:
        InvalidTile: TILE_TRUNCATED, TILE_DECOMPRESSION_BOMB, TILE_TOO_SMALL or
            TILE_UNSUPPORTED_FORMAT.
    """
    width, height = page.integer(256, 0), page.integer(257, 0)
    if width <= 0 or height <= 0:
        raise truncated()  # its tags break off
    check_size(width, height, max_pixels)
    samples = page.integer(277, 1)
    planes = samples if page.integer(284, 1) == 2 else 1
    tiled = 322 in page or 323 in page
    layout = Layout(
        width=width,
        height=height,
        samples=samples,
        dtype=_dtype(page),
        chunk_width=page.integer(322, 0) if tiled else width,
        chunk_height=page.integer(323, 0) if tiled else min(page.integer(278, height), height),
        tiled=tiled,
        planes=planes,
        compression=page.integer(259, NONE),
        predictor=page.integer(317, 1),
    )
    if layout.compression not in COMPRESSIONS or page.integer(266, 1) != 1:
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            "The TIFF's compression is not read. Save it uncompressed, or send PNG.",
        )
    if page.integer(32997, 1) > 1 or not 1 <= samples <= 4:
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            "The TIFF's page is not one grey or RGB picture. Send one page, one channel.",
        )
    if layout.chunk_width <= 0 or layout.chunk_height <= 0:
        raise truncated()
    _check_room(layout, max_pixels)
    return layout


def read_pixels(page: Directory, layout: Layout) -> npt.NDArray[Any]:
    """The page's samples, [height, width] or [height, width, samples], in native byte order.

    Raises:
        InvalidTile: TILE_TRUNCATED or TILE_DECOMPRESSION_BOMB.
    """
    offsets, counts = _pieces(page, layout)
    shape = (layout.height, layout.width, layout.samples)
    pixels = np.empty(shape, dtype=layout.dtype.newbyteorder("="))
    planes, down, across = layout.chunks
    for index in range(planes * down * across):
        plane, row, column = np.unravel_index(index, (planes, down, across))
        top, left = int(row) * layout.chunk_height, int(column) * layout.chunk_width
        rows = min(layout.chunk_height, layout.height - top)
        columns = min(layout.chunk_width, layout.width - left)
        start = offsets[index]
        piece = page.data[start : start + counts[index]]
        if len(piece) != counts[index]:
            raise truncated()
        chunk = _chunk(piece, layout, layout.chunk_height if layout.tiled else rows)
        depths = slice(int(plane), int(plane) + 1) if planes > 1 else slice(None)
        pixels[top : top + rows, left : left + columns, depths] = chunk[:rows, :columns]
    return pixels[..., 0] if layout.samples == 1 else pixels


def _dtype(page: Directory) -> np.dtype[Any]:
    bits = page.integers(258)
    depths = set(bits.tolist()) if bits is not None else {1}
    formats = page.integers(339)
    kinds = set(formats.tolist()) if formats is not None else {1}
    if len(depths) == 1 and len(kinds) == 1:
        depth, kind = depths.pop(), _KINDS.get(kinds.pop(), "")
        if kind and depth in ((16, 32, 64) if kind == "f" else (8, 16, 32, 64)):
            return np.dtype(f"{page.order}{kind}{depth // 8}")
    raise InvalidTile(
        "TILE_UNSUPPORTED_FORMAT",
        "The TIFF's type of pixels is not read. Send 8 or 16 bits, or float32.",
    )


def _check_room(layout: Layout, max_pixels: int) -> None:
    picture = layout.width * layout.height * layout.samples * layout.dtype.itemsize
    padded = math.prod(layout.chunks) * layout.chunk_width * layout.chunk_height
    if (
        picture > MAX_BYTES_A_PIXEL * max_pixels
        or padded > _MAX_PADDING * max(max_pixels, layout.planes * layout.width * layout.height)
    ):  # fmt: skip
        raise InvalidTile(
            "TILE_DECOMPRESSION_BOMB",
            "The TIFF unpacks to far more than a tile. Save it anew with 8 or 16 bits.",
        )


def _pieces(page: Directory, layout: Layout) -> tuple[list[int], list[int]]:
    """Where each strip or tile begins and how many bytes it has.

    A missing piece is not filled with black: a part of the picture would be lost unnoticed.
    """
    tiled = layout.tiled and 324 in page
    offsets = page.integers(324 if tiled else 273)
    counts = page.integers(325 if tiled else 279)
    wanted = math.prod(layout.chunks)
    if offsets is None or len(offsets) != wanted:
        raise truncated()
    if counts is None and layout.compression == NONE and wanted == 1:
        counts = np.array([layout.width * layout.height * layout.samples * layout.dtype.itemsize])
    if counts is None or len(counts) != wanted or not counts.all() or not offsets.all():
        raise truncated()
    return offsets.tolist(), counts.tolist()


def _chunk(piece: bytes, layout: Layout, rows: int) -> npt.NDArray[Any]:
    """One strip or tile, [rows, chunk_width, depth]."""
    row_bytes = layout.chunk_width * layout.depth * layout.dtype.itemsize
    wanted = rows * row_bytes
    if layout.compression == NONE:
        raw = piece
    elif layout.compression in DEFLATE:
        raw = _inflate(piece, layout.chunk_height * row_bytes)
    else:
        raw = _unpack_with_libtiff(piece, layout.compression, row_bytes, rows)
    if len(raw) < wanted:
        raise truncated()
    shape = (rows, layout.chunk_width, layout.depth)
    if layout.compression != NONE and layout.predictor == _FLOATING:
        return _undo_floating(np.frombuffer(raw, np.uint8, wanted), shape, layout.dtype.itemsize)
    values = np.frombuffer(raw, layout.dtype, wanted // layout.dtype.itemsize).reshape(shape)
    if layout.compression != NONE and layout.predictor == _HORIZONTAL:
        unsigned = np.dtype(f"u{layout.dtype.itemsize}")
        steps = values.astype(layout.dtype.newbyteorder("=")).view(unsigned)
        return np.cumsum(steps, axis=1, dtype=unsigned).view(layout.dtype.newbyteorder("="))
    return values


def _inflate(piece: bytes, room: int) -> bytes:
    raw = zlib.decompressobj().decompress(piece, room + 1)
    if len(raw) > room:
        raise _bomb()
    return raw


def _bomb() -> InvalidTile:
    return InvalidTile(
        "TILE_DECOMPRESSION_BOMB",
        "A piece of the TIFF unpacks to too much. Save it anew in strips, or send PNG.",
    )


def _unpack_with_libtiff(piece: bytes, compression: int, row_bytes: int, rows: int) -> bytes:
    """LZW or PackBits: the bytes as a plain 8-bit picture in a TIFF made up around them.

    Pillow's libtiff then fills exactly rows x row_bytes, of whatever type the samples are.
    """
    if rows * row_bytes > _MAX_LIBTIFF_BYTES:
        raise _bomb()
    after = 8 + 2 + 9 * 12 + 4
    entries = (
        (256, row_bytes),
        (257, rows),
        (258, 8),
        (259, compression),
        (262, 1),
        (273, after),
        (277, 1),
        (278, rows),
        (279, len(piece)),
    )
    header = struct.pack("<4sIH", b"II*\x00", 8, len(entries))
    for code, value in entries:
        header += struct.pack("<HHII", code, 4, 1, value)
    with Image.open(io.BytesIO(header + bytes(4) + piece), formats=("TIFF",)) as picture:
        return picture.tobytes()


def _undo_floating(
    raw: npt.NDArray[np.uint8], shape: tuple[int, int, int], itemsize: int
) -> npt.NDArray[Any]:
    """Differences of bytes, the bytes of equal weight side by side: Adobe's TIFF Tech Note 3."""
    rows, width, depth = shape
    steps = raw.reshape(rows, width * itemsize, depth)
    planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(rows, itemsize, width * depth)
    together = np.ascontiguousarray(planes.transpose(0, 2, 1))
    return together.view(f">f{itemsize}").reshape(shape)
