"""Tiles for tests, good and bad."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from lotwise.v1 import tile_pb2


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def bomb_png(edge: int) -> bytes:
    """A PNG that claims edge x edge pixels in a few bytes; whoever unpacks it has lost."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", edge, edge, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(edge + 1))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def bad_tiles(picture: np.ndarray) -> dict[str, dict[str, Any]]:
    """Every kind of bad input, by the stable reason that it must be answered with."""
    good = png(picture)
    nan = np.full((256, 256), np.nan, dtype="<f4")
    raw = tile_pb2.RawImage(
        data=nan.tobytes(), width=256, height=256, pixel_type=tile_pb2.PIXEL_TYPE_FLOAT32
    )
    return {
        "TILE_EMPTY": {"file": b""},
        "TILE_TRUNCATED": {"file": good[: len(good) // 2]},
        "TILE_TOO_LARGE": {"file": good + b"\0" * (33 * 2**20 - len(good))},
        "TILE_DECOMPRESSION_BOMB": {"file": bomb_png(20_000)},
        "TILE_UNSUPPORTED_FORMAT": {"file": b"lot,stress\nA,1700\n", "tile_id": "wrong.png"},
        "TILE_TOO_SMALL": {"file": png(np.full((1, 1), 90, dtype=np.uint8))},
        "TILE_NOT_FINITE": {"raw": raw},
        "TILE_BLACK": {"file": png(np.zeros((256, 256), dtype=np.uint8))},
        "TILE_SATURATED": {"file": png(np.full((256, 256), 255, dtype=np.uint8))},
        "TILE_SCALE_UNKNOWN": {"um_per_px": None},
        "TILE_SCALE_INVALID": {"um_per_px": -1.0},
        "WRONG_MAGNIFICATION": {"um_per_px": 0.2},
    }


BAD_TILE_REASONS = sorted(bad_tiles(np.full((256, 256), 90, dtype=np.uint8)))


def stripes() -> np.ndarray:
    """A picture that no powder ever gave, uint8 [256, 256]."""
    return np.tile(np.repeat([40, 220], 16).astype(np.uint8), (256, 8))
