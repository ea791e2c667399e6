"""What a file says of itself: lotwise inspect."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from lotwise.cli import tables
from lotwise.cli.ask import expand
from lotwise.cli.options import AsJson, Tiles, UmPerPx, fail, out
from lotwise.core.errors import InvalidTile, LotwiseError
from lotwise.core.inspection import Inspection, inspect_file
from lotwise.core.lot_sidecar import SIDECAR
from lotwise.screening.folder import read_lot_folder


def inspect(files: Tiles, um_per_px: UmPerPx = None, as_json: AsJson = False) -> None:
    """Show what files say of themselves: pixels, scale and instrument. Needs no platform.

    Ends with 1 where a file cannot be used; the others are shown.
    """
    read: list[tuple[Path, Inspection]] = []
    scales: dict[Path, tuple[float | None, str]] = {}
    failed: list[Text] = []
    of_lots: dict[Path, float | None] = {}
    try:
        for path in expand(files):
            folder = path.parent
            if folder not in of_lots:
                described = (folder / SIDECAR).is_file()
                of_lots[folder] = read_lot_folder(folder).um_per_px if described else None
            found = _inspect(path)
            if isinstance(found, InvalidTile):
                failed.append(Text(f"{path}: {found.reason}: {found.message}", style="red"))
                data: dict[str, Any] = {"error": {"reason": found.reason, "message": found.message}}
            else:
                read.append((path, found))
                scales[path] = _scale(found, um_per_px, of_lots[folder])
                data = _data(found, *scales[path])
            if as_json:
                print(json.dumps({"file": str(path)} | data))  # noqa: T201
    except LotwiseError as error:
        fail(f"{error.reason}: {error.message}")
    if not as_json:
        if read:
            _show(read, scales)
        for line in failed:
            out.print(line, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _inspect(path: Path) -> Inspection | InvalidTile:
    try:
        return inspect_file(path)
    except InvalidTile as error:
        return error
    except OSError as error:
        return InvalidTile("TILE_EMPTY", f"{error.strerror}. Name a file that can be read.")


def _scale(
    found: Inspection, stated: float | None, of_lot: float | None
) -> tuple[float | None, str]:
    """The scale that the other verbs would send, and where it is from."""
    if stated is not None:
        return stated, "--um-per-px"
    if of_lot is not None:
        return of_lot, SIDECAR
    return found.um_per_px, found.scale_source or ""


def _show(
    read: list[tuple[Path, Inspection]], scales: dict[Path, tuple[float | None, str]]
) -> None:
    place, names = tables.short_names([path for path, _ in read])
    columns = ["~tile", "~format", ">pixels", ">um/px", "~from", "~detector"]
    columns += [">keV", ">WD\nmm", ">mag.", ">data bar\npx"]
    rows = []
    for name, (path, found) in zip(names, read, strict=True):
        um_per_px, source = scales[path]
        tags = found.instrument
        rows.append(
            (
                name,
                found.format,
                f"{found.width} x {found.height}",
                f"{um_per_px:.4g}" if um_per_px is not None else "?",
                source or "-",
                tags.detector or "-",
                _or_dash(tags.beam_energy_kev),
                _or_dash(tags.working_distance_mm),
                _or_dash(tags.magnification),
                str(found.data_bar_px or "-"),
            )
        )
    # What no file says needs no column.
    told = [index for index in range(len(columns)) if any(row[index] != "-" for row in rows)]
    tables.show(
        f"What the files say{place}",
        [columns[index] for index in told],
        [[row[index] for index in told] for row in rows],
    )
    makers = {(each.instrument.manufacturer, each.instrument.model) for _, each in read}
    for maker in sorted(" ".join(filter(None, pair)) for pair in makers if any(pair)):
        out.print(Text(f"Instrument: {maker}", style="dim"))
    for name, (_, found) in zip(names, read, strict=True):
        doubts = list(found.doubts)
        if found.stretched:
            doubts.append("Its black and white are the picture's own extremes, not a full scale's.")
        for doubt in doubts:
            out.print(Text(f"{name}: {doubt}", style="yellow"), soft_wrap=True)
    if any(um_per_px is None for um_per_px, _ in scales.values()):
        out.print(
            "Where the scale is unknown (?), state it: --um-per-px, or um_per_px in lot.json.",
            style="yellow",
        )


def _or_dash(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _data(found: Inspection, um_per_px: float | None, source: str) -> dict[str, Any]:
    data = asdict(found) | {"um_per_px": um_per_px, "scale_source": source or None}
    return {key: str(value) if isinstance(value, Path) else value for key, value in data.items()}
