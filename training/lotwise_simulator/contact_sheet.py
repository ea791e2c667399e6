"""Labelled contact sheets of what the simulator makes, for people to judge at a glance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lotwise_simulator import benchmark
from lotwise_simulator.attributes import ATTRIBUTE_NAMES, Attributes
from lotwise_simulator.faults import FAULTS
from lotwise_simulator.instrument import NOMINAL, InstrumentState, after_filament_change
from lotwise_simulator.lots import OVERLAP_PX, STRIDE_PX, TILE_PX, Lot, mosaic, stitch
from lotwise_simulator.unrelated import unrelated_tiles

Picture = NDArray[np.uint8]
Cell = tuple[str, Picture]

LABEL_PX: Final = 18
TITLE_PX: Final = 28
GAP_PX: Final = 5
GREY_LEVELS: Final = 32
"""Levels of a sheet's palette, for the file's size."""
MIDDLE: Final = Attributes(size=0.5, porosity=0.35, polydispersity=0.4, facetness=0.6)
SHEET_SEED: Final = 7
BAR_UM: Final = 50


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of labelled pictures under a title."""

    title: str
    rows: Sequence[Sequence[Cell]]
    shown_px: int = 200
    """Tiles are cropped, not scaled, to this: every pixel stays as acquired."""


def attributes_sheet() -> Sheet:
    """Each attribute from one end of its range to the other, the others in the middle."""
    rows = []
    for name in ATTRIBUTE_NAMES:
        cells = []
        for value in (0.0, 0.25, 0.5, 0.75, 1.0):
            values = {other: getattr(MIDDLE, other) for other in ATTRIBUTE_NAMES}
            lot = _lot(Attributes(**(values | {name: value})))
            cells.append((f"{name} {value:g}: {lot.peak_stress_psi:,.0f} psi", _tile(lot)))
        rows.append(cells)
    return Sheet("Attributes of a lot and its peak stress (simulated)", rows)


def instrument_sheet() -> Sheet:
    """One place of one lot under one microscope in many states."""
    lot = _lot(MIDDLE)

    def seen(label: str, state: InstrumentState) -> Cell:
        return label, _tile(lot, state)

    return Sheet(
        "One place of one lot, the microscope in different states (simulated)",
        [
            [
                seen("nominal", NOMINAL),
                seen("gain 0.55", replace(NOMINAL, gain=0.55)),
                seen("gain 1.6", replace(NOMINAL, gain=1.6)),
                seen("offset -0.1", replace(NOMINAL, offset=-0.1)),
                seen("offset +0.2", replace(NOMINAL, offset=0.2)),
            ],
            [
                seen("dose 60 electrons", replace(NOMINAL, dose=60.0)),
                seen("beam sigma 2 px", replace(NOMINAL, beam_sigma_px=2.0)),
                seen("astigmatism 0.6", replace(NOMINAL, beam_sigma_px=1.8, astigmatism=0.6)),
                seen("drift 1.5 px", replace(NOMINAL, drift_px=1.5)),
                seen("charging 0.3", replace(NOMINAL, charging=0.3)),
            ],
            [
                seen("filament change x0.5", after_filament_change(NOMINAL, 0.5)),
                seen("filament change x1", after_filament_change(NOMINAL)),
                *(
                    seen(f"v1: {name.replace('_', ', ')}", state)
                    for name, state in benchmark.FILAMENTS.items()
                ),
            ],
        ],
    )


def faults_sheet() -> Sheet:
    """Every fault, and the picture without."""
    image = _tile(_lot(MIDDLE))
    cells = [("no fault", image)]
    cells += [(name.replace("_", " "), fault(image)) for name, fault in FAULTS.items()]
    cells += [("unrelated picture", tile.image) for tile in unrelated_tiles(3, seed=1)[1:]]
    return Sheet(
        "Faults of single pictures, and pictures of no powder", _rows(cells, 5), shown_px=TILE_PX
    )


def benchmark_sheet() -> Sheet:
    """The 30 reference lots of benchmark v1 and examples of its other sets."""
    cells = [
        (f"{lot.lot_id}: {lot.peak_stress_psi:,.0f} psi", _tile(lot))
        for lot in benchmark.reference_lots()
    ]
    odd = [(f"ground {lot.lot_id}", _tile(lot)) for lot in benchmark.ground_lots()[:6]]
    odd += [(f"between {lot.lot_id}", _tile(lot)) for lot in benchmark.between_lots()[:3]]
    odd += [(f"new {lot.lot_id}", _tile(lot)) for lot in benchmark.new_lots()[:3]]
    return Sheet(
        "Benchmark v1: reference lots, ground lots, lots between, new lots (simulated)",
        [*_rows(cells, 6), *_rows(odd, 6)],
        shown_px=176,
    )


def overview_sheet() -> Sheet:
    """A page for the README: attributes, instrument, faults."""
    attributes = attributes_sheet().rows
    instrument = instrument_sheet().rows
    faults = dict(cell for row in faults_sheet().rows for cell in row)
    chosen = ("black margin", "charging out", "stage jump", "contamination", "unrelated picture")
    return Sheet(
        "Lotwise simulator: every powder here is simulated",
        [*attributes, instrument[2], [(name, faults[name]) for name in chosen]],
        shown_px=176,
    )


SHEETS: Final[Mapping[str, Callable[[], Sheet]]] = MappingProxyType(
    {
        "overview": overview_sheet,
        "attributes": attributes_sheet,
        "instrument": instrument_sheet,
        "faults": faults_sheet,
        "benchmark": benchmark_sheet,
    }
)


def write_sheet(path: Path, name: str = "overview") -> None:
    """Write a sheet as a grey PNG; "mosaic" is a stitched mosaic with the borders of its tiles.

    Raises:
        ValueError: ``path`` does not end in .png, or there is no such sheet.
    """
    if path.suffix.lower() != ".png":
        raise ValueError(f"the sheet is a PNG file; got {path.name!r}")
    if name == "mosaic":
        picture = _mosaic()
    elif name in SHEETS:
        picture = _lay_out(SHEETS[name]())
    else:
        raise ValueError(f"no sheet {name!r}: there are {', '.join((*SHEETS, 'mosaic'))}")
    picture.quantize(GREY_LEVELS, dither=Image.Dither.NONE).save(path, optimize=True)


def _lot(attributes: Attributes) -> Lot:
    return Lot("sheet", attributes, SHEET_SEED)


def _tile(lot: Lot, instrument: InstrumentState = NOMINAL) -> Picture:
    return mosaic(lot, 1, instrument, tiles_per_side=2)[0].image


def _rows(cells: Sequence[Cell], columns: int) -> list[Sequence[Cell]]:
    return [cells[start : start + columns] for start in range(0, len(cells), columns)]


def _mosaic() -> Image.Image:
    """A 3 x 3 mosaic; ticks outside show where tiles begin and end, and hence the overlap."""
    n = 3
    stitched = stitch(mosaic(_lot(MIDDLE), n * n, tiles_per_side=n))
    side, frame = len(stitched), 40
    sheet = Image.new("L", (side + 2 * frame, side + 2 * frame), 255)
    sheet.paste(Image.fromarray(stitched), (frame, frame))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for number in range(n):
        start, middle = frame + number * STRIDE_PX, frame + number * STRIDE_PX + TILE_PX // 2
        # Neighbouring brackets lie at two depths, so that their overlap can be seen.
        depth = frame - 6 - 5 * (number % 2)
        draw.line((start, depth, start + TILE_PX - 1, depth), fill=0, width=2)
        draw.line((depth, start, depth, start + TILE_PX - 1), fill=0, width=2)
        draw.text((middle - 24, 8), f"column {number}", fill=0, font=font)
        row = Image.new("L", (48, 16), 255)
        ImageDraw.Draw(row).text((4, 0), f"row {number}", fill=0, font=font)
        sheet.paste(row.rotate(90, expand=True), (8, middle - 24))
    note = f"One simulated mosaic of {n} x {n} tiles. Neighbours share {OVERLAP_PX} um."
    draw.text((frame, frame + side + 12), note, fill=0, font=font)
    return sheet


def _lay_out(sheet: Sheet) -> Image.Image:
    pitch_x, pitch_y = sheet.shown_px + GAP_PX, sheet.shown_px + LABEL_PX + GAP_PX
    columns = max(len(row) for row in sheet.rows)
    page = Image.new(
        "L", (GAP_PX + pitch_x * columns, 2 * TITLE_PX + pitch_y * len(sheet.rows)), 255
    )
    draw = ImageDraw.Draw(page)
    draw.text((GAP_PX, 5), sheet.title, fill=0, font=ImageFont.load_default(16))
    font = ImageFont.load_default(12)
    edge = (TILE_PX - sheet.shown_px) // 2
    for row_number, row in enumerate(sheet.rows):
        for column_number, (label, image) in enumerate(row):
            x = GAP_PX + column_number * pitch_x
            y = TITLE_PX + row_number * pitch_y
            draw.text((x, y), label, fill=0, font=font)
            # Cropped at the left alone, so that a black margin on the right stays visible.
            shown = image[edge : edge + sheet.shown_px, TILE_PX - sheet.shown_px :]
            page.paste(Image.fromarray(np.ascontiguousarray(shown)), (x, y + LABEL_PX))
    foot = page.height - TITLE_PX + 6
    draw.line((GAP_PX, foot + 7, GAP_PX + BAR_UM - 1, foot + 7), fill=0, width=4)
    draw.text((2 * GAP_PX + BAR_UM, foot), f"{BAR_UM} um (1 um a pixel)", fill=0, font=font)
    return page
