"""Tiles of lots with all that training needs to know of where they come from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.config.errors import TrainingError

Images = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SIMULATED: Final = "simulated"
"""The origin of lots that no one has made."""


LOTS_FILE: Final = "lots.json"
"""The table of the lots that a committee knows, beside its members."""
REMARKS_FILE: Final = "remarks.json"
"""What a training did otherwise because of its lots, in sentences, beside its table of lots."""


class DatasetError(TrainingError, ValueError):
    """Tiles or tables that cannot be learned from; the message says which and what to do.

    Attributes:
        reason: Stable name of the error, such as LOT_MISSING.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class LotTable:
    """What is known of lots.

    Attributes:
        lot_ids: Names, the L classes of a committee, in the order of its labels.
        recipes: By lot, the recipe that it was made after; two lots of one recipe are repeats.
        property_name, unit: Of the measured property; empty where none was measured.
        values: float64 [L], measured property, NaN where unknown.
        attribute_names: Names of the scores.
        attributes: float64 [L, A], scores 0 to 1, NaN where unknown.
        origins: By lot, "simulated" or where it comes from.
    """

    lot_ids: tuple[str, ...]
    recipes: tuple[str, ...]
    property_name: str
    unit: str
    values: Floats
    attribute_names: tuple[str, ...]
    attributes: Floats
    origins: tuple[str, ...]

    def take(self, lots: Numbers) -> LotTable:
        """Some of the lots; `lots` are their numbers, int64 [n]."""
        return dataclasses.replace(
            self,
            lot_ids=tuple(self.lot_ids[lot] for lot in lots),
            recipes=tuple(self.recipes[lot] for lot in lots),
            values=self.values[lots],
            attributes=self.attributes[lots],
            origins=tuple(self.origins[lot] for lot in lots),
        )


@dataclass(frozen=True, eq=False)
class TileDataset:
    """N tiles of L lots.

    Attributes:
        images: uint8 [N, px, px].
        um_per_px: Width of a pixel of `images` in micrometres.
        lots: int64 [N], index into the table.
        regions: int64 [N], the connected piece of a lot that a tile was cut from, such as a mosaic
            or a photograph. Tiles of different regions share no pixel; different lots, no region.
        table: The lots.
        version: SHA-256 of pixels, labels, regions and table, hexadecimal.
        positions: int64 [N, 3], picture of a tile, and its row and column there, counted in
            fields of view; None for simulated lots, whose splits are as published.
        remarks: Sentences on lots that were left out.
    """

    images: Images
    um_per_px: float
    lots: Numbers
    regions: Numbers
    table: LotTable
    version: str
    positions: Numbers | None = None
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def few(self, tiles: int) -> TileDataset:
        """At most so many tiles of each lot, from all over it."""
        rows = [np.flatnonzero(self.lots == lot) for lot in range(len(self.table.lot_ids))]
        places = [np.linspace(0, len(own) - 1, min(tiles, len(own))).round() for own in rows]
        kept = [own[place.astype(int)] for own, place in zip(rows, places, strict=True)]
        chosen = np.concatenate(kept)
        return self._take(chosen, self.lots[chosen], self.table)

    def tested(self) -> TileDataset:
        """The lots whose property was measured; `remarks` name the others.

        Raises:
            DatasetError: PROPERTY_UNKNOWN: fewer than two lots have a value.
        """
        kept = np.flatnonzero(~np.isnan(self.table.values))
        if len(kept) < 2:
            raise DatasetError(
                "PROPERTY_UNKNOWN",
                f"{len(kept)} lots have a measured property; a regressor needs 2, and 3 recipes "
                "for intervals. Write values into lots.csv.",
            )
        if len(kept) == len(self.table.lot_ids):
            return self
        rows = np.flatnonzero(np.isin(self.lots, kept))
        chosen = self._take(rows, np.searchsorted(kept, self.lots[rows]), self.table.take(kept))
        without = [self.table.lot_ids[lot] for lot in np.flatnonzero(np.isnan(self.table.values))]
        remarks = (f"Left out, because they have no value: {', '.join(without)}.",)
        return dataclasses.replace(chosen, remarks=remarks)

    def _take(self, kept: Numbers, lots: Numbers, table: LotTable) -> TileDataset:
        images, regions = self.images[kept], self.regions[kept]
        version = dataset_version(images, self.um_per_px, lots, regions, table)
        positions = None if self.positions is None else self.positions[kept]
        return TileDataset(images, self.um_per_px, lots, regions, table, version, positions)


def simulated_dataset(
    images: Images, um_per_px: float, lots: Numbers, scenes: Numbers, table: LotTable
) -> TileDataset:
    """Tiles of simulated lots; `scenes`, int64 [N], number the scenes of each lot."""
    # Scenes numbered through all lots: no two lots share one.
    regions = np.unique(lots * (scenes.max() + 1) + scenes, return_inverse=True)[1]
    regions = regions.astype(np.int64)
    version = dataset_version(images, um_per_px, lots, regions, table)
    return TileDataset(images, um_per_px, lots, regions, table, version)


def table_sha256(table: LotTable) -> str:
    """Hash of everything that a table of lots says."""
    digest = hashlib.sha256()
    words = [*table.lot_ids, *table.recipes, table.property_name, table.unit]
    words += [*table.attribute_names, *table.origins]
    # Each word with its length: joined, "ab", "c" and "a", "bc" would be the same.
    digest.update("".join(f"{len(word)}:{word}" for word in words).encode())
    digest.update(table.values.tobytes() + table.attributes.tobytes())
    return digest.hexdigest()


def write_table(table: LotTable, path: Path) -> None:
    """Write a table of lots as JSON; NaN becomes null."""
    content = {
        **dataclasses.asdict(table),
        "values": [None if np.isnan(value) else value for value in table.values.tolist()],
        "attributes": [
            [None if np.isnan(score) else score for score in row]
            for row in table.attributes.tolist()
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_table(path: Path) -> LotTable:
    """The table that `write_table` wrote.

    Raises:
        DatasetError: LOTS_FILE_INVALID: there is none, or it cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = content["attribute_names"]
        return LotTable(
            lot_ids=tuple(content["lot_ids"]),
            recipes=tuple(content["recipes"]),
            property_name=content["property_name"],
            unit=content["unit"],
            values=np.array(content["values"], dtype=np.float64),
            attribute_names=tuple(names),
            attributes=np.array(content["attributes"], dtype=np.float64).reshape(
                len(content["lot_ids"]), len(names)
            ),
            origins=tuple(content["origins"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            "LOTS_FILE_INVALID",
            f"{path} cannot be read ({error}); `lotwise-train committee` writes it.",
        ) from None


def write_remarks(remarks: Sequence[str], run: Path) -> None:
    """Write what a training did otherwise because of its lots into the run's folder."""
    run.mkdir(parents=True, exist_ok=True)
    (run / REMARKS_FILE).write_text(json.dumps(list(remarks), indent=1) + "\n", encoding="utf-8")


def read_remarks(run: Path) -> list[str]:
    """What `write_remarks` wrote; nothing for a run without the file."""
    path = run / REMARKS_FILE
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else []


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write `array` as .npy so that a crash leaves the old file or the new, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".partial")
    with unfinished.open("wb") as file:
        np.save(file, array)
    unfinished.replace(path)


def some_of_each_lot(data: TileDataset, tiles: Numbers, most: int, seed: int = 0) -> Numbers:
    """At most so many tiles of each lot, drawn by seed: int64, rising.

    Args:
        data: The lots.
        tiles: int64 [n], to choose among.
        most: Of each lot.
        seed: Of the draw.
    """
    rng = np.random.default_rng(seed)
    kept = [
        rng.permutation(tiles[data.lots[tiles] == lot])[:most]
        for lot in np.unique(data.lots[tiles])
    ]
    return np.sort(np.concatenate(kept))


def dataset_version(
    images: Images, um_per_px: float, lots: Numbers, regions: Numbers, table: LotTable
) -> str:
    """Hash of a dataset: of every pixel and of all that is known of it.

    Args:
        images: uint8 [N, px, px].
        um_per_px: Width of a pixel.
        lots: int64 [N].
        regions: int64 [N].
        table: The lots.
    """
    digest = hashlib.sha256(table_sha256(table).encode())
    digest.update(f"{images.shape} {um_per_px.hex()}".encode())
    for array in (images, lots, regions):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
