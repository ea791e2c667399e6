"""Whatever a caller has of a tile -> the protocol's tile."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from lotwise.core.errors import InvalidTile, LotwiseError
from lotwise.core.lot_sidecar import SIDECAR
from lotwise.core.sidecars import read_sidecar
from lotwise.core.tile import InstrumentTags, TileMetadata
from lotwise.screening.folder import LotFolder, read_lot_folder
from lotwise.v1 import tile_pb2

Picture = str | Path | bytes | npt.NDArray[Any] | Image.Image
"""A path, the bytes of an image file, an array [height, width] or a Pillow image."""

_PIXEL_TYPES: Final = {
    "uint8": (tile_pb2.PIXEL_TYPE_UINT8, "u1"),
    "uint16": (tile_pb2.PIXEL_TYPE_UINT16, "<u2"),
    "float32": (tile_pb2.PIXEL_TYPE_FLOAT32, "<f4"),
}
INSTRUMENT_TAGS: Final = tuple(InstrumentTags.__dataclass_fields__)


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture with what is known of it, where the picture alone does not say enough.

    Attributes:
        picture: A path, the bytes of a PNG, JPEG, BMP or TIFF file, an array [height, width] of
            uint8, uint16 or float32 (0 to 1), or a Pillow image.
        tile_id: The caller's name of it; the file's name if empty.
        lot_id: The lot; that of the call, or of `lot.json` beside the file, if empty.
        um_per_px: Edge length of a pixel in micrometres; goes before all else that states it.
        row, column: Place in the mosaic, from 0 at the top left.
        instrument: State of the microscope; that of the sidecar file if None.
    """

    picture: Picture
    tile_id: str = ""
    lot_id: str = ""
    um_per_px: float | None = None
    row: int | None = None
    column: int | None = None
    instrument: InstrumentTags | None = None


TileLike = Tile | Picture
"""A `Tile`, or its picture alone."""


@dataclass(frozen=True)
class Prepared:
    """A tile that is ready to be sent.

    Attributes:
        message: Of the protocol; None where `error` says why there is none.
        tile_id, lot_id: Its names.
        simulated: Whether `lot.json` says that the lot is simulated.
        error: Why the tile cannot be sent.
    """

    message: tile_pb2.Tile | None
    tile_id: str
    lot_id: str
    simulated: bool = False
    error: LotwiseError | None = None


class TileReader:
    """Reads the tiles of one call, and each folder's `lot.json` once.

    Args:
        max_bytes: Larger files are not read.
        lot_id: For tiles that name no lot.
        um_per_px: For tiles that state no scale.
    """

    def __init__(self, max_bytes: int, lot_id: str = "", um_per_px: float | None = None) -> None:
        self._max_bytes = max_bytes
        self._lot_id = lot_id
        self._um_per_px = um_per_px
        self._folders: dict[Path, LotFolder | None] = {}

    def read(self, given: TileLike) -> Prepared:
        """The tile, ready to be sent.

        Raises:
            InvalidTile: TILE_EMPTY where a file cannot be read, TILE_TOO_LARGE,
                TILE_UNSUPPORTED_FORMAT for an array of another type.
            InvalidRequest: LOT_SIDECAR_INVALID.
            TypeError: It is nothing that can be a tile.
        """
        tile = given if isinstance(given, Tile) else Tile(given)
        picture = tile.picture
        beside, folder, name = TileMetadata(), None, ""
        if isinstance(picture, str | Path):
            path = Path(picture)
            content: dict[str, Any] = {"file": self._read_file(path)}
            beside = read_sidecar(path) or beside
            folder, name = self._folder(path.parent), path.name
        elif isinstance(picture, bytes):
            content = {"file": picture}
        elif isinstance(picture, Image.Image):
            content = _of_pillow(picture)
        elif isinstance(picture, np.ndarray):
            content = {"raw": _raw(picture)}
        else:
            raise TypeError(
                "A tile is a path, the bytes of a file, an array or a Pillow image, not "
                f"{type(picture).__name__}."
            )
        stated = (
            tile.um_per_px,
            self._um_per_px,
            folder.um_per_px if folder else None,
            beside.um_per_px,
        )
        instrument = tile.instrument or beside.instrument
        message = tile_pb2.Tile(
            tile_id=tile.tile_id or name,
            lot_id=tile.lot_id or self._lot_id or (folder.lot_id if folder else ""),
            um_per_px=next((each for each in stated if each is not None), None),
            row=tile.row,
            column=tile.column,
            **content,
        )
        if instrument != InstrumentTags():
            message.instrument.CopyFrom(
                tile_pb2.Instrument(**{tag: getattr(instrument, tag) for tag in INSTRUMENT_TAGS})
            )
        simulated = folder.simulated if folder else False
        return Prepared(message, message.tile_id, message.lot_id, simulated)

    def read_or_say(self, given: TileLike, index: int) -> Prepared:
        """The tile number `index` of many: named, and with its error where it cannot be sent."""
        tile_id = given.tile_id if isinstance(given, Tile) else ""
        picture = given.picture if isinstance(given, Tile) else given
        if not tile_id:
            is_file = isinstance(picture, str | Path)
            tile_id = Path(picture).name if is_file else f"tile-{index}"  # type: ignore[arg-type]
        lot_id = (given.lot_id if isinstance(given, Tile) else "") or self._lot_id
        try:
            prepared = self.read(given)
        except LotwiseError as error:
            return Prepared(None, tile_id, lot_id, error=error)
        assert prepared.message is not None
        prepared.message.tile_id = tile_id
        return Prepared(prepared.message, tile_id, prepared.lot_id, prepared.simulated)

    def _read_file(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                data = file.read(self._max_bytes + 1)
        except OSError as error:
            raise InvalidTile(
                "TILE_EMPTY", f"{path} cannot be read: {error.strerror}. Name a file that can."
            ) from None
        if len(data) > self._max_bytes:
            raise InvalidTile(
                "TILE_TOO_LARGE",
                f"{path} has more than the {self._max_bytes / 2**20:.0f} MiB that this client "
                "sends. Crop it to one field of view.",
            )
        return data

    def _folder(self, path: Path) -> LotFolder | None:
        """The lot that `lot.json` describes; None where there is no such file."""
        if path not in self._folders:
            self._folders[path] = read_lot_folder(path) if (path / SIDECAR).is_file() else None
        return self._folders[path]


def _of_pillow(picture: Image.Image) -> dict[str, Any]:
    if picture.mode == "F":
        return {"raw": _raw(np.asarray(picture))}
    # As a file, so that palettes, colours and 16 bits are read as they are from any other file.
    buffer = io.BytesIO()
    # Only a PNG's resolution can be a microscope's.
    dpi = picture.info.get("dpi") if picture.format == "PNG" else None
    try:
        picture.save(buffer, format="PNG", **({"dpi": dpi} if dpi else {}))
    except OSError as error:
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT", f"This picture cannot be sent: {error}. Convert it to grey."
        ) from None
    return {"file": buffer.getvalue()}


def _raw(pixels: npt.NDArray[Any]) -> tile_pb2.RawImage:
    if pixels.ndim != 2:
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            f"An array of shape {pixels.shape} is not one grey picture. "
            "Send [height, width], one page and one channel.",
        )
    if pixels.dtype.name not in _PIXEL_TYPES:
        raise InvalidTile(
            "TILE_UNSUPPORTED_FORMAT",
            f"Pixels of type {pixels.dtype} are not read. Send uint8, uint16 or float32.",
        )
    pixel_type, wire = _PIXEL_TYPES[pixels.dtype.name]
    height, width = pixels.shape
    return tile_pb2.RawImage(
        data=np.ascontiguousarray(pixels, dtype=wire).tobytes(),
        width=width,
        height=height,
        pixel_type=pixel_type,
    )
