"""Where the property of a lot lies: lotwise interval."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from lotwise.cli import tables
from lotwise.cli.ask import ask_each
from lotwise.cli.options import (
    MODELS,
    STATE,
    TRITON,
    AsJson,
    Host,
    Lot,
    Models,
    PressureUnit,
    Start,
    State,
    Tiles,
    TritonHome,
    UmPerPx,
    Unit,
    WhichEngine,
    err,
    fail,
    out,
)
from lotwise.cli.running import Where
from lotwise.client import Client, LotInterval, PropertyInterval, TileFailure, TileInterval
from lotwise.client.connection import LOCAL
from lotwise.core.errors import InvalidRequest, LotwiseError


def interval(
    files: Tiles,
    whole_lots: Annotated[
        bool,
        typer.Option("--whole-lots", help="Each path is a folder: one interval for each lot."),
    ] = False,
    coverage: Annotated[
        float | None,
        typer.Option(help="Nominal, from 0.5 to below 1; default: the calibration's own."),
    ] = None,
    unit: Unit = None,
    um_per_px: UmPerPx = None,
    lot: Lot = "",
    host: Host = LOCAL,
    start: Start = False,
    models: Models = MODELS,
    state: State = STATE,
    triton: TritonHome = TRITON,
    engine: WhichEngine = None,
    as_json: AsJson = False,
) -> None:
    """Say where the property of a lot lies, with a stated coverage: by each tile, or by lot.

    Ends with 1 where a tile or a lot could not be answered; the others are shown.
    """
    where = Where(host, start, models, state, triton, engine, as_json)
    with where.client("uncertainty") as client:
        if whole_lots:
            _lots(client, files, coverage, unit, um_per_px, as_json)
            return

        def question(paths: list[Path]) -> Iterator[TileInterval | TileFailure]:
            for answer in client.interval_many(
                paths, coverage=coverage, lot_id=lot, um_per_px=um_per_px
            ):
                if isinstance(answer, TileFailure) and _concerns_all(answer.error):
                    raise answer.error
                yield answer

        def show(place: str, answered: Sequence[tuple[str, TileInterval]]) -> None:
            rows: list[tuple[str | Text, ...]] = [
                (name, tables.lot_of(answer), *_cells(answer.interval, unit))
                for name, answer in answered
            ]
            first = answered[0][1].interval
            tables.show(
                f"Intervals by tile{place}", ["~tile", "lot", *_headings(first, unit)], rows
            )
            out.print(Text(first.guarantee, style="dim"))

        ask_each(files, question, show, lambda answer: _data(answer.interval, unit), as_json)


def _lots(
    client: Client,
    folders: list[Path],
    coverage: float | None,
    unit: PressureUnit | None,
    um_per_px: float | None,
    as_json: bool,
) -> None:
    """Ask about every lot and say the answers; exit status 1 where one has none."""
    answered: list[LotInterval] = []
    failed: list[Text] = []
    try:
        for folder in folders:
            try:
                with err.status(f"asking about {folder}"):
                    answer = client.lot_interval(folder, coverage=coverage, um_per_px=um_per_px)
            except InvalidRequest as error:
                if _concerns_all(error):
                    raise
                failed.append(Text(f"{folder}: {error.reason}: {error.message}", style="red"))
                if as_json:
                    told = {"reason": error.reason, "message": error.message}
                    print(json.dumps({"path": str(folder), "error": told}), flush=True)  # noqa: T201
                continue
            answered.append(answer)
            if as_json:
                print(json.dumps(_lot_data(folder, answer, unit)), flush=True)  # noqa: T201
    except LotwiseError as error:
        fail(f"{error.reason}: {error.message}")
    if not as_json:
        if answered:
            _show_lots(answered, unit)
        for note in [*tables.origins(answer.provenance for answer in answered), *failed]:
            out.print(note, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _show_lots(answered: Sequence[LotInterval], unit: PressureUnit | None) -> None:
    first = answered[0].interval
    rows: list[tuple[str | Text, ...]] = [
        (tables.lot_of(answer), str(answer.tiles), *_cells(answer.interval, unit))
        for answer in answered
    ]
    tables.show("Intervals by lot", ["~lot", ">tiles", *_headings(first, unit)], rows)
    out.print(Text(first.guarantee, style="dim"))
    for answer in answered:
        if answer.poor_tiles:
            told = (
                f"{answer.lot_id}: {answer.poor_tiles} of {answer.tiles} tiles are of poor quality."
            )
            out.print(Text(told, style="yellow"), soft_wrap=True)
        for failure in answer.failed:
            told = f"{answer.lot_id}/{failure.tile_id}: {failure.reason}: {failure.message}"
            out.print(Text(f"{told} It is not in the mean.", style="yellow"), soft_wrap=True)


def _headings(interval: PropertyInterval, unit: PressureUnit | None) -> list[str]:
    shown = tables.in_unit(interval.point, unit).unit
    return [f">{interval.property_name}\n{shown}", ">from", ">to", ">coverage"]


def _cells(interval: PropertyInterval, unit: PressureUnit | None) -> tuple[str, ...]:
    values = (interval.point, interval.lower, interval.upper)
    return (
        *(tables.number(tables.in_unit(value, unit)) for value in values),
        f"{interval.coverage:.4g}",
    )


def _data(interval: PropertyInterval, unit: PressureUnit | None) -> dict[str, Any]:
    point, lower, upper = (
        tables.in_unit(value, unit) for value in (interval.point, interval.lower, interval.upper)
    )
    return {
        "kind": interval.kind,
        "property": interval.property_name,
        "unit": point.unit,
        "point": point.value,
        "lower": lower.value,
        "upper": upper.value,
        "coverage": interval.coverage,
        "guaranteed_coverage": interval.guaranteed_coverage,
        "calibration_lots": interval.calibration_lots,
        "calibration_recipes": interval.calibration_recipes,
        "calibration_version": interval.calibration_version,
        "guarantee": interval.guarantee,
    }


def _lot_data(folder: Path, answer: LotInterval, unit: PressureUnit | None) -> dict[str, Any]:
    return {
        "path": str(folder),
        "lot_id": answer.lot_id,
        "simulated": answer.simulated,
        "trained_on_simulated_lots": answer.trained_on_simulated_lots,
        "tiles": answer.tiles,
        "poor_tiles": answer.poor_tiles,
        "failed": [
            {"tile_id": each.tile_id, "reason": each.reason, "message": each.message}
            for each in answer.failed
        ],
        **_data(answer.interval, unit),
        "provenance": asdict(answer.provenance),
    }


def _concerns_all(error: LotwiseError) -> bool:
    """Whether no tile and no lot can be answered, so that it is said once."""
    return error.reason.startswith(("COVERAGE_", "INTERVALS_"))
