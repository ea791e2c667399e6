"""A picture of our own, to learn which models and which policy answer before a lot is begun."""

from __future__ import annotations

from typing import Final

import numpy as np

from lotwise.v1 import tile_pb2

PX: Final = 256
NAME: Final = "probe"


def probe_tile(um_per_px: float) -> tile_pb2.Tile:
    """Noise that is neither black nor saturated, always the same.

    Args:
        um_per_px: Edge length of a pixel in micrometres, as of the tiles that are to be screened.
    """
    pixels = np.random.default_rng(0).integers(60, 180, (PX, PX), dtype=np.uint8)
    raw = tile_pb2.RawImage(
        width=PX, height=PX, pixel_type=tile_pb2.PIXEL_TYPE_UINT8, data=pixels.tobytes()
    )
    return tile_pb2.Tile(tile_id=NAME, lot_id=NAME, um_per_px=um_per_px, raw=raw)
