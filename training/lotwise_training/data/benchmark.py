"""Benchmark v1 as datasets at the scale that the committee sees.

Every lot is made once, in parallel, compared with its frozen hash, brought to 64 x 64 px with the
function that serving uses, and kept on disk. A file's name holds the frozen hash, so nothing else
can be taken for it.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from filelock import FileLock
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from lotwise.core.preprocessing import resample_area
from lotwise.core.signature import TileGeometry
from lotwise_simulator.attributes import ATTRIBUTE_NAMES
from lotwise_simulator.benchmark import (
    TILES_PER_SIDE,
    LotOfTiles,
    Part,
    benchmark_v1,
    recipe_of,
    reference_lots,
)
from lotwise_simulator.benchmark_files import PROPERTY, UNIT, frozen, part_name
from lotwise_simulator.lots import scene_tiles
from lotwise_training.data.tiles import (
    SIMULATED,
    DatasetError,
    Images,
    LotTable,
    Numbers,
    TileDataset,
    dataset_version,
    write_array,
)

GEOMETRY: Final = TileGeometry(px=64, um_per_px=4.0)
"""What the committee sees of a tile: Zhang et al. 2020 reduce 256 um to 64 px."""
PX: Final = GEOMETRY.px
REFERENCE: Final = "reference"
SHIFTED_LABELLED: Final = ("new_regions", "filament_soft", "filament_dim", "filament_bright")
"""Sets of the reference lots under other conditions."""
SHIFTED_STRANGE: Final = ("ground", "between", "unrelated")
"""Sets of what is no reference lot."""
SHIFTED: Final = (*SHIFTED_LABELLED, *SHIFTED_STRANGE)
PER_SCENE: Final = TILES_PER_SIDE**2
HASH_DIGITS: Final = 12


def benchmark_set(name: str, cache: Path, *, jobs: int | None = None) -> TileDataset:
    """One set of the benchmark, from disk where it was made before.

    Args:
        name: Of the set, such as "reference" (59,690 tiles, about a quarter of an hour on two
            cores).
        cache: Folder of rendered data, `.lotwise/data`.
        jobs: Processes; None for one a core.

    Raises:
        KeyError: There is no such set.
        DatasetError: BENCHMARK_DIFFERS: this machine makes other tiles than those that are frozen.
    """
    parts = benchmark_v1()[name]
    hashes = {lot: each.whole[:HASH_DIGITS] for lot, each in frozen()[2][name].items()}
    folder = cache / "benchmark-v1" / name
    files = {
        part_name(part): folder / f"{part_name(part)}-{hashes[part_name(part)]}.npy"
        for part in parts
    }
    folder.mkdir(parents=True, exist_ok=True)
    # Commands that run side by side need the same tiles: one makes them, the others wait.
    with FileLock(folder / "making.lock"):
        _make(name, [part for part in parts if not files[part_name(part)].exists()], files, jobs)
    images = np.concatenate([np.load(file) for file in files.values()])
    lots, scenes, _ = tile_places(name)
    # Scenes numbered through all lots: no two lots share one.
    regions = np.unique(lots * (scenes.max() + 1) + scenes, return_inverse=True)[1]
    table = lot_table(parts)
    return TileDataset(
        images=images,
        um_per_px=GEOMETRY.um_per_px,
        lots=lots,
        regions=regions.astype(np.int64),
        table=table,
        version=dataset_version(images, GEOMETRY.um_per_px, lots, regions.astype(np.int64), table),
    )


def lot_table(parts: Sequence[Part]) -> LotTable:
    """What a laboratory would know of these lots: means of tests and of experts' scores."""
    recipes = {lot.lot_id: str(recipe_of(lot.lot_id)) for lot in reference_lots()}
    lots = [part.lot if isinstance(part, LotOfTiles) else None for part in parts]
    names = tuple(part_name(part) for part in parts)
    return LotTable(
        lot_ids=names,
        recipes=tuple(recipes.get(name, name) for name in names),
        property_name=PROPERTY,
        unit=UNIT,
        values=np.array([lot.strength_tests().mean() if lot else np.nan for lot in lots]),
        attribute_names=ATTRIBUTE_NAMES,
        attributes=np.array(
            [
                lot.expert_scores().mean(axis=0) if lot else np.full(len(ATTRIBUTE_NAMES), np.nan)
                for lot in lots
            ]
        ),
        origins=tuple(SIMULATED if lot else "photographs" for lot in lots),
    )


def tile_places(name: str) -> tuple[Numbers, Numbers, Numbers]:
    """Where the tiles of a set come from, in the order of its dataset.

    Args:
        name: Of the set.

    Returns:
        int64 [N] each: number of the lot in the set, of its scene, of the place in the scene.
    """
    counts = [part.n_tiles for part in benchmark_v1()[name]]
    within = np.concatenate([np.arange(count) for count in counts])
    return np.repeat(np.arange(len(counts)), counts), within // PER_SCENE, within % PER_SCENE


def render_places(name: str, tiles: Numbers, *, jobs: int | None = None) -> Images:
    """Make some tiles of a set anew; whole scenes are drawn, so choose tiles scene by scene.

    Args:
        name: Of the set.
        tiles: int [n], numbers of tiles in the order of the set's dataset.
        jobs: Processes; None for one a core.

    Returns:
        uint8 [n, 64, 64], in the order of `tiles`.
    """
    lots, scenes, places = (numbers[tiles] for numbers in tile_places(name))
    orders = [
        _SceneOrder(name, int(lot), int(scene), tuple(places[rows].tolist()), tuple(rows.tolist()))
        for lot, scene in sorted(set(zip(lots.tolist(), scenes.tolist(), strict=True)))
        for rows in [np.flatnonzero((lots == lot) & (scenes == scene))]
    ]
    made = np.empty((len(tiles), PX, PX), dtype=np.uint8)
    with _pool(jobs) as pool, _progress(f"make {name} anew", len(tiles)) as (progress, task):
        for order, images in zip(orders, pool.map(_render_scene, orders), strict=True):
            made[list(order.rows)] = images
            progress.advance(task, len(images))
    return made


@dataclass(frozen=True)
class _SceneOrder:
    """Places of one scene, and the rows of the answer that they fill."""

    name: str
    lot: int
    scene: int
    places: tuple[int, ...]
    rows: tuple[int, ...]


def _render_scene(order: _SceneOrder) -> Images:
    part = benchmark_v1()[order.name][order.lot]
    if isinstance(part, LotOfTiles):
        tiles = scene_tiles(
            part.lot,
            order.places,
            part.instrument,
            region=part.region,
            scene=order.scene,
            tiles_per_side=TILES_PER_SIDE,
        )
    else:
        pictures = part.tiles(order.scene * PER_SCENE + max(order.places) + 1)
        tiles = [pictures[order.scene * PER_SCENE + place] for place in order.places]
    return np.stack([resample_area(tile.image, PX) for tile in tiles])


def _make(name: str, parts: Sequence[Part], files: dict[str, Path], jobs: int | None) -> None:
    if not parts:
        return
    total = sum(part.n_tiles for part in parts)
    with _pool(jobs) as pool, _progress(f"make {name}", total) as (progress, task):
        waiting = {pool.submit(_make_part, name, p, files[part_name(p)]): p for p in parts}
        try:
            for done in as_completed(waiting):
                done.result()
                progress.advance(task, waiting[done].n_tiles)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _make_part(name: str, part: Part, file: Path) -> None:
    """Make one lot, compare it with its frozen hash and keep it small."""
    digest = hashlib.sha256()
    images = np.empty((part.n_tiles, PX, PX), dtype=np.uint8)
    for number, tile in enumerate(part.tiles()):
        digest.update(tile.image.tobytes())
        images[number] = resample_area(tile.image, PX)
    if digest.hexdigest() != frozen()[2][name][part_name(part)].whole:
        raise DatasetError(
            "BENCHMARK_DIFFERS",
            f"{name}/{part_name(part)} is not as frozen. `python -m lotwise_simulator benchmark "
            "check` says more; install the pinned versions of numpy, scipy and numba.",
        )
    write_array(file, images)


def _pool(jobs: int | None) -> ProcessPoolExecutor:
    # Spawned, because a fork of a process in which torch runs threads can hang.
    return ProcessPoolExecutor(
        jobs or len(os.sched_getaffinity(0)), mp_context=multiprocessing.get_context("spawn")
    )


@contextmanager
def _progress(title: str, total: int) -> Iterator[tuple[Progress, TaskID]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress, progress.add_task(f"{title}, tiles", total=total)
