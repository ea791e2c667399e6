"""Benchmark v1 as datasets at the scale that the committee sees.

Every lot is made once, in parallel, compared with its frozen hash, brought to 64 x 64 px with the
function that serving uses, and kept on disk. A file's name holds the frozen hash, so nothing else
can be taken for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from filelock import FileLock

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
from lotwise_training.data.processes import parallel_map
from lotwise_training.data.tiles import (
    SIMULATED,
    DatasetError,
    Images,
    LotTable,
    Numbers,
    TileDataset,
    simulated_dataset,
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


def benchmark_set(name: str, cache: Path) -> TileDataset:
    """One set of the benchmark, from disk where it was made before.

    Args:
        name: Of the set, such as "reference" (59,690 tiles, about a quarter of an hour on two
            cores).
        cache: Folder of rendered data, `.lotwise/data`.

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
        missing = [part for part in parts if not files[part_name(part)].exists()]
        made = [files[part_name(part)] for part in missing]
        parallel_map(partial(_make_part, name), missing, made, title=f"make {name}")
    images = np.concatenate([np.load(file) for file in files.values()])
    lots, scenes, _ = tile_places(name)
    return simulated_dataset(images, GEOMETRY.um_per_px, lots, scenes, lot_table(parts))


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

    Returns:
        int64 [N] each: number of the lot in the set, of its scene, of the place in the scene.
    """
    counts = [part.n_tiles for part in benchmark_v1()[name]]
    within = np.concatenate([np.arange(count) for count in counts])
    return np.repeat(np.arange(len(counts)), counts), within // PER_SCENE, within % PER_SCENE


def render_places(name: str, tiles: Numbers) -> Images:
    """Make some tiles of a set anew; whole scenes are drawn, so choose tiles scene by scene.

    Args:
        name: Of the set.
        tiles: int [n], numbers of tiles in the order of the set's dataset.

    Returns:
        uint8 [n, 64, 64], in the order of `tiles`.
    """
    lots, scenes, places = (numbers[tiles] for numbers in tile_places(name))
    drawn = np.unique(np.stack([lots, scenes], axis=1), axis=0).tolist()
    rows = [np.flatnonzero((lots == lot) & (scenes == scene)) for lot, scene in drawn]
    wanted = [tuple(places[each].tolist()) for each in rows]
    found = parallel_map(partial(_render_scene, name), drawn, wanted, title=f"make {name} anew")
    made = np.empty((len(tiles), PX, PX), dtype=np.uint8)
    made[np.concatenate(rows)] = np.concatenate(found)
    return made


def _render_scene(name: str, drawn: Sequence[int], places: tuple[int, ...]) -> Images:
    """Tiles at some places of a scene; `drawn` is the number of the lot and of its scene."""
    lot, scene = drawn
    part = benchmark_v1()[name][lot]
    if isinstance(part, LotOfTiles):
        tiles = scene_tiles(
            part.lot,
            places,
            part.instrument,
            region=part.region,
            scene=scene,
            tiles_per_side=TILES_PER_SIDE,
        )
    else:
        pictures = part.tiles(scene * PER_SCENE + max(places) + 1)
        tiles = [pictures[scene * PER_SCENE + place] for place in places]
    return np.stack([resample_area(tile.image, PX) for tile in tiles])


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
