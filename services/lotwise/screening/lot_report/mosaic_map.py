"""Entropy over the mosaic, as a grid that stays small however large the mosaic is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from lotwise.screening.lot_report.gathering import Array, Columns, Marks, Whole

MOST_CELLS: Final = 200
"""Rows and columns of a grid; what has more is averaged."""
_WIDTH_TO_HEIGHT: Final = 2.0


@dataclass(frozen=True, eq=False)
class MosaicMap:
    """A grid of R rows and C columns.

    Attributes:
        entropy: float64 [R, C], nats, mean over the tiles of a cell; NaN where none has one.
        referred: bool [R, C], whether a tile of the cell is referred.
        failed: bool [R, C], whether one failed.
        top, left: Row and column of the first cell.
        step: Tiles along an edge of a cell.
        placed: Whether the places are known; else the tiles are in the order of their files.
        without_place: Tiles that are left out, as only others have a place.
    """

    entropy: Array
    referred: Marks
    failed: Marks
    top: int
    left: int
    step: int
    placed: bool
    without_place: int


def mosaic_map(columns: Columns) -> MosaicMap | None:
    """Where in the mosaic the committee is unsure.

    Args:
        columns: Of all tiles.

    Returns:
        None where there is no tile with an entropy.
    """
    if not np.isfinite(columns.entropy).any():
        return None
    placed = (columns.row >= 0) & (columns.column >= 0)
    if placed.any():
        chosen = np.flatnonzero(placed)
        row, column = columns.row[chosen], columns.column[chosen]
        without = len(columns.row) - len(chosen)
    else:
        chosen = np.arange(len(columns.entropy))
        width = max(1, math.ceil(math.sqrt(_WIDTH_TO_HEIGHT * len(chosen))))
        row, column = np.divmod(chosen, width)
        without = 0
    top, left = int(row.min()), int(column.min())
    row, column = row - top, column - left
    step = max(1, math.ceil((max(int(row.max()), int(column.max())) + 1) / MOST_CELLS))
    row, column = row // step, column // step
    shape = (int(row.max()) + 1, int(column.max()) + 1)
    entropy = columns.entropy[chosen]
    known = np.isfinite(entropy)
    totals, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(totals, (row[known], column[known]), entropy[known])
    np.add.at(counts, (row[known], column[known]), 1.0)
    return MosaicMap(
        entropy=np.divide(totals, counts, out=np.full(shape, np.nan), where=counts > 0),
        referred=_marked(shape, row, column, columns.referred[chosen]),
        failed=_marked(shape, row, column, columns.failed[chosen]),
        top=top,
        left=left,
        step=step,
        placed=bool(placed.any()),
        without_place=without,
    )


def _marked(shape: tuple[int, int], row: Whole, column: Whole, which: Marks) -> Marks:
    marks = np.zeros(shape, dtype=np.bool_)
    marks[row[which], column[which]] = True
    return marks
