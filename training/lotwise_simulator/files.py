"""Tiles on disk, as an instrument would leave them, and beside them what is true of them.

- ``*.png``: grey, with its pixel size in the pHYs chunk and the word "simulated" in a comment.
- ``lot.json``: the lot's name and that it is simulated; ``lotwise screen`` reads it.
- ``tiles.csv``: place of each tile, and the lot's true attributes and stress.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lotwise_simulator.attributes import ATTRIBUTE_NAMES
from lotwise_simulator.lots import Lot, Tile

TRUTH: Final = "tiles.csv"
SIDECAR: Final = "lot.json"
_UM_PER_INCH: Final = 25_400.0


def write_lot(
    folder: Path, tiles: Sequence[Tile], lot: Lot | None, *, lot_id: str | None = None
) -> None:
    """Write the tiles of one lot.

    Args:
        folder: Made where it is missing; files of the same name are replaced.
        tiles: What to write.
        lot: The truth; None for pictures that are no simulated lot.
        lot_id: Name to go by, such as that of a lot under another instrument.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = lot_id or (lot.lot_id if lot else tiles[0].lot_id)
    sidecar: dict[str, object] = {"lot_id": name, "simulated": lot is not None}
    if lot is None:
        # Such pictures have no scale of their own; stating one is what lets them be judged.
        sidecar["um_per_px"] = tiles[0].um_per_px
    (folder / SIDECAR).write_text(json.dumps(sidecar) + "\n", encoding="utf-8")
    rows = []
    for tile in tiles:
        place = (tile.region, tile.scene, tile.row, tile.column)
        file = "_".join(["tile", *(f"{number:02d}" for number in place)]) + ".png"
        _write_png(folder / file, tile, simulated=lot is not None)
        rows.append([file, name, *place, tile.um_per_px])
    if lot is not None:
        _write_truth(folder / TRUTH, rows, lot)


def _write_png(path: Path, tile: Tile, *, simulated: bool) -> None:
    picture = Image.fromarray(tile.image)
    if not simulated:
        picture.save(path)
        return
    label = PngInfo()
    label.add_text("Comment", "simulated by lotwise_simulator")
    per_inch = _UM_PER_INCH / tile.um_per_px
    picture.save(path, pnginfo=label, dpi=(per_inch, per_inch))


def _write_truth(path: Path, rows: Sequence[Sequence[object]], lot: Lot) -> None:
    truth = [f"{getattr(lot.attributes, name):.6f}" for name in ATTRIBUTE_NAMES]
    tests = " ".join(f"{value:.1f}" for value in lot.strength_tests())
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                *("file", "lot_id", "region", "scene", "row", "column", "um_per_px"),
                *ATTRIBUTE_NAMES,
                *("peak_stress_psi", "strength_tests_psi", "origin"),
            ]
        )
        for row in rows:
            writer.writerow([*row, *truth, f"{lot.peak_stress_psi:.1f}", tests, "simulated"])
