"""Command line: contact sheets, a lot's tiles as PNG files, the demo's lots, benchmark v1.

    python -m lotwise_simulator sheet --of attributes OUT.png
    python -m lotwise_simulator tiles --lot R01 --count 16 OUT_DIR
    python -m lotwise_simulator demo --count 48 OUT_DIR
    python -m lotwise_simulator benchmark list
    python -m lotwise_simulator benchmark check --whole
    python -m lotwise_simulator benchmark write --set ground OUT_DIR

Lots are those of benchmark v1, R01..R30, G01..G10, B01..B20 and N001..N200, and those of the
development set, A..J, T01..T40 and ground.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lotwise_simulator import benchmark, benchmark_command
from lotwise_simulator.contact_sheet import SHEETS, write_sheet
from lotwise_simulator.demo import write_demo_lots
from lotwise_simulator.files import write_lot
from lotwise_simulator.lots import Lot, mosaic
from lotwise_simulator.reference import ground_lot, reference_lots, tested_lots

LOT_NAMES: Final = "R01..R30, G01..G10, B01..B20, N001..N200, A..J, T01..T40 and ground"
FIRST_LOT: Final = "R01"
"""The lot where none is named."""


def find_lot(lot_id: str) -> Lot:
    """A lot of benchmark v1 or of the development set by name.

    Raises:
        ValueError: no such lot.
    """
    lots = (
        *benchmark.reference_lots(),
        *benchmark.ground_lots(),
        *benchmark.between_lots(),
        *benchmark.new_lots(),
        *reference_lots(),
        *tested_lots(),
        ground_lot(),
    )
    for lot in lots:
        if lot.lot_id == lot_id:
            return lot
    raise ValueError(f"no lot {lot_id!r}: the simulated lots are {LOT_NAMES}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="lotwise_simulator", description="Simulated SEM lots.")
    commands = parser.add_subparsers(dest="command", required=True)
    sheet = commands.add_parser("sheet", help="write a labelled contact sheet")
    sheet.add_argument("--of", default="overview", choices=[*SHEETS, "mosaic"])
    sheet.add_argument("path", type=Path, metavar="OUT.png")
    one = commands.add_parser("tiles", help="write tiles of one lot and a CSV of their truth")
    one.add_argument("--lot", default=FIRST_LOT, help=LOT_NAMES)
    one.add_argument("--count", type=int, default=16)
    one.add_argument("--seed", type=int, default=0, help="of the acquisition")
    one.add_argument("--region", type=int, default=0, help="patch of the lot")
    one.add_argument("folder", type=Path, metavar="OUT_DIR")
    demo = commands.add_parser("demo", help="write the four lots of the demo, a folder each")
    demo.add_argument("--count", type=int, default=48, help="tiles a lot")
    demo.add_argument("folder", type=Path, metavar="OUT_DIR")
    benchmark_command.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        if options.command == "sheet":
            write_sheet(options.path, options.of)
        elif options.command == "benchmark":
            return benchmark_command.run(options)
        elif options.command == "demo":
            write_demo_lots(options.folder, options.count)
        else:
            lot = find_lot(options.lot)
            tiles = mosaic(lot, options.count, seed=options.seed, region=options.region)
            write_lot(options.folder, tiles, lot)
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
