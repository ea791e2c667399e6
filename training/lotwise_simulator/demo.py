"""The four lots of the demo: one lot in three states, and pictures that are no SEM at all."""

from pathlib import Path
from typing import Final

from lotwise_simulator.benchmark import FILAMENTS, ground_lots, reference_lots
from lotwise_simulator.files import write_lot
from lotwise_simulator.lots import mosaic
from lotwise_simulator.unrelated import unrelated_tiles

REGION: Final = 1_000
"""A patch of the lots that no set of benchmark v1 reaches: its tiles are new."""
KNOWN: Final = "R20"
"""The reference lot from which the first ground lot of benchmark v1 was ground."""
FILAMENT: Final = "filament_soft"


def write_demo_lots(folder: Path, count: int) -> tuple[Path, ...]:
    """Write the demo's lots, a folder each.

    - known: new tiles of a reference lot of benchmark v1,
    - filament: the same crystals after a change of the filament,
    - ground: that lot ground after synthesis,
    - pictures: photographs bundled with scikit-image.

    Args:
        folder: Where to.
        count: Tiles a lot.

    Returns:
        The folders in this order.

    Raises:
        ValueError: a count below 1.
    """
    known = next(lot for lot in reference_lots() if lot.lot_id == KNOWN)
    ground = ground_lots()[0]
    changed = FILAMENTS[FILAMENT]
    name = known.lot_id
    write_lot(
        folder / "known", mosaic(known, count, region=REGION), known, lot_id=f"{name}, new tiles"
    )
    write_lot(
        folder / "filament",
        mosaic(known, count, changed, region=REGION),
        known,
        lot_id=f"{name}, new filament",
    )
    write_lot(
        folder / "ground", mosaic(ground, count, region=REGION), ground, lot_id=f"{name}, ground"
    )
    write_lot(folder / "pictures", unrelated_tiles(count), None, lot_id="photographs")
    return tuple(folder / each for each in ("known", "filament", "ground", "pictures"))
