"""Renders tiles of simulated lots in parallel and keeps them on disk.

The cache's folder is named by the hash of what defines the tiles: the lots, the instrument, the
counts, and the program of the simulator and of the resampling. A changed simulator therefore
renders anew; a reworded comment or docstring does not.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from filelock import FileLock

import lotwise_simulator
from lotwise.core.preprocessing import resample_area
from lotwise_simulator.instrument import NOMINAL, InstrumentState
from lotwise_simulator.lots import SCENE_TILES, Lot, mosaic
from lotwise_training.data.processes import parallel_map
from lotwise_training.store.arrays import save_arrays

Images = npt.NDArray[np.uint8]

HASH_DIGITS: Final = 16
NO_PART_OF_A_TILE: Final = frozenset(
    {
        *("benchmark", "benchmark_command", "benchmark_files", "command"),
        *("contact_sheet", "demo", "files"),
    }
)
"""Modules of the simulator that only write, show or choose tiles. Any other, a new one too, counts
as a part of what the tiles look like."""
RESAMPLING: Final = inspect.getsource(resample_area)


@dataclass(frozen=True)
class RenderOrder:
    """Tiles to be rendered: `n_tiles` of one region of a lot, `px` pixels wide.

    A scene holds `tiles_per_side` squared tiles; another number gives another scene. `instrument`
    is the state of the microscope.
    """

    lot: Lot
    region: int
    n_tiles: int
    px: int
    tiles_per_side: int = SCENE_TILES
    instrument: InstrumentState = NOMINAL

    def definition(self) -> dict[str, Any]:
        """What its tiles follow from, in JSON's types; without what is as ever."""
        stated = dataclasses.asdict(self)
        if self.instrument == NOMINAL:
            # So that what was rendered before there was another is still known by its hash.
            del stated["instrument"]
        return stated


def render(order: RenderOrder) -> Images:
    """Render one order: uint8 [n_tiles, px, px].

    Tiles are brought to `px` by the function that serving uses, so training and serving cannot
    differ in it.
    """
    tiles = mosaic(
        order.lot,
        order.n_tiles,
        order.instrument,
        region=order.region,
        tiles_per_side=order.tiles_per_side,
    )
    return np.stack([resample_area(tile.image, order.px) for tile in tiles])


def rendered(
    name: str, sets: Mapping[str, Sequence[RenderOrder]], cache: Path
) -> tuple[dict[str, Images], str]:
    """Sets of tiles, from disk where they were rendered before.

    Args:
        name: Name of the file in the cache.
        sets: Orders by the name of the set.
        cache: Folder of rendered data.

    Returns:
        uint8 [N, px, px] a set, in the order of its orders, and the hash of their definition.
    """
    fingerprint = _fingerprint(sets)
    path = cache / fingerprint / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Commands that run side by side need the same tiles: one renders them, the others wait.
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            _render_all(sets, path, f"render the {name} tiles")
    with np.load(path) as stored:
        return {key: stored[key] for key in sets}, fingerprint


def _render_all(sets: Mapping[str, Sequence[RenderOrder]], path: Path, title: str) -> None:
    orders = [order for ordered in sets.values() for order in ordered]
    images = iter(parallel_map(render, orders, title=title))
    built = {key: np.concatenate([next(images) for _ in ordered]) for key, ordered in sets.items()}
    save_arrays(path, built)


def _fingerprint(sets: Mapping[str, Sequence[RenderOrder]]) -> str:
    definition = {key: [order.definition() for order in sets[key]] for key in sets}
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True).encode())
    sources = [Path(folder) for folder in lotwise_simulator.__path__]
    files = sorted(
        file
        for folder in sources
        for file in folder.glob("[!_]*.py")
        if file.stem not in NO_PART_OF_A_TILE
    )
    for source in (*(file.read_text(encoding="utf-8") for file in files), RESAMPLING):
        digest.update(_program(source).encode())
    return digest.hexdigest()[:HASH_DIGITS]


def _program(source: str) -> str:
    """The syntax tree of a program as text, without the texts that only people read."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [statement for statement in body if not _is_text(statement)]
    return ast.dump(tree)


def _is_text(statement: ast.AST) -> bool:
    """Whether a statement is a docstring: a text that stands alone."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
