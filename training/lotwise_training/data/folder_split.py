"""Splits a user's own lots, so that nothing calibrates on what training or selection has seen.

Tiles of a region, which is a picture or those that `tiles.csv` joins, stay on one side. A lot of
fewer than four regions is split inside its pictures, into blocks at their corners with one field of
view left out around each, so that no tile of one part touches a tile of another.
"""

from __future__ import annotations

import math
from itertools import count
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lotwise.core.calibration_fit import LEAST_TILES
from lotwise_training.data.tiles import DatasetError, Numbers, TileDataset

Mask = npt.NDArray[np.bool_]

SHARE: Final = 0.1
"""Of a lot's regions or tiles, for each part but training."""
LEAST_REGIONS: Final = 4
"""For a part each; lots of fewer are split inside their pictures."""


class FolderSplit(NamedTuple):
    """Numbers of tiles, int64 and rising, and sentences on lots that need another treatment."""

    train: Numbers
    validation: Numbers
    test: Numbers
    calibration: Numbers
    remarks: tuple[str, ...]


Parts = tuple[Numbers, Numbers, Numbers, Numbers]
"""Tiles of one lot to train, validate, test and calibrate."""


def split_lots(data: TileDataset, tiles: Numbers, seed: int) -> FolderSplit:
    """Split tiles of each lot into four parts; into three, where one lot cannot carry four.

    Args:
        data: Lots of a folder, with positions.
        tiles: int64 [n], the tiles to split.
        seed: Of the draw.

    Raises:
        DatasetError: REGIONS_TOO_FEW: a lot cannot even be split into three.
    """
    lots = np.unique(data.lots[tiles])
    rows = [tiles[data.lots[tiles] == lot] for lot in lots]
    parts = [divide_lot(data, of_lot, seed, calibrate=True) for of_lot in rows]
    too_small = [of_lot for of_lot, part in zip(rows, parts, strict=True) if part is None]
    if too_small:
        parts = [divide_lot(data, of_lot, seed, calibrate=False) for of_lot in rows]
    for of_lot, part in zip(rows, parts, strict=True):
        if part is None:
            raise DatasetError(
                "REGIONS_TOO_FEW",
                f"Lot {_stated(data, of_lot)}; a split needs three regions, or a picture of 3 x 3 "
                "fields of view or of five in a row. Add pictures, or leave the lot out.",
            )
    complete = [part for part in parts if part is not None]
    joined = (np.sort(np.concatenate(part)) for part in zip(*complete, strict=True))
    remarks = []
    # Only where a picture is cut do tiles stand on no side.
    if inside := [
        data.table.lot_ids[data.lots[of_lot[0]]]
        for of_lot, part in zip(rows, complete, strict=True)
        if sum(map(len, part)) < len(of_lot)
    ]:
        remarks.append(
            "Split inside their pictures, with one field of view left out between the parts, "
            f"because they have fewer than {LEAST_REGIONS} regions: {', '.join(inside)}."
        )
    if too_small:
        needs = (f"{_stated(data, each)} and needs {_needed(data, each)}" for each in too_small)
        remarks.append(
            "No tiles are kept to calibrate on, because these lots are too small: lot "
            f"{'; lot '.join(needs)}."
        )
    train, validation, test, calibration = joined
    return FolderSplit(train, validation, test, calibration, tuple(remarks))


def divide_lot(data: TileDataset, rows: Numbers, seed: int, *, calibrate: bool) -> Parts | None:
    """Divide one lot; None where it is too small.

    At least as many tiles train as calibrate.

    Args:
        data: Lots of a folder, with positions.
        rows: int64 [n], tiles of the lot.
        seed: Of the draw.
        calibrate: Whether a part is kept to calibrate on: the larger of 10 tiles and a tenth.
    """
    rng = np.random.default_rng([seed, int(data.lots[rows[0]])])
    needed = calibration_tiles(len(rows)) if calibrate else 0
    inside = _few(data, rows)
    found = _inside_pictures(data, rows, rng, needed) if inside else None
    parts = found if inside else _by_region(data, rows, rng, needed)
    if parts is None or len(parts[0]) < max(1, len(parts[3])):
        return None
    return parts


def calibration_tiles(tiles: int) -> int:
    """How many tiles of a lot of `tiles` calibrate."""
    return max(LEAST_TILES, math.ceil(SHARE * tiles))


def _few(data: TileDataset, rows: Numbers) -> bool:
    return len(np.unique(data.regions[rows])) < LEAST_REGIONS


def _stated(data: TileDataset, rows: Numbers) -> str:
    regions = len(np.unique(data.regions[rows]))
    name = data.table.lot_ids[data.lots[rows[0]]]
    tiles = f"{len(rows)} tile{'s' * (len(rows) > 1)}"
    return f"{name} has {tiles} in {regions} region{'s' * (regions > 1)}"


def _needed(data: TileDataset, rows: Numbers) -> str:
    """How many regions of the lot's mean size carry four parts."""
    size = len(rows) / len(np.unique(data.regions[rows]))
    for regions in count(LEAST_REGIONS):
        calibration = math.ceil(calibration_tiles(round(regions * size)) / size)
        if regions - calibration - 2 * _share(regions) >= calibration:
            break
    return f"about {regions} such regions"


def _share(number: int) -> int:
    return max(1, round(SHARE * number))


def _by_region(data: TileDataset, rows: Numbers, rng: np.random.Generator, needed: int) -> Parts:
    regions = data.regions[rows]
    drawn = rng.permutation(np.unique(regions))
    sizes = np.array([np.count_nonzero(regions == region) for region in drawn])
    calibration = int(np.searchsorted(np.cumsum(sizes), needed)) + 1 if needed else 0
    share = _share(len(drawn))
    cuts = np.cumsum([calibration, share, share])
    calibrating, testing, validating, training = (
        rows[np.isin(regions, part)] for part in np.split(drawn, cuts)
    )
    return training, validating, testing, calibrating


def _inside_pictures(
    data: TileDataset, rows: Numbers, rng: np.random.Generator, needed: int
) -> Parts | None:
    """Blocks of a lot's tiles; what is left of them all, less their margins, trains."""
    assert data.positions is not None
    positions, regions = data.positions[rows], data.regions[rows]
    for share in dict.fromkeys((_share(len(rows)), 1)):
        free = np.ones(len(rows), dtype=np.bool_)
        blocks = []
        for tiles in (needed, share, share):
            block = _block(positions, regions, free, tiles, rng) if tiles else np.zeros_like(free)
            if block is None:
                break
            blocks.append(rows[block])
        if len(blocks) == 3 and free.any():
            calibrating, testing, validating = blocks
            return rows[free], validating, testing, calibrating
    return None


def _block(
    positions: Numbers, regions: Numbers, free: Mask, tiles: int, rng: np.random.Generator
) -> Mask | None:
    """The block of at least so many tiles that costs fewest; it and its margin are taken of `free`.

    Blocks are whole regions, and rectangles at a corner of a picture that is a region by itself;
    joined pictures may overlap, so they are not cut.

    Args:
        positions: int64 [n, 3], picture, row and column.
        regions: int64 [n].
        free: bool [n], tiles of no part so far; changed in place.
        tiles: How many, at least.
        rng: Chooses among blocks of the same cost.

    Returns:
        bool [n]; None where there is no such block.
    """
    best: tuple[int, float, Mask, Mask] | None = None
    for region in np.unique(regions):
        of_region = regions == region
        whole = free & of_region
        choices = [(whole, whole)] if whole.sum() == of_region.sum() else []
        if len(np.unique(positions[of_region, 0])) == 1:
            choices += _corner_blocks(positions[:, 1:], whole, of_region)
        for block, cost in choices:
            if block.sum() >= tiles:
                found = (int(cost.sum()), rng.random(), block, cost)
                best = found if best is None or found[:2] < best[:2] else best
    if best is None:
        return None
    free &= ~best[3]
    return best[2]


def _corner_blocks(cells: Numbers, free: Mask, picture: Mask) -> list[tuple[Mask, Mask]]:
    """Every rectangle at a corner of a picture: its free tiles, and those with their margin.

    Args:
        cells: int64 [n, 2], row and column.
        free: bool [n], the picture's free tiles.
        picture: bool [n], all of the picture's tiles.
    """
    low, high = cells[picture].min(axis=0), cells[picture].max(axis=0)
    found = []
    for row_from_end, column_from_end in np.ndindex(2, 2):
        rows = high[0] - cells[:, 0] if row_from_end else cells[:, 0] - low[0]
        columns = high[1] - cells[:, 1] if column_from_end else cells[:, 1] - low[1]
        for height, width in np.ndindex(*(high - low + 1)):
            block = free & (rows <= height) & (columns <= width)
            found.append((block, free & (rows <= height + 1) & (columns <= width + 1)))
    return found
