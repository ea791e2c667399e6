"""A folder of tiles as a lot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lotwise.core.errors import InvalidRequest
from lotwise.core.lot_sidecar import NOT_TILES, read_lot_sidecar


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
    sidecar = read_lot_sidecar(path)
    tiles = tuple(
        each
        for each in sorted(path.iterdir())
        if each.is_file() and not each.name.startswith(".") and each.suffix.lower() not in NOT_TILES
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
