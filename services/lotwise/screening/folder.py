"""A folder of tiles as a lot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lotwise.core.errors import InvalidRequest

SIDECAR: Final = "lot.json"
# Instruments write these beside the tiles. Anything else is sent: the content decides.
_NOT_TILES: Final = {".json", ".csv", ".txt", ".hdr", ".xml", ".ini", ".md", ".db", ".log"}


class LotSidecar(BaseModel):
    """lot.json beside the tiles: what the files do not say. All of it is optional."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lot_id: str = ""
    um_per_px: float | None = Field(default=None, gt=0)
    simulated: bool = False


@dataclass(frozen=True)
class LotFolder:
    """Tiles of one lot on disk, in the order of their names."""

    lot_id: str
    path: Path
    tiles: tuple[Path, ...]
    um_per_px: float | None
    simulated: bool


def read_lot_folder(path: Path, um_per_px: float | None = None) -> LotFolder:
    """List a lot's tiles.

    Args:
        path: The folder; its name is the lot's id unless lot.json says otherwise.
        um_per_px: Pixel size for all tiles; goes before lot.json's.

    Raises:
        InvalidRequest: LOT_MISSING, LOT_EMPTY or LOT_SIDECAR_INVALID.
    """
    if not path.is_dir():
        raise InvalidRequest("LOT_MISSING", f"{path} is no folder. Name a folder of tiles.")
    sidecar = LotSidecar()
    if (path / SIDECAR).is_file():
        try:
            sidecar = LotSidecar.model_validate_json((path / SIDECAR).read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidRequest(
                "LOT_SIDECAR_INVALID",
                f"{path / SIDECAR}: {'.'.join(map(str, first['loc']))}: {first['msg']}.",
            ) from None
    tiles = tuple(
        each
        for each in sorted(path.iterdir())
        if each.is_file()
        and not each.name.startswith(".")
        and each.suffix.lower() not in _NOT_TILES
    )
    if not tiles:
        raise InvalidRequest("LOT_EMPTY", f"{path} holds no tiles. Name a folder that does.")
    return LotFolder(
        lot_id=sidecar.lot_id or path.name or path.resolve().name,
        path=path,
        tiles=tiles,
        um_per_px=um_per_px if um_per_px is not None else sidecar.um_per_px,
        simulated=sidecar.simulated,
    )
