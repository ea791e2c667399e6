"""A spool for instruments: a tile that was added is on disk, whatever becomes of the platform.

An instrument's program adds tiles as it scans, and calls the lot complete. `lotwise screen --watch`
screens the spool, whenever it and the platform are there. Needs no connection and no store.
"""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from lotwise.core.errors import InvalidRequest, InvalidTile
from lotwise.core.lot_sidecar import COMPLETE, SIDECAR, LotSidecar

UNFINISHED: Final = ".part"
_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
_ENDINGS: Final = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"BM": ".bmp"}


class Spool:
    """A folder of lots, each a folder of tiles.

    Args:
        folder: Made where it is missing; the same one that `lotwise screen --watch` is given.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def begin(
        self, lot_id: str, *, um_per_px: float | None = None, simulated: bool = False
    ) -> Path:
        """Have a lot in the spool; the same folder each time.

        Args:
            lot_id: Name of the lot.
            um_per_px: Edge length of a pixel in micrometres, where the files do not say it.
            simulated: Whether the lot is simulated.

        Raises:
            InvalidRequest: LOT_MISSING for an empty name; LOT_CONTRADICTORY where the lot was begun
                with another scale, or is complete.
            OSError: The disk is full, or may not be written.
        """
        if not lot_id.strip():
            raise InvalidRequest("LOT_MISSING", "A lot needs a name.")
        folder = self.folder / _safe(lot_id)
        said = LotSidecar(lot_id=lot_id, um_per_px=um_per_px, simulated=simulated)
        path = folder / SIDECAR
        if path.exists():
            if LotSidecar.model_validate_json(path.read_bytes()) != said:
                raise InvalidRequest(
                    "LOT_CONTRADICTORY",
                    f"Lot '{lot_id}' was begun with another scale or name. Name a new lot.",
                )
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, json.dumps(said.model_dump()).encode())
        return folder

    def add(
        self,
        picture: bytes | npt.NDArray[Any],
        *,
        lot_id: str,
        row: int,
        column: int,
        um_per_px: float | None = None,
        simulated: bool = False,
    ) -> Path:
        """Put a tile on disk. Once this returns, it survives a crash and an outage.

        Args:
            picture: Bytes of an image file, or pixels, uint8 or uint16 [height, width].
            lot_id: Name of the lot.
            row: Place in the mosaic, from 0 at the top.
            column: From 0 at the left.
            um_per_px: Edge length of a pixel in micrometres; the same for a whole lot.
            simulated: Whether the lot is simulated.

        Returns:
            Where it lies. The same tile may be added again; it is written once.

        Raises:
            InvalidTile: TILE_EMPTY or TILE_UNSUPPORTED_FORMAT.
            InvalidRequest: As `begin`; LOT_CONTRADICTORY for a tile of a complete lot, and for
                another picture at a place that has one.
            OSError: The disk is full, or may not be written: nothing was kept, add it again.
        """
        content, ending = _encoded(picture)
        folder = self.begin(lot_id, um_per_px=um_per_px, simulated=simulated)
        path = folder / f"r{row:04d}_c{column:04d}{ending}"
        if path.exists():
            if path.read_bytes() == content:
                return path
            raise InvalidRequest(
                "LOT_CONTRADICTORY",
                f"Lot '{lot_id}' has another picture at row {row}, column {column}.",
            )
        if (folder / COMPLETE).exists():
            raise InvalidRequest(
                "LOT_CONTRADICTORY", f"Lot '{lot_id}' is complete. Name a new lot."
            )
        _write(path, content)
        return path

    def complete(self, lot_id: str) -> None:
        """Say that no more tiles of a lot come: now it can have its verdict.

        Args:
            lot_id: Name of the lot.

        Raises:
            InvalidRequest: LOT_MISSING where it was not begun.
            OSError: The disk is full, or may not be written.
        """
        folder = self.folder / _safe(lot_id)
        if not folder.is_dir():
            raise InvalidRequest("LOT_MISSING", f"Lot '{lot_id}' was not begun.")
        _write(folder / COMPLETE, b"")


def _safe(lot_id: str) -> str:
    """A folder's name: no lot's name leads out of the spool."""
    safe = _NAME.sub("_", lot_id).strip(".")
    if safe == lot_id:
        return safe
    # Two names that differ in what was replaced stay apart.
    return f"{safe or 'lot'}-{lot_id.encode().hex()[:16]}"


def _encoded(picture: bytes | npt.NDArray[Any]) -> tuple[bytes, str]:
    if isinstance(picture, bytes):
        if not picture:
            raise InvalidTile("TILE_EMPTY", "The picture is empty.")
        return picture, next(
            (ending for start, ending in _ENDINGS.items() if picture.startswith(start)), ".tif"
        )
    if picture.ndim != 2 or picture.dtype not in (np.uint8, np.uint16) or not picture.size:
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            f"Pixels must be uint8 or uint16 [height, width], not {picture.dtype} "
            f"{list(picture.shape)}.",
        )
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue(), ".png"


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and onto the disk before it gets its name."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    # The name, too, must survive a power failure.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
