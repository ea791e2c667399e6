"""The verb `lotwise simulate`: a folder of tiles of a simulated lot.

The command line finds it by its entry point; this module knows nothing of Lotwise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from lotwise_simulator.__main__ import FIRST_LOT, find_lot
from lotwise_simulator.attributes import ATTRIBUTE_NAMES, Attributes
from lotwise_simulator.benchmark import FILAMENTS
from lotwise_simulator.faults import FAULTS
from lotwise_simulator.files import write_lot
from lotwise_simulator.instrument import NOMINAL, InstrumentState, after_filament_change
from lotwise_simulator.lots import Lot, Tile, mosaic

REGION: Final = 5_000
"""A patch of every lot that no training, no test and no demo reaches: its tiles are new."""
OWN_LOT: Final = "my lot"

_Attribute = Annotated[
    float | None,
    typer.Option(min=0.0, max=1.0, help="Of a lot of one's own, over the design range."),
]


def simulate(
    folder: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="Made if it is missing.")],
    lot: Annotated[
        str,
        typer.Option(
            help="R01 to R30 (known to the shipped committee), G01 to G10 (ground), B01 to B20, "
            "N001 to N200, A to J, T01 to T40 or ground; with attributes, the name of a lot of "
            "one's own."
        ),
    ] = "",
    count: Annotated[int, typer.Option(min=1, help="Tiles; 16 make a whole mosaic.")] = 16,
    size: _Attribute = None,
    porosity: _Attribute = None,
    polydispersity: _Attribute = None,
    facetness: _Attribute = None,
    filament: Annotated[
        str,
        typer.Option(
            help="A new filament, not re-tuned: 1 plain, 2 badly seated, or one of benchmark v1: "
            f"{', '.join(FILAMENTS)}."
        ),
    ] = "0",
    fault: Annotated[
        str | None, typer.Option(help=f"A fault of every picture: {', '.join(FAULTS)}.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the acquisition, and of a lot of one's own.")
    ] = 0,
    region: Annotated[int, typer.Option(min=0, help="Patch of the lot.")] = REGION,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Write tiles of a simulated lot: a stand-in for an instrument, its truth known exactly.

    Beside the PNG files come lot.json (the lot's name, and that it is simulated) and tiles.csv
    (what is true of it).
    """
    try:
        given = _lot(lot, (size, porosity, polydispersity, facetness), seed)
        instrument = _instrument(filament)
        tiles = _with_fault(mosaic(given, count, instrument, seed, region=region), fault)
        write_lot(folder, tiles, given)
    except (ValueError, OSError) as error:
        Console(stderr=True).print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(_summary(folder, given, len(tiles))))  # noqa: T201
        return
    Console().print(
        f"{len(tiles)} simulated tiles of lot {given.lot_id} in {folder}. "
        f"Its true peak stress is {given.peak_stress_psi:,.0f} psi.",
        markup=False,
        soft_wrap=True,
    )


def _lot(name: str, values: Sequence[float | None], seed: int) -> Lot:
    """A lot of one's own where attributes are given, a known one elsewhere.

    Raises:
        ValueError: No such lot, or only some attributes.
    """
    missing = [each for each, value in zip(ATTRIBUTE_NAMES, values, strict=True) if value is None]
    if len(missing) == len(ATTRIBUTE_NAMES):
        return find_lot(name or FIRST_LOT)
    if missing:
        options = ", ".join(f"--{each}" for each in missing)
        raise ValueError(f"A lot of one's own needs all four attributes: add {options}.")
    return Lot(name or OWN_LOT, Attributes(*(value or 0.0 for value in values)), seed)


def _instrument(filament: str) -> InstrumentState:
    if filament in FILAMENTS:
        return FILAMENTS[filament]
    try:
        strength = float(filament)
    except ValueError:
        names = ", ".join(FILAMENTS)
        raise ValueError(
            f"There is no filament '{filament}'. Choose one of {names}, or a strength from 0 to 2."
        ) from None
    return after_filament_change(NOMINAL, strength)


def _with_fault(tiles: Sequence[Tile], fault: str | None) -> list[Tile]:
    if fault is None:
        return list(tiles)
    if fault not in FAULTS:
        raise ValueError(f"There is no fault '{fault}'. Choose one of {', '.join(FAULTS)}.")
    return [replace(tile, image=FAULTS[fault](tile.image)) for tile in tiles]


def _summary(folder: Path, lot: Lot, count: int) -> dict[str, object]:
    return {
        "folder": str(folder),
        "lot_id": lot.lot_id,
        "simulated": True,
        "tiles": count,
        "attributes": {name: getattr(lot.attributes, name) for name in ATTRIBUTE_NAMES},
        "peak_stress_psi": lot.peak_stress_psi,
    }
