"""One image file -> tiles as a model is served them, and why where there are none."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from lotwise.core.decoding import decode_file
from lotwise.core.errors import InvalidTile
from lotwise.core.limits import MAX_FILE_BYTES
from lotwise.core.preprocessing import field_px, prepare, resample_area
from lotwise.core.quality import assess_quality, require_signal
from lotwise.core.sidecars import read_sidecar
from lotwise.core.signature import TileGeometry
from lotwise.core.tile import DecodedTile
from lotwise_training.data.tiles import Images, Numbers

Fault = tuple[str, str]
"""Stable reason and message."""
Reading = tuple[Images, Numbers, str, list[Fault]]
"""Tiles, their rows and columns, hash of the picture's pixels, and what cannot be used."""


def geometry_of(px: int, field_um: float) -> TileGeometry:
    """What a model of `px` x `px` pixels sees of a field `field_um` wide, in micrometres."""
    return TileGeometry(px=px, um_per_px=field_um / px)


def read_picture(path: Path, stated: float | None, geometry: TileGeometry) -> Reading:
    """Read one picture and cut it into tiles.

    Nothing is raised: errors of `lotwise` do not survive the way between processes.

    Args:
        path: The file.
        stated: Edge length of a pixel in micrometres, where somebody stated it.
        geometry: Field that the model sees.

    Returns:
        Tiles uint8 [n, px, px]; row and column of each, int64 [n, 2]; SHA-256 of the picture's
        pixels; reasons and messages.
    """
    try:
        tile = _decoded(path, stated)
        tiles, places, faults = cut(tile, geometry)
    except InvalidTile as error:
        nothing = np.empty((0, geometry.px, geometry.px), dtype=np.uint8)
        return nothing, np.empty((0, 2), dtype=np.int64), "", [(error.reason, error.message)]
    digest = hashlib.sha256(f"{tile.grey.shape}".encode())
    digest.update(tile.grey.data)
    return tiles, places, digest.hexdigest(), faults


def _decoded(path: Path, stated: float | None) -> DecodedTile:
    """A picture and its scale: by `lot.json`, else the sidecar, else its own, as the client has it.

    Raises:
        InvalidTile: As `lotwise.core.decoding.decode_file`; TILE_EMPTY where it cannot be opened.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            raise OSError("it is no file, or a link to none")
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)  # one more, so that a larger one is refused
    except OSError as error:
        why = error.strerror or error
        raise InvalidTile(
            "TILE_EMPTY", f"The file cannot be read: {why}. Put one there that can."
        ) from None
    tile = decode_file(data)
    beside = read_sidecar(path)
    for scale in (stated, beside.um_per_px if beside else None):
        if scale is not None:
            return replace(tile, um_per_px=scale)
    return tile


def cut(tile: DecodedTile, geometry: TileGeometry) -> tuple[Images, Numbers, list[Fault]]:
    """Cut a picture into as many whole tiles as fit side by side, about its centre.

    Args:
        tile: Any size, scale known.
        geometry: Field that the model sees.

    Returns:
        uint8 [n, px, px], row by row, without those that show no signal; int64 [n, 2], row and
        column of each in fields of view; why tiles are left out.

    Raises:
        InvalidTile: As `lotwise.core.preprocessing.prepare`: serving would refuse it too.
    """
    prepare(tile, geometry)
    edge = field_px(tile, geometry)
    (rows, top), (columns, left) = (divmod(length, edge) for length in tile.grey.shape)
    made: list[Images] = []
    places: list[tuple[int, int]] = []
    refused: dict[str, list[str]] = {}
    for row, column in np.ndindex(rows, columns):
        y, x = top // 2 + row * edge, left // 2 + column * edge
        piece = tile.grey[y : y + edge, x : x + edge]
        try:
            require_signal(assess_quality(piece))
        except InvalidTile as error:
            refused.setdefault(error.reason, []).append(error.message)
            continue
        made.append(resample_area(piece, geometry.px))
        places.append((row, column))
    empty = np.empty((0, geometry.px, geometry.px), dtype=np.uint8)
    faults = [
        (reason, f"{len(messages)} of its {rows * columns} tiles: {messages[0]}")
        for reason, messages in refused.items()
    ]
    positions = np.array(places, dtype=np.int64).reshape(-1, 2)
    return np.stack(made) if made else empty, positions, faults
