"""Benchmark v1 as hashes and as files."""

import csv
import hashlib
import json
import multiprocessing
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np

from lotwise_simulator.attributes import ATTRIBUTE_NAMES
from lotwise_simulator.benchmark import (
    VERSION,
    LotOfTiles,
    Part,
    benchmark_v1,
    parts,
    recipe_of,
    reference_lots,
)
from lotwise_simulator.files import write_lot

FROZEN: Final = "benchmark_v1.json"
FIRST_TILES: Final = 10
"""Tiles of the short hash: the first row of a lot's first mosaic."""
LOTS_TABLE: Final = "lots.csv"
PROPERTY: Final = "peak stress"
UNIT: Final = "psi"


@dataclass(frozen=True, slots=True)
class PartHash:
    """SHA-256 of a lot's grey levels, tile after tile, row after row.

    Attributes:
        tiles: how many tiles the lot has.
        first: of its first ``FIRST_TILES`` tiles.
        whole: of all; empty where only the first were made.
    """

    tiles: int
    first: str
    whole: str = ""


def part_name(part: Part) -> str:
    """The lot's name, or "pictures"."""
    return part.lot.lot_id if isinstance(part, LotOfTiles) else "pictures"


def hash_part(part: Part, *, whole: bool = True) -> PartHash:
    """Make the tiles of one lot and hash them."""
    tiles = part.tiles() if whole else part.tiles(FIRST_TILES)
    digest = hashlib.sha256()
    first = ""
    for number, tile in enumerate(tiles, start=1):
        digest.update(tile.image.tobytes())
        if number == FIRST_TILES:
            first = digest.hexdigest()
    return PartHash(part.n_tiles, first, digest.hexdigest() if whole else "")


def definition_sha256() -> str:
    """Hash of everything that defines the benchmark: attributes, seeds, instruments, counts.

    Floats are hashed to their last bit; it takes no time, and it tells a changed definition from a
    changed renderer.
    """
    lines = []
    for name, part in parts():
        if isinstance(part, LotOfTiles):
            numbers = (*astuple(part.lot.attributes), part.lot.fracture, *astuple(part.instrument))
            words = [part.lot.lot_id, str(part.lot.seed), str(part.region)]
            words += [float(number).hex() for number in numbers]
        else:
            words = [str(part.seed)]
        lines.append(" ".join([name, str(part.n_tiles), *words]))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


Hashes = Mapping[str, Mapping[str, PartHash]]


def benchmark_sha256(hashes: Hashes) -> str:
    """One hash over the hashes of all lots."""
    lines = [
        f"{name} {lot} {part.tiles} {part.whole}"
        for name, lots in hashes.items()
        for lot, part in lots.items()
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def chosen_parts(*, only_first_lot: bool = False) -> list[tuple[str, Part]]:
    """All lots with their set's name, or only the first lot of each set."""
    return [
        (name, part)
        for name, lots in benchmark_v1().items()
        for part in (lots[:1] if only_first_lot else lots)
    ]


def hash_benchmark(
    *,
    whole: bool = True,
    only_first_lot: bool = False,
    jobs: int | None = None,
    on_part: Callable[[Part], None] = lambda _: None,
) -> dict[str, dict[str, PartHash]]:
    """Hash every lot of the benchmark, in as many processes as asked for.

    Args:
        whole: all tiles (about 20 minutes on two cores), or the first of each lot.
        only_first_lot: only the first lot of each set.
        jobs: processes; None for one a core.
        on_part: called as each lot is done.
    """
    chosen = chosen_parts(only_first_lot=only_first_lot)
    hashes: dict[str, dict[str, PartHash]] = {name: {} for name, _ in chosen}
    # Spawned: a fork of a process that runs threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        work = [(name, part, pool.submit(hash_part, part, whole=whole)) for name, part in chosen]
        for name, part, result in work:
            hashes[name][part_name(part)] = result.result()
            on_part(part)
    return hashes


def to_json(hashes: Hashes) -> str:
    """The frozen file's text."""
    document = {
        "version": VERSION,
        "definition_sha256": definition_sha256(),
        "tiles": sum(part.tiles for lots in hashes.values() for part in lots.values()),
        "sha256": benchmark_sha256(hashes),
        "sets": {
            name: {
                lot: {"tiles": part.tiles, "first": part.first, "whole": part.whole}
                for lot, part in lots.items()
            }
            for name, lots in hashes.items()
        },
    }
    return json.dumps(document, indent=1) + "\n"


def frozen() -> tuple[str, str, dict[str, dict[str, PartHash]]]:
    """Definition hash, total hash and hashes of the lots, as they were frozen."""
    document = json.loads((files("lotwise_simulator") / FROZEN).read_text(encoding="utf-8"))
    hashes = {
        name: {lot: PartHash(**part) for lot, part in lots.items()}
        for name, lots in document["sets"].items()
    }
    return document["definition_sha256"], document["sha256"], hashes


def differences(hashes: Hashes) -> list[str]:
    """Lots whose tiles are not those that were frozen, as "set/lot"."""
    _, _, expected = frozen()
    differing = []
    for name, lots in hashes.items():
        for lot, part in lots.items():
            wanted = expected[name][lot]
            same = part.first == wanted.first and part.tiles == wanted.tiles
            if not same or (part.whole and part.whole != wanted.whole):
                differing.append(f"{name}/{lot}")
    return differing


def write_set(folder: Path, name: str, n_tiles: int | None, lots: Collection[str] = ()) -> int:
    """Write one set: a folder of PNG tiles a lot, and ``lots.csv`` with what a laboratory knows.

    The table holds the mean of two strength tests and of two experts' scores, never the truth;
    that stands in each lot's ``tiles.csv``.

    Args:
        folder: where to; made where it is missing.
        name: of the set.
        n_tiles: tiles a lot; None for all.
        lots: names of lots; none for all of the set.

    Returns:
        How many tiles were written.

    Raises:
        ValueError: no such set, or no such lot in it.
    """
    sets = benchmark_v1()
    if name not in sets:
        raise ValueError(f"no set {name!r}: there are {', '.join(sets)}")
    known = {part_name(part): part for part in sets[name]}
    if missing := sorted(set(lots) - known.keys()):
        raise ValueError(f"no lot {missing[0]!r} in {name}")
    chosen = [known[lot] for lot in lots] if lots else list(sets[name])
    written = 0
    for part in chosen:
        tiles = part.tiles(n_tiles)
        lot = part.lot if isinstance(part, LotOfTiles) else None
        write_lot(folder / part_name(part), tiles, lot)
        written += len(tiles)
    _write_table(folder / LOTS_TABLE, chosen)
    return written


def _write_table(path: Path, chosen: Iterable[Part]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["lot_id", "recipe", "property", "value", "unit", *ATTRIBUTE_NAMES, "origin"]
        )
        for part in chosen:
            if isinstance(part, LotOfTiles):
                scores = np.round(part.lot.expert_scores().mean(axis=0), 3)
                value = round(float(part.lot.strength_tests().mean()), 1)
                name = part.lot.lot_id
                # Repeats share a recipe; every other lot is the only one of its own.
                known = any(name == lot.lot_id for lot in reference_lots())
                recipe = recipe_of(name) if known else name
                writer.writerow(
                    [name, recipe, PROPERTY, value, UNIT, *scores.tolist(), "simulated"]
                )
