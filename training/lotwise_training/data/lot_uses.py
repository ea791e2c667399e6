"""What each lot of a folder is good for, before anything is trained."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lotwise_training.data.folder_split import divide_lot, split_lots
from lotwise_training.data.splits import LEAST_LEARNED
from lotwise_training.data.tiles import DatasetError, TileDataset

USES = ("committee", "policy", "regressor", "intervals")


def lot_uses(data: TileDataset) -> list[tuple[bool, bool, bool, bool]]:
    """Whether each lot can be used for each of `USES`."""
    values, recipes = data.table.values, np.array(data.table.recipes)
    tested = ~np.isnan(values)
    known = values[tested]
    enough = len(known) > 1 and np.ptp(known) > 0.0
    # For intervals one recipe with values is held out, and the others are learned from.
    held_out = len(set(recipes[tested])) > LEAST_LEARNED
    several = len(values) > 1
    found = []
    for lot in range(len(values)):
        rows = np.flatnonzero(data.lots == lot)
        split, policy = (
            divide_lot(data, rows, 0, calibrate=calibrate) is not None
            for calibrate in (False, True)
        )
        learned = bool(split and enough and tested[lot])
        found.append((several and split, several and policy, learned, learned and held_out))
    return found


def show_lot_uses(data: TileDataset, console: Console) -> None:
    """Print what each lot is good for, and what the lots together make necessary."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("good for", *USES):
        table.add_column(heading)
    for name, uses in zip(data.table.lot_ids, lot_uses(data), strict=True):
        table.add_row(escape(name), *("yes" if use else "no" for use in uses))
    console.print()
    console.print(table)
    try:
        remarks = split_lots(data, np.arange(len(data)), 0).remarks
    except DatasetError as error:
        remarks = (str(error),)
    if len(data.table.lot_ids) < 2:
        remarks = (*remarks, "A committee tells lots apart, so it needs at least 2.")
    for remark in remarks:
        console.print(remark, markup=False, highlight=False, soft_wrap=True)
