"""Command line: a contact sheet, or a lot's tiles as PNG files.

    python -m lotwise_simulator sheet OUT.png
    python -m lotwise_simulator tiles --lot A --count 16 OUT_DIR

Lots are A..J, T01..T40 and ground.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lotwise_simulator.attributes import ATTRIBUTE_NAMES
from lotwise_simulator.contact_sheet import write_sheet
from lotwise_simulator.lots import Lot, mosaic
from lotwise_simulator.reference import ground_lot, reference_lots, tested_lots

SIDECAR = "tiles.csv"


def find_lot(lot_id: str) -> Lot:
    """A lot of the development set by name: A..J, T01..T40 or ground.

    Raises:
        ValueError: no such lot.
    """
    for lot in (*reference_lots(), *tested_lots(), ground_lot()):
        if lot.lot_id == lot_id:
            return lot
    raise ValueError(f"no lot {lot_id!r}: the simulated lots are A..J, T01..T40 and ground")


def write_tiles(lot: Lot, count: int, folder: Path, *, seed: int = 0, region: int = 0) -> None:
    """Write tiles as grey PNG files, with a sidecar ``tiles.csv`` of one line a tile.

    Raises:
        ValueError: a count below 1, or a negative seed or region.
    """
    tiles = mosaic(lot, count, seed=seed, region=region)
    folder.mkdir(parents=True, exist_ok=True)
    label = PngInfo()
    label.add_text("Comment", "simulated by lotwise_simulator")
    truth = [f"{getattr(lot.attributes, name):.6f}" for name in ATTRIBUTE_NAMES]
    tests = " ".join(f"{value:.1f}" for value in lot.strength_tests())
    with (folder / SIDECAR).open("w", newline="", encoding="utf-8") as sidecar:
        writer = csv.writer(sidecar)
        writer.writerow(
            [
                *("file", "lot_id", "region", "scene", "row", "column", "um_per_px"),
                *ATTRIBUTE_NAMES,
                *("peak_stress_psi", "strength_tests_psi", "origin"),
            ]
        )
        for tile in tiles:
            place = [tile.region, tile.scene, tile.row, tile.column]
            name = "_".join([lot.lot_id, *(str(number) for number in place)]) + ".png"
            Image.fromarray(tile.image).save(folder / name, pnginfo=label)
            stress = f"{lot.peak_stress_psi:.1f}"
            writer.writerow(
                [name, lot.lot_id, *place, tile.um_per_px, *truth, stress, tests, "simulated"]
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="lotwise_simulator", description="Simulated SEM lots.")
    commands = parser.add_subparsers(dest="command", required=True)
    sheet = commands.add_parser("sheet", help="write a labelled contact sheet")
    sheet.add_argument("path", type=Path, metavar="OUT.png")
    tiles = commands.add_parser("tiles", help="write tiles of one lot and a CSV of their truth")
    tiles.add_argument("--lot", default="A", help="A..J, T01..T40 or ground")
    tiles.add_argument("--count", type=int, default=16)
    tiles.add_argument("--seed", type=int, default=0, help="of the acquisition")
    tiles.add_argument("--region", type=int, default=0, help="patch of the lot")
    tiles.add_argument("folder", type=Path, metavar="OUT_DIR")
    options = parser.parse_args(arguments)
    try:
        if options.command == "sheet":
            write_sheet(options.path)
        else:
            lot = find_lot(options.lot)
            write_tiles(
                lot, options.count, options.folder, seed=options.seed, region=options.region
            )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
