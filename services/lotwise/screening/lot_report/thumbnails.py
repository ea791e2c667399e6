"""Small pictures of tiles with a scale bar, from the files as they are on disk now."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from lotwise.core.decoding import decode_file
from lotwise.core.errors import InvalidTile
from lotwise.core.limits import MAX_FILE_BYTES
from lotwise.core.sidecars import read_sidecar
from lotwise.core.tile import Grey
from lotwise.store import StoredTile

EDGE_PX: Final = 200
"""Longer edge of a thumbnail."""
_BAR_SHARE: Final = 0.5
"""Of the picture's width that a scale bar takes at most."""
_STEPS: Final = (1.0, 2.0, 5.0)


@dataclass(frozen=True)
class ScaleBar:
    """A length in a picture.

    Attributes:
        share: Of the picture's width, 0 to 1.
        label: Such as "50 µm".
    """

    share: float
    label: str


@dataclass(frozen=True)
class Thumbnail:
    """A tile as it is shown.

    Attributes:
        uri: A PNG as a data URI; empty where there is no picture.
        width, height: Shares of the box's edge, 0 to 1; the longer one is 1.
        bar: None where nobody knows how long a pixel is.
        missing: Why there is no picture, a sentence; empty where there is one.
    """

    uri: str
    width: float
    height: float
    bar: ScaleBar | None
    missing: str


def scale_bar(width_um: float) -> ScaleBar | None:
    """The longest bar of a round length that takes up to half of the picture's width.

    Args:
        width_um: Of the picture in micrometres.

    Returns:
        None for a width that no microscope sees.
    """
    if not (math.isfinite(width_um) and 1e-6 <= width_um <= 1e9):
        return None
    limit = width_um * _BAR_SHARE
    power = 10.0 ** math.floor(math.log10(limit))
    length = max(step * power for step in _STEPS if step * power <= limit * (1 + 1e-9))
    return ScaleBar(length / width_um, _length(length))


def thumbnail(source: str, tile: StoredTile, um_per_px: float | None) -> Thumbnail:
    """Read a tile's file and shrink it. Never raises for a file that is gone or broken.

    Args:
        source: The lot's folder.
        tile: Of the store; its file must still have the content that was screened.
        um_per_px: Edge length of a pixel in micrometres as it was stated for the screening; None to
            ask the file and its sidecar.
    """
    path = Path(source, tile.path)
    try:
        # A pipe would never end, and a URL is no file.
        if not path.is_file():
            return _placeholder("The file is no longer where it was screened.")
        if path.stat().st_size > MAX_FILE_BYTES:
            return _placeholder("The file has become too large.")
        data = path.read_bytes()
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return _placeholder("The file cannot be read.")
    if hashlib.sha256(data).hexdigest() != tile.sha256:
        return _placeholder("The file has changed since it was screened.")
    try:
        decoded = decode_file(data)
    except InvalidTile as error:
        return _placeholder(f"The file cannot be read: {error.reason}.")
    known = um_per_px or decoded.um_per_px
    if known is None and (sidecar := read_sidecar(path)) is not None:
        known = sidecar.um_per_px
    height, width = decoded.grey.shape
    longer = max(width, height)
    return Thumbnail(
        uri=_png(decoded.grey),
        width=width / longer,
        height=height / longer,
        bar=scale_bar(width * known) if known else None,
        missing="",
    )


def _placeholder(why: str) -> Thumbnail:
    return Thumbnail("", 1.0, 1.0, None, why)


def _png(grey: Grey) -> str:
    picture = Image.fromarray(np.ascontiguousarray(grey))
    picture.thumbnail((EDGE_PX, EDGE_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _length(um: float) -> str:
    if um < 1:
        return f"{um * 1000:.4g} nm"
    return f"{um:.4g} µm" if um < 1000 else f"{um / 1000:.4g} mm"
