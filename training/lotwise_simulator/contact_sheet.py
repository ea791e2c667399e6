"""A labelled contact sheet of what the simulator makes, for people to judge at a glance."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lotwise_simulator.attributes import ATTRIBUTE_NAMES, Attributes
from lotwise_simulator.faults import FAULTS
from lotwise_simulator.instrument import NOMINAL, after_filament_change
from lotwise_simulator.lots import TILE_PX, Lot, mosaic
from lotwise_simulator.reference import ground_lot, reference_lots
from lotwise_simulator.unrelated import unrelated_tiles

Cell = tuple[str, NDArray[np.uint8]]

SHOWN_PX: Final = 176
"""Tiles are cropped, not scaled, to this: every pixel stays as acquired and the file small."""
LABEL_PX: Final = 16
TITLE_PX: Final = 26
GAP_PX: Final = 4
GREY_LEVELS: Final = 16
"""Levels of the sheet's palette, again for the file's size."""
MIDDLE: Final = Attributes(size=0.5, porosity=0.35, polydispersity=0.4, facetness=0.6)
SHEET_SEED: Final = 7


def write_sheet(path: Path) -> None:
    """Write the sheet as a grey PNG.

    Raises:
        ValueError: ``path`` does not end in .png.
    """
    if path.suffix.lower() != ".png":
        raise ValueError(f"the sheet is a PNG file; got {path.name!r}")
    sheet = _lay_out([*_attribute_rows(), *_reference_rows(), _instrument_row(), *_odd_rows()])
    sheet.quantize(GREY_LEVELS, dither=Image.Dither.NONE).save(path, optimize=True)


def _first_tile(lot: Lot) -> NDArray[np.uint8]:
    return mosaic(lot, 1)[0].image


def _attribute_rows() -> list[list[Cell]]:
    """Each attribute low, middle and high, the others in the middle; two attributes a row."""
    cells: list[Cell] = []
    for name in ATTRIBUTE_NAMES:
        for value in (0.0, 0.5, 1.0):
            values = {other: getattr(MIDDLE, other) for other in ATTRIBUTE_NAMES}
            attributes = Attributes(**(values | {name: value}))
            cells.append((f"{name} {value:g}", _first_tile(Lot("sheet", attributes, SHEET_SEED))))
    return [cells[:6], cells[6:]]


def _reference_rows() -> list[list[Cell]]:
    cells = [
        (f"lot {lot.lot_id}: {lot.peak_stress_psi:,.0f} psi", _first_tile(lot))
        for lot in reference_lots()
    ]
    ground = mosaic(ground_lot(), 2)
    cells += [("ground lot", tile.image) for tile in ground]
    return [cells[:6], cells[6:]]


def _instrument_row() -> list[Cell]:
    """One scene seen by the same microscope in different states."""
    lot = Lot("sheet", MIDDLE, SHEET_SEED)
    states = {
        "nominal": NOMINAL,
        "filament change x0.5": after_filament_change(NOMINAL, 0.5),
        "filament change": after_filament_change(NOMINAL),
        "filament change x2": after_filament_change(NOMINAL, 2.0),
    }
    cells = [(label, mosaic(lot, 1, state)[0].image) for label, state in states.items()]
    cells.append(("same, another scan", mosaic(lot, 1, seed=1)[0].image))
    cells.append(("same lot, new region", mosaic(lot, 1, region=1)[0].image))
    return cells


def _odd_rows() -> list[list[Cell]]:
    image = _first_tile(Lot("sheet", MIDDLE, SHEET_SEED))
    faults = [(f"fault: {name.replace('_', ' ')}", fault(image)) for name, fault in FAULTS.items()]
    unrelated = [("unrelated", tile.image) for tile in unrelated_tiles(7, seed=1)]
    return [[*faults, unrelated[0]], unrelated[1:]]


def _lay_out(rows: Sequence[Sequence[Cell]]) -> Image.Image:
    pitch_x, pitch_y = SHOWN_PX + GAP_PX, SHOWN_PX + LABEL_PX + GAP_PX
    width = GAP_PX + pitch_x * max(len(row) for row in rows)
    sheet = Image.new("L", (width, TITLE_PX + pitch_y * len(rows)), 255)
    draw = ImageDraw.Draw(sheet)
    title = f"Lotwise simulator - every powder here is simulated. Cells are {SHOWN_PX} um wide."
    draw.text((GAP_PX, 4), title, fill=0, font=ImageFont.load_default(15))
    font = ImageFont.load_default(12)
    edge = (TILE_PX - SHOWN_PX) // 2
    # Cropped at the left alone, so that a black margin on the right stays visible.
    for row_number, row in enumerate(rows):
        for column_number, (label, image) in enumerate(row):
            x = GAP_PX + column_number * pitch_x
            y = TITLE_PX + row_number * pitch_y
            draw.text((x, y), label, fill=0, font=font)
            shown = image[edge : edge + SHOWN_PX, TILE_PX - SHOWN_PX :]
            sheet.paste(Image.fromarray(shown), (x, y + LABEL_PX))
    return sheet
