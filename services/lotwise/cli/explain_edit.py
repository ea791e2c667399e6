"""Single edits and pairs of attributes: lotwise explain edit and pair."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from lotwise.cli import tables
from lotwise.cli.explain_notes import print_json, print_notes
from lotwise.cli.options import (
    MODELS,
    STATE,
    TRITON,
    AllowUnfamiliar,
    AsJson,
    Attributes,
    Host,
    Lot,
    Models,
    Plot,
    PressureUnit,
    Start,
    State,
    TritonHome,
    UmPerPx,
    Unit,
    WhichEngine,
    fail,
    out,
    parsed_numbers,
    parsed_pair,
)
from lotwise.cli.plotting import check_plot, say_plot, write_plot
from lotwise.cli.running import Where
from lotwise.client import EditedTile, PairExplanation
from lotwise.client.connection import LOCAL
from lotwise.core.errors import LotwiseError

File = Annotated[Path, typer.Argument(help="The tile's image file.")]


def edit(
    file: File,
    to: Annotated[list[str], typer.Option(help="What an attribute is to be, name=value.")],
    attribute: Attributes = [],  # noqa: B006  # typer copies it
    save: Annotated[Path | None, typer.Option(help="Write the edited tile here, as PNG.")] = None,
    unit: Unit = None,
    allow_unfamiliar: AllowUnfamiliar = False,
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
    """Show what the lot would be with other attributes."""
    where = Where(host, start, models, state, triton, engine, as_json)
    with where.client("explain") as client:
        try:
            answer = client.explain_edit(
                file,
                wanted=parsed_numbers(to, "--to"),
                attributes=parsed_numbers(attribute),
                image=save is not None,
                allow_unfamiliar=allow_unfamiliar,
                lot_id=lot,
                um_per_px=um_per_px,
            )
        except LotwiseError as error:
            fail(f"{error.reason}: {error.message}")
    saved = []
    if save is not None and answer.image is not None:
        save.parent.mkdir(parents=True, exist_ok=True)
        saved = [answer.image.save(save)]
    if as_json:
        print_json(file, answer, _edit_data(answer, unit), saved)
        return
    tables.show(
        f"{file.name}, edited",
        ["attribute", ">before", ">after", ">change", ">measured\nchange"],
        [
            (
                each.name,
                f"{each.before:.2f}",
                f"{each.after:.2f}",
                tables.change(each.after - each.before),
                tables.change(each.measured_change),
            )
            for each in answer.attributes
        ],
    )
    before, after = (tables.in_unit(each, unit) for each in (answer.original, answer.quantity))
    out.print(
        f"{answer.property_name}: {tables.number(before)} -> {tables.number(after)} {after.unit} "
        f"({after.value / before.value - 1:+.1%})."
    )
    if answer.realism is not None:
        out.print(tables.realism_of(answer.realism))
    print_notes(answer, saved)


def pair(
    file: File,
    vary: Annotated[
        str, typer.Option(help="The two attributes to vary from 0 to 1, such as size,porosity.")
    ],
    attribute: Attributes = [],  # noqa: B006
    steps: Annotated[int, typer.Option(help="How many values of each; 2 to 31.")] = 7,
    plot: Plot = None,
    unit: Unit = None,
    allow_unfamiliar: AllowUnfamiliar = False,
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
    """Show the property over two attributes, all others fixed."""
    check_plot(plot)
    where = Where(host, start, models, state, triton, engine, as_json)
    with where.client("explain") as client:
        try:
            answer = client.explain_pair(
                file,
                pair=parsed_pair(vary, "--vary"),
                attributes=parsed_numbers(attribute),
                steps=steps,
                allow_unfamiliar=allow_unfamiliar,
                lot_id=lot,
                um_per_px=um_per_px,
            )
        except LotwiseError as error:
            fail(f"{error.reason}: {error.message}")
    if plot is not None:
        write_plot(answer, plot, unit)
    if as_json:
        print_json(file, answer, _pair_data(answer, unit), [])
        return
    rows = [
        (f"{at:.2f}", *(tables.number(tables.in_unit(step.quantity, unit)) for step in steps_of))
        for at, steps_of in groupby(answer.steps, lambda step: step.first_value)
    ]
    across = sorted({step.second_value for step in answer.steps})
    original = tables.in_unit(answer.original, unit)
    tables.show(
        f"{file.name}: {answer.property_name} in {original.unit}, {answer.first} down, "
        f"{answer.second} to the right",
        [f">{answer.first}", *(f">{value:.2f}" for value in across)],
        rows,
    )
    out.print(f"The tile as it is: {tables.number(original)} {original.unit}.")
    if plot is not None:
        say_plot(plot)
    print_notes(answer, [])


def _edit_data(answer: EditedTile, unit: PressureUnit | None) -> dict[str, Any]:
    original = tables.in_unit(answer.original, unit)
    return {
        "property": answer.property_name,
        "unit": original.unit,
        "original": original.value,
        "value": tables.in_unit(answer.quantity, unit).value,
        "attributes": [vars(each) for each in answer.attributes],
        "realism": answer.realism,
        "familiarity": answer.familiarity,
        "unfamiliar": answer.unfamiliar,
    }


def _pair_data(answer: PairExplanation, unit: PressureUnit | None) -> dict[str, Any]:
    original = tables.in_unit(answer.original, unit)
    return {
        "property": answer.property_name,
        "unit": original.unit,
        "attributes": [answer.first, answer.second],
        "original": original.value,
        "reconstructed": tables.in_unit(answer.reconstructed, unit).value,
        "steps": [
            {
                "attribute_values": [step.first_value, step.second_value],
                "value": tables.in_unit(step.quantity, unit).value,
                "realism": step.realism,
            }
            for step in answer.steps
        ],
        "sensitivities": [tables.in_unit(each, unit).value for each in answer.sensitivities],
        "familiarity": answer.familiarity,
        "unfamiliar": answer.unfamiliar,
    }
