"""Real SEM images, laid out as a laboratory would, and split by image.

The images lie in a folder with a `manifest.csv` (columns path, group, lot, sha256, source). They
carry no scale, so a nominal one is stated in `lot.json`: with it the classifier's field of 256 um
is `Study.field_px` pixels of the picture, averaged to 64. Those micrometres mean nothing else.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from lotwise.core.lot_sidecar import SIDECAR
from lotwise_training.data.benchmark import GEOMETRY
from lotwise_training.data.folder import LOTS_TABLE, read_lot_folder
from lotwise_training.data.tiles import Floats, Images, Numbers, TileDataset, dataset_version

MANIFEST: Final = "manifest.csv"
COLUMNS: Final = ("path", "group", "lot", "sha256", "source")
PAGE: Final = "docs/real-images.md"
"""Says where the images come from."""
SHOWN_RANK: Final = 0.2
"""Of an image's tiles by falling spread of grey levels: the flat ones show little."""
EVEN_MEAN: Final = 128.0
EVEN_SPREAD: Final = 50.0
"""Grey levels to which a picture is brought where its brightness is not to tell its lot."""


class RealImagesMissing(RuntimeError):
    """Images that are not there, or not those that the manifest speaks of."""


@dataclass(frozen=True)
class Study:
    """Images of one kind of material whose lots are to be told apart.

    Attributes:
        name: Short, for folders and keys.
        title: For tables.
        group: Of the manifest.
        field_px: Edge of a tile in pixels of the picture.
        same_place: Names of images that share a place; they never stand on two sides of a split.
            Found by correlating all images of a lot: the strip of two neighbours, and pairs of
            which one shows the middle of the other at twice the magnification (correlation above
            0.9 where other images reach 0.66 in strips and 0.35 over the picture).
        caveat: What may tell the lots apart beside the material, one sentence.
        labels: Names of lots for tables, where the manifest's are long.
    """

    name: str
    title: str
    group: str
    field_px: int
    caveat: str
    same_place: tuple[frozenset[str], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def label(self, lot: str) -> str:
        """A lot's name for tables."""
        return self.labels.get(lot, lot)


STUDIES: Final = (
    Study(
        name="powder",
        title="powder series",
        group="metal_powder",
        field_px=128,
        same_place=(frozenset({"Sc1Tile_001-001-000_0-000.png", "Sc1Tile_001-002-000_0-000.png"}),),
        caveat="The source does not say how the series differ; they may be scans of one powder.",
    ),
    Study(
        name="coating",
        title="EBC samples",
        group="ebc_coating",
        field_px=128,
        caveat="Images of a sample share the brightness and contrast of their session.",
    ),
    Study(
        name="anneal",
        title="anneal times",
        group="uhc_steel",
        field_px=96,
        same_place=(
            frozenset(
                {
                    "train_800C-85H-Q-1_sizeRC_481_645.png",
                    "train_800C-85H-Q-5_sizeRC_481_645.png",
                }
            ),
            frozenset(
                {
                    "valid_800C-85H-Q-2_sizeRC_483_645.png",
                    "valid_800C-85H-Q-6_sizeRC_483_645.png",
                }
            ),
        ),
        caveat="Magnification differs from image to image, also within a lot, and is not stated.",
        labels={"800C-8H-Q": "8 h", "800C-24H-Q": "24 h", "800C-85H-Q": "85 h"},
    ),
)


@dataclass(frozen=True, eq=False)
class RealLots:
    """The lots of a study as `read_lot_folder` reads them.

    Attributes:
        study: Which.
        data: Tiles of 64 x 64; a region is an image.
        images: By region, the image's file name.
        lots: int64 [images], index into the table of `data`.
        places: int64 [images]; images with the same number share pixels.
        left_out: Lots that cannot be tested, and how many images each has.
        unused: What of the pictures no model could read, in words.
    """

    study: Study
    data: TileDataset
    images: tuple[str, ...]
    lots: Numbers
    places: Numbers
    left_out: Mapping[str, int]
    unused: tuple[str, ...]


def read_real_lots(
    folder: Path, study: Study, scratch: Path, *, jobs: int | None = None
) -> RealLots:
    """Lay a study's images out under `scratch` and read them as a laboratory's lots.

    A lot whose images all show one place cannot be tested by image, and is left out.

    Args:
        folder: Holds `manifest.csv` and the images.
        study: Which images.
        scratch: Empty folder; gets links to the images.
        jobs: Processes that read.

    Raises:
        RealImagesMissing: An image is not there or not the manifest's, or no lot can be tested.
    """
    pictures = _pictures(folder, study)
    place_of = _places(study, [path.name for paths in pictures.values() for path in paths])
    kept = {
        lot: paths
        for lot, paths in pictures.items()
        if len({place_of[path.name] for path in paths}) > 1
    }
    if len(kept) < 2:
        raise RealImagesMissing(
            f"Of the lots of group {study.group} in {folder / MANIFEST} {len(kept)} show more than "
            "one place; a study needs two such lots. Add images."
        )
    lay_out(kept, study, scratch)
    read = read_lot_folder(scratch, GEOMETRY, jobs=jobs)
    images = tuple(path.name for paths in kept.values() for path in paths)
    if len(np.unique(read.dataset.regions)) != len(images):
        faults = "; ".join(f"{each.path.name}: {each.message}" for each in read.unreadable)
        raise RealImagesMissing(f"Not every image of {study.title} can be read: {faults}")
    return RealLots(
        study=study,
        data=read.dataset,
        images=images,
        lots=np.repeat(np.arange(len(kept)), [len(paths) for paths in kept.values()]),
        places=np.array([place_of[name] for name in images], dtype=np.int64),
        left_out={lot: len(paths) for lot, paths in pictures.items() if lot not in kept},
        unused=tuple(f"{each.path.name}: {each.message}" for each in read.unreadable),
    )


def lay_out(pictures: Mapping[str, Sequence[Path]], study: Study, root: Path) -> None:
    """Write a laboratory's folder: `lots.csv`, and for each lot its pictures and `lot.json`.

    Args:
        pictures: By lot, in the order of the classes.
        study: States the field.
        root: Made where it is missing.
    """
    root.mkdir(parents=True, exist_ok=True)
    rows = [f"{lot},{lot},{study.group}" for lot in pictures]
    text = "\n".join(["lot_id,recipe,origin", *rows]) + "\n"
    (root / LOTS_TABLE).write_text(text, encoding="utf-8")
    nominal = {"um_per_px": GEOMETRY.field_of_view_um / study.field_px}
    for lot, paths in pictures.items():
        (root / lot).mkdir()
        (root / lot / SIDECAR).write_text(json.dumps(nominal), encoding="utf-8")
        for path in paths:
            (root / lot / path.name).symlink_to(path.resolve())


def folds(lots: Numbers, places: Numbers, count: int) -> Numbers:
    """Which fold tests each image: each image is in one, and no place in two.

    Neighbours in the order of names go into the same fold, because they may be neighbours on the
    sample. Lots with few places start at different folds, so that folds are of about one size.

    Args:
        lots: int64 [images].
        places: int64 [images].
        count: Folds.

    Returns:
        int64 [images], 0 to `count` - 1. Every lot with two places or more is in every fold's
        training images.
    """
    tested = np.empty(len(lots), dtype=np.int64)
    for lot in np.unique(lots):
        # In the order of the images, not of the numbers.
        own = list(dict.fromkeys(places[lots == lot].tolist()))
        for number, chunk in enumerate(np.array_split(own, count)):
            tested[np.isin(places, chunk)] = (number + lot) % count
    return tested


def fold_tiles(
    data: TileDataset, tested: Numbers, fold: int, validation_share: float, seed: int
) -> tuple[Numbers, Numbers, Numbers]:
    """Tiles of a fold: numbers into `data`, rising, for training, validation and test.

    Validation tiles are of the training images. They only choose among the states of one training;
    a whole image for them would often be the only one left of its lot.

    Args:
        data: A region is an image.
        tested: int64 [images], see `folds`.
        fold: Which.
        validation_share: Of each image's tiles that may be learned from; one at least.
        seed: Of the draw.
    """
    test = np.flatnonzero(tested[data.regions] == fold)
    train: list[Numbers] = []
    validation: list[Numbers] = []
    for image in np.flatnonzero(tested != fold):
        rng = np.random.default_rng([seed, fold, int(image)])
        drawn = rng.permutation(np.flatnonzero(data.regions == image))
        cut = max(1, round(validation_share * len(drawn)))
        validation.append(drawn[:cut])
        train.append(drawn[cut:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(validation)), test


def with_evened(data: TileDataset) -> TileDataset:
    """The tiles, and after them the same tiles with each image's brightness and contrast evened.

    Each image is brought to one mean and one standard deviation of its grey levels. This takes
    away what the settings of a session do, and keeps how tiles of an image differ.

    Args:
        data: N tiles; a region is an image.

    Returns:
        2N tiles; the regions of the second N are numbered on.
    """
    evened = np.empty_like(data.images)
    for image in np.unique(data.regions):
        own = data.regions == image
        grey = data.images[own].astype(np.float64)
        standard = (grey - grey.mean()) / max(float(grey.std()), 1.0)
        levels = EVEN_MEAN + EVEN_SPREAD * standard
        evened[own] = np.rint(levels.clip(0.0, 255.0)).astype(np.uint8)
    images = np.concatenate([data.images, evened])
    lots = np.tile(data.lots, 2)
    regions = np.concatenate([data.regions, data.regions + data.regions.max() + 1])
    version = dataset_version(images, data.um_per_px, lots, regions, data.table)
    return replace(data, images=images, lots=lots, regions=regions, version=version)


def brightness(images: Images) -> Floats:
    """Mean and standard deviation of each tile's grey levels, float64 [N, 2].

    Args:
        images: uint8 [N, px, px].
    """
    grey = images.reshape(len(images), -1).astype(np.float64)
    return np.stack([grey.mean(axis=1), grey.std(axis=1)], axis=1)


def examples(lots: RealLots, count: int) -> list[Images]:
    """By lot, tiles to show: of its images in turn, more varied in grey than most of the image's.

    Returns:
        uint8 [count, 64, 64] for each lot.
    """
    spread = brightness(lots.data.images)[:, 1]
    shown = []
    for lot in range(len(lots.data.table.lot_ids)):
        ranked = [
            sorted(np.flatnonzero(lots.data.regions == image), key=lambda tile: -spread[tile])
            for image in np.flatnonzero(lots.lots == lot)
        ]
        chosen = [
            tiles[min(round(SHOWN_RANK * len(tiles)) + number // len(ranked), len(tiles) - 1)]
            for number in range(count)
            for tiles in [ranked[number % len(ranked)]]
        ]
        shown.append(lots.data.images[chosen])
    return shown


def _pictures(folder: Path, study: Study) -> dict[str, list[Path]]:
    """By lot in natural order, the study's images in the order of their names.

    Raises:
        RealImagesMissing: The manifest or an image is missing, or an image was changed.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise RealImagesMissing(
            f"There is no {path}. The folder of the real images holds a table with the columns "
            f"{', '.join(COLUMNS)}; {PAGE} says where the images come from."
        )
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lacking = [name for name in COLUMNS if rows and name not in rows[0]]
    if lacking:
        raise RealImagesMissing(f"{path} has no column {', '.join(lacking)}. See {PAGE}.")
    chosen = [row for row in rows if row["group"] == study.group]
    if not chosen:
        raise RealImagesMissing(f"{path} lists no image of group {study.group}. See {PAGE}.")
    faults = []
    pictures: dict[str, list[Path]] = {}
    for row in chosen:
        picture = folder / row["path"]
        if not picture.is_file():
            faults.append(f"{row['path']} is missing (from {row['source']})")
        elif hashlib.sha256(picture.read_bytes()).hexdigest() != row["sha256"]:
            faults.append(f"{row['path']} is not the file that the manifest speaks of")
        pictures.setdefault(row["lot"], []).append(picture)
    if faults:
        raise RealImagesMissing(
            f"{len(faults)} of {len(chosen)} images of {study.title} cannot be used:\n  "
            + "\n  ".join(faults)
            + f"\n{PAGE} says where they come from."
        )
    return {lot: sorted(pictures[lot]) for lot in sorted(pictures, key=_natural)}


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sorts 8H before 24H."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def _places(study: Study, names: Sequence[str]) -> dict[str, int]:
    """By name, the number of the place that an image shows."""
    shared = {name: group for group in study.same_place for name in group}
    numbers: dict[frozenset[str], int] = {}
    return {
        name: numbers.setdefault(shared.get(name, frozenset({name})), len(numbers))
        for name in names
    }
