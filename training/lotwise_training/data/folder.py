"""A user's own lots: a table `lots.csv`, and beside it a folder of image files for each lot.

Files are read as the services read them and cut with the functions that serving uses, so a model
sees in training what it will be served. A picture that cannot be used is listed with its reason; a
table that cannot be trusted ends the reading.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final
from unicodedata import normalize

import numpy as np
import PIL
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import lotwise.core
from lotwise.core.decoding import picture_width
from lotwise.core.errors import InvalidRequest
from lotwise.core.limits import MAX_FILE_BYTES
from lotwise.core.lot_sidecar import NOT_TILES, LotSidecar, read_lot_sidecar
from lotwise.core.signature import TileGeometry
from lotwise_training.data import images as images_module
from lotwise_training.data import lots_csv
from lotwise_training.data.images import read_picture
from lotwise_training.data.lots_csv import read_records, read_table
from lotwise_training.data.processes import parallel_map
from lotwise_training.data.tiles import (
    SIMULATED,
    DatasetError,
    Images,
    Numbers,
    TileDataset,
    dataset_version,
)
from lotwise_training.store.arrays import Arrays, save_arrays

LOTS_TABLE: Final = "lots.csv"
TILES_TABLE: Final = "tiles.csv"
VERSION_DIGITS: Final = 12
HASH_DIGITS: Final = 16


@dataclass(frozen=True)
class UnreadablePicture:
    """A picture, or some tiles of it, that cannot be learned from.

    Attributes:
        path: The file.
        reason: Stable name, as the services give it, such as TILE_SCALE_UNKNOWN.
        message: What is wrong and what to do.
    """

    path: Path
    reason: str
    message: str


@dataclass(frozen=True, eq=False)
class LotFolder:
    """Tiles in the order of the table, of the files' names and of rows; what is not used."""

    dataset: TileDataset
    unreadable: tuple[UnreadablePicture, ...]


@dataclass(frozen=True)
class _Lot:
    """A lot's folder: its pictures, the region of each, and what `lot.json` says."""

    path: Path
    pictures: tuple[Path, ...]
    regions: tuple[tuple[str, ...], ...]
    said: LotSidecar


_Tiles = tuple[Images, Numbers, Numbers, Numbers, tuple[UnreadablePicture, ...]]
"""Images, lots, regions and positions of the tiles; what cannot be used."""


def read_lot_folder(
    root: Path, geometry: TileGeometry, *, cache: Path | None = None, jobs: int | None = None
) -> LotFolder:
    """Read all lots that `lots.csv` lists.

    Args:
        root: The folder of `lots.csv` and of the lots' folders.
        geometry: Field that the model sees; a larger picture is cut into several of them.
        cache: Folder of tiles that were read before; None keeps nothing.
        jobs: Processes; None for one a core, 1 reads in this process.

    Raises:
        DatasetError: The table, a folder or `lot.json` cannot be trusted, or a picture is there
            twice; docs/your-own-data.md lists the reasons.
    """
    table = read_table(root / LOTS_TABLE)
    lots = _find_lots(root, table.lot_ids)
    # What was simulated stays so, whatever a table calls it.
    origins = (
        SIMULATED if lot.said.simulated else origin
        for lot, origin in zip(lots, table.origins, strict=True)
    )
    table = replace(table, origins=tuple(origins))
    if cache is None:
        tiles = _read_lots(lots, geometry, jobs)
    else:
        path = cache / f"lots-{_fingerprint(root, lots, geometry)}.npz"
        kept = _load(path, root)
        tiles = _read_lots(lots, geometry, jobs) if kept is None else kept
        if kept is None:
            _store(path, root, tiles)
    images, numbers, regions, positions, unreadable = tiles
    scale = geometry.um_per_px
    version = dataset_version(images, scale, numbers, regions, table)
    dataset = TileDataset(images, scale, numbers, regions, table, version, positions)
    return LotFolder(dataset, unreadable)


def show_lot_folder(data: LotFolder, console: Console) -> None:
    """Print what each lot has, what is not used and why, and the data's version."""
    dataset, known = data.dataset, data.dataset.table
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("lot", "recipe"):
        table.add_column(heading, overflow="fold")
    unit = f" ({known.unit})" if known.unit else ""
    for heading in ("tiles", "regions", known.property_name and known.property_name + unit):
        table.add_column(escape(heading), justify="right")
    for number, (lot, recipe, value) in enumerate(
        zip(known.lot_ids, known.recipes, known.values, strict=True)
    ):
        of_lot = dataset.lots == number
        counts = (int(of_lot.sum()), len(np.unique(dataset.regions[of_lot])))
        figure = "" if np.isnan(value) else f"{value:g}"
        table.add_row(escape(lot), escape(recipe), *(f"{count:,}" for count in counts), figure)
    console.print(table)
    if data.unreadable:
        console.print(f"\nNot used, {len(data.unreadable)}:")
    for each in data.unreadable:
        line = f"  {each.path}: {each.reason}. {each.message}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"\n{len(dataset):,} tiles, version {dataset.version[:VERSION_DIGITS]}")


def _find_lots(root: Path, lot_ids: Sequence[str]) -> list[_Lot]:
    """The folders of the lots; by name among those of `root`, so that no name leads elsewhere."""
    folders = {normalize("NFC", path.name): path for path in root.iterdir() if path.is_dir()}
    for name in sorted(folders.keys() - set(lot_ids)):
        if not name.startswith(".") and any(map(_is_picture, _pictures(folders[name]))):
            raise DatasetError(
                "LOT_UNLISTED",
                f"{folders[name]} holds pictures, but {root / LOTS_TABLE} lists no lot {name}. Add "
                "a row, or move the folder.",
            )
    lots = []
    for lot_id in lot_ids:
        if lot_id not in folders:
            raise DatasetError(
                "LOT_MISSING",
                f"{root / LOTS_TABLE} lists lot {lot_id}, but there is no folder {root / lot_id}. "
                "Add it, or remove the row.",
            )
        pictures = _pictures(folders[lot_id])
        regions = _regions(folders[lot_id], pictures)
        lots.append(_Lot(folders[lot_id], pictures, regions, _said(folders[lot_id])))
    return lots


def _pictures(folder: Path) -> tuple[Path, ...]:
    names = sorted(path.name for path in folder.iterdir() if not path.is_dir())
    kept = (name for name in names if Path(name).suffix.lower() not in NOT_TILES)
    return tuple(folder / name for name in kept if not name.startswith("."))


def _is_picture(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return picture_width(file.read(MAX_FILE_BYTES)) is not None


def _regions(folder: Path, pictures: Sequence[Path]) -> tuple[tuple[str, ...], ...]:
    """By picture, what tells its region: what `tiles.csv` says, else its own name."""
    path = folder / TILES_TABLE
    if not path.is_file():
        return tuple((picture.name,) for picture in pictures)
    said: dict[str, tuple[str, ...]] = {}
    for row, record in read_records(path, "file", "TILES_TABLE_INVALID"):
        name = record["file"]
        if name in said:
            raise DatasetError(
                "TILES_TABLE_INVALID", f"{path}, row {row}: {name} is listed twice. Keep one."
            )
        place = (record.get("region", ""), record.get("scene", ""))
        said[name] = place if any(place) else (name,)
    for picture in pictures:
        # Taken for a region of its own, it could stand on both sides of a split.
        if normalize("NFC", picture.name) not in said:
            raise DatasetError(
                "TILES_TABLE_INVALID", f"{path} does not list {picture.name}. Add a row for it."
            )
    return tuple(said[normalize("NFC", picture.name)] for picture in pictures)


def _said(folder: Path) -> LotSidecar:
    """What `lot.json` says. Which lot it is, `lots.csv` says here."""
    try:
        return read_lot_sidecar(folder)
    except InvalidRequest as error:
        raise DatasetError(error.reason, error.message) from None


def _read_lots(lots: Sequence[_Lot], geometry: TileGeometry, jobs: int | None) -> _Tiles:
    """Read all pictures.

    Raises:
        DatasetError: LOT_EMPTY, TILE_DUPLICATE.
    """
    pictures = [path for lot in lots for path in lot.pictures]
    scales = [lot.said.um_per_px for lot in lots for _ in lot.pictures]
    read = partial(read_picture, geometry=geometry)
    readings = iter(parallel_map(read, pictures, scales, title="read the pictures", jobs=jobs))
    images: list[Images] = []
    places: list[tuple[int, int, int, int, int]] = []
    unreadable: list[UnreadablePicture] = []
    regions: dict[tuple[int, tuple[str, ...]], int] = {}
    seen: dict[str, Path] = {}
    for number, lot in enumerate(lots):
        before, faults = len(places), len(unreadable)
        for path, place in zip(lot.pictures, lot.regions, strict=True):
            tiles, cells, pixels, refused = next(readings)
            unreadable += [UnreadablePicture(path, *fault) for fault in refused]
            if not len(tiles):
                continue
            if pixels in seen:
                raise DatasetError(
                    "TILE_DUPLICATE",
                    f"{seen[pixels]} and {path} are the same picture. Keep one of them.",
                )
            seen[pixels] = path
            region = regions.setdefault((number, place), len(regions))
            places += [(number, region, len(images), int(row), int(col)) for row, col in cells]
            images.append(tiles)
        if len(places) == before:
            first = unreadable[faults : faults + 1]
            why = "".join(f" {each.path.name}: {each.reason}. {each.message}" for each in first)
            raise DatasetError(
                "LOT_EMPTY",
                f"None of the {len(lot.pictures)} pictures in {lot.path} can be used.{why} "
                "Add some that can, or remove the lot from the table.",
            )
    where = np.array(places, dtype=np.int64)
    return np.concatenate(images), where[:, 0], where[:, 1], where[:, 2:], tuple(unreadable)


def _fingerprint(root: Path, lots: Sequence[_Lot], geometry: TileGeometry) -> str:
    """Hash of all that decides on the tiles: table, files, geometry, and the code that reads."""
    core = Path(lotwise.core.__file__).parent
    sources = [
        Path(__file__),
        Path(lots_csv.__file__),
        Path(images_module.__file__),
        *sorted(core.rglob("*.py")),
    ]
    files = [root / LOTS_TABLE, *(path for lot in lots for path in sorted(lot.path.iterdir()))]
    named = [(path.name, path) for path in sources]
    named += [(str(path.relative_to(root)), path) for path in files]
    digest = hashlib.sha256(f"{geometry!r} {np.__version__} {PIL.__version__}".encode())
    for name, path in named:
        content = ""
        if path.is_file():
            with suppress(OSError), path.open("rb") as file:  # it will be listed when it is read
                content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{len(name)}:{name} {content}".encode(errors="surrogateescape"))
    return digest.hexdigest()[:HASH_DIGITS]


def _store(path: Path, root: Path, tiles: _Tiles) -> None:
    images, lots, regions, positions, unreadable = tiles
    said = [[str(each.path.relative_to(root)), each.reason, each.message] for each in unreadable]
    # Text as an array of letters, so that nothing has to be pickled.
    text = np.array(json.dumps(said))
    arrays: Arrays = {"images": images, "lots": lots, "regions": regions, "positions": positions}
    save_arrays(path, {**arrays, "unreadable": text})


def _load(path: Path, root: Path) -> _Tiles | None:
    """What `_store` wrote; None where it is missing or damaged."""
    try:
        # Opened here: of a damaged file numpy leaves its own open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            said = json.loads(str(kept["unreadable"]))
            unreadable = tuple(
                UnreadablePicture(root / name, why, text) for name, why, text in said
            )
            arrays = (kept[name] for name in ("images", "lots", "regions", "positions"))
            images, lots, regions, positions = arrays
            return images, lots, regions, positions, unreadable
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
