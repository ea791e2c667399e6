"""Labelled tiles on disk, read as the services read them: a folder a reference lot."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise.core.calibration import Origin
from lotwise.core.decoding import decode_file
from lotwise.core.errors import InvalidRequest, InvalidTile
from lotwise.core.limits import MAX_FILE_BYTES
from lotwise.core.preprocessing import PreparedTile, prepare
from lotwise.core.quality import QualityVerdict
from lotwise.core.sidecars import read_sidecar
from lotwise.core.signature import TileGeometry
from lotwise.screening.folder import LotFolder, read_lot_folder

SHOWN: Final = 5
"""Unusable tiles that a message names."""

Track = Callable[[Sequence[tuple[int, Path]]], Iterable[tuple[int, Path]]]
"""Goes through tiles and shows how far it is."""


@dataclass(frozen=True, eq=False)
class ReferenceTiles:
    """Tiles of known lots.

    Attributes:
        images: uint8 [N, px, px], as the committee sees them.
        labels: int64 [N], lot of each by its place in the committee's answers.
        origin: "simulated" if any lot says so.
        poor: Tiles of poor quality, left out: a policy refers those whatever the committee says.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    origin: Origin
    poor: int


def find_lots(paths: Sequence[Path], um_per_px: float | None = None) -> list[LotFolder]:
    """The lots in folders: a folder of tiles is a lot, a folder of folders holds several.

    Args:
        paths: Folders.
        um_per_px: Pixel size where neither lot.json nor the files say it.

    Raises:
        InvalidRequest: LOT_MISSING, LOT_EMPTY or LOT_SIDECAR_INVALID.
    """
    found: list[LotFolder] = []
    for path in paths:
        within = sorted(
            each
            for each in (path.iterdir() if path.is_dir() else ())
            if each.is_dir() and not each.name.startswith(".")
        )
        found += [read_lot_folder(each, um_per_px) for each in within or [path]]
    return found


def read_reference_tiles(
    lots: Sequence[LotFolder],
    lot_ids: Sequence[str],
    geometry: TileGeometry,
    track: Track = lambda tiles: tiles,
) -> ReferenceTiles:
    """Read all tiles of some lots.

    Args:
        lots: Folders.
        lot_ids: Names of the reference lots, in the order of the committee's answers.
        geometry: Field that the committee sees.
        track: Shows how far the reading is.

    Raises:
        InvalidRequest: CALIBRATION_LOT_UNKNOWN, CALIBRATION_TILES_UNUSABLE or
            CALIBRATION_TILE_TWICE.
    """
    unknown = sorted({lot.lot_id for lot in lots} - set(lot_ids))
    if unknown:
        raise InvalidRequest(
            "CALIBRATION_LOT_UNKNOWN",
            f"The committee does not know {', '.join(unknown)}. Its reference lots are "
            f"{', '.join(lot_ids)}. Name each folder after its lot, or say it in lot.json.",
        )
    scales = [lot.um_per_px for lot in lots]
    names = list(lot_ids)
    images: list[npt.NDArray[np.uint8]] = []
    labels: list[int] = []
    unusable: list[str] = []
    seen: dict[str, Path] = {}
    poor = 0
    for number, path in track([(n, tile) for n, lot in enumerate(lots) for tile in lot.tiles]):
        try:
            prepared = _read(path, scales[number], geometry)
        except InvalidTile as error:
            unusable.append(f"{path}: {error.reason}: {error.message}")
            continue
        digest = hashlib.sha256(prepared.image.tobytes()).hexdigest()
        if digest in seen:
            raise InvalidRequest(
                "CALIBRATION_TILE_TWICE",
                f"{seen[digest]} and {path} show the same picture. Counted twice it would promise "
                "more than there is: remove one.",
            )
        seen[digest] = path
        if prepared.quality.verdict is QualityVerdict.POOR:
            poor += 1
            continue
        images.append(prepared.image[0, 0])
        labels.append(names.index(lots[number].lot_id))
    if unusable:
        more = f" and {len(unusable) - SHOWN} more" if len(unusable) > SHOWN else ""
        raise InvalidRequest(
            "CALIBRATION_TILES_UNUSABLE",
            f"{len(unusable)} of {len(seen) + len(unusable)} tiles cannot be used. Correct or "
            f"remove them.\n" + "\n".join(unusable[:SHOWN]) + more,
        )
    px = geometry.px
    return ReferenceTiles(
        np.stack(images) if images else np.empty((0, px, px), dtype=np.uint8),
        np.array(labels, dtype=np.int64),
        "simulated" if any(lot.simulated for lot in lots) else "laboratory",
        poor,
    )


def _read(path: Path, stated: float | None, geometry: TileGeometry) -> PreparedTile:
    """One tile as the services prepare it; scales in the order that the client has.

    Raises:
        InvalidTile: It cannot be read, or does not suit the committee.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)  # one more, so that a larger one is refused
    except OSError as error:
        raise InvalidTile(
            "TILE_EMPTY", f"The file cannot be read: {error.strerror}. Put one there that can."
        ) from None
    tile = decode_file(data)
    beside = read_sidecar(path)
    for scale in (stated, beside.um_per_px if beside else None):
        if scale is not None:
            tile = replace(tile, um_per_px=scale)
            break
    return prepare(tile, geometry)
