"""Hypothetical lots: lotwise explain forward and backward."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lotwise.cli import tables
from lotwise.cli.explain_notes import (
    HYPOTHETICAL,
    evidence_data,
    print_evidence,
    print_json,
    print_notes,
)
from lotwise.cli.options import (
    MODELS,
    STATE,
    TRITON,
    Allow,
    AllowUnfamiliar,
    AsJson,
    Attributes,
    Cost,
    Host,
    Immutable,
    Lot,
    Models,
    Plot,
    PressureUnit,
    Start,
    Starts,
    State,
    TritonHome,
    UmPerPx,
    Unit,
    WhichEngine,
    fail,
    out,
    parsed_numbers,
    parsed_ranges,
)
from lotwise.cli.plotting import check_plot, say_plot, write_plot
from lotwise.cli.running import Where
from lotwise.cli.strip import write_strip
from lotwise.client import BackwardExplanation, EditedImage, ForwardExplanation
from lotwise.client.answers import Answer
from lotwise.client.connection import LOCAL
from lotwise.core.decoding import decode_file
from lotwise.core.errors import LotwiseError

app = typer.Typer(no_args_is_help=True, help="Ask what a lot would be if it were made otherwise.")

File = Annotated[Path, typer.Argument(help="The tile's image file.")]
Save = Annotated[Path | None, typer.Option(help="Folder for the edited pictures, as PNG.")]


@app.command()
def forward(
    file: File,
    vary: Annotated[str, typer.Option(help="The attribute to vary from 0 to 1.")],
    attribute: Attributes = [],  # noqa: B006  # typer copies it
    steps: Annotated[int, typer.Option(help="How many values; 2 to 101.")] = 11,
    save: Save = None,
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
    """Show the property along one attribute, all others fixed."""
    check_plot(plot)
    where = Where(host, start, models, state, triton, engine, as_json)
    with where.client("explain") as client:
        try:
            answer = client.explain_forward(
                file,
                vary=vary,
                attributes=parsed_numbers(attribute),
                steps=steps,
                images=save is not None or plot is not None,
                allow_unfamiliar=allow_unfamiliar,
                lot_id=lot,
                um_per_px=um_per_px,
            )
        except LotwiseError as error:
            fail(f"{error.reason}: {error.message}")
    saved = _save_forward(file, answer, save, unit) if save is not None else []
    if plot is not None:
        write_plot(answer, plot, unit)
    if as_json:
        print_json(file, answer, _forward_data(answer, unit), saved)
        return
    original = tables.in_unit(answer.original, unit)
    rows = []
    for step in answer.steps:
        shown = tables.in_unit(step.quantity, unit)
        change = shown.value / original.value - 1
        rows.append((f"{step.attribute_value:.2f}", tables.number(shown), f"{change:+.1%}"))
    tables.show(
        f"{file.name}: {answer.property_name} along {answer.attribute}",
        [f">{answer.attribute}", f">{answer.property_name}\n{original.unit}", ">change"],
        rows,
    )
    redrawn = tables.in_unit(answer.reconstructed, unit)
    out.print(
        f"The tile as it is: {tables.number(original)} {original.unit}; as the editor redraws it "
        f"unchanged: {tables.number(redrawn)} {redrawn.unit}. The values above are less this shift."
    )
    slope = tables.in_unit(answer.sensitivity, unit)
    out.print(
        f"At the lot as it is the slope is {slope.value:+,.4g} {slope.unit} per whole range of "
        f"{answer.attribute}."
    )
    print_evidence(answer.evidence, unit)
    if plot is not None:
        say_plot(plot)
    print_notes(answer, saved)


@app.command()
def backward(
    file: File,
    target: Annotated[float, typer.Option(help="The property to reach, in --unit.")],
    unit: Annotated[
        PressureUnit,
        typer.Option(help="Of target, tolerance and answer.", case_sensitive=False),
    ] = PressureUnit.PSI,
    tolerance: Annotated[float, typer.Option(help="In --unit; 0 for 1% of the target.")] = 0.0,
    attribute: Attributes = [],  # noqa: B006
    immutable: Immutable = [],  # noqa: B006
    allow: Allow = [],  # noqa: B006
    cost: Cost = [],  # noqa: B006
    starts: Starts = 0,
    save: Save = None,
    plot: Plot = None,
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
    """Find the smallest change of attributes that reaches a property."""
    check_plot(plot)
    where = Where(host, start, models, state, triton, engine, as_json)
    with where.client("explain") as client:
        try:
            answer = client.explain_backward(
                file,
                target=target,
                unit=unit,
                tolerance=tolerance,
                attributes=parsed_numbers(attribute),
                immutable=immutable,
                ranges=parsed_ranges(allow),
                costs=parsed_numbers(cost, "--cost", "size=2"),
                starts=starts,
                allow_unfamiliar=allow_unfamiliar,
                lot_id=lot,
                um_per_px=um_per_px,
            )
        except LotwiseError as error:
            fail(f"{error.reason}: {error.message}")
    saved = _save_backward(file, answer, save, unit) if save is not None else []
    if plot is not None:
        write_plot(answer, plot, unit)
    if as_json:
        print_json(file, answer, _backward_data(answer, unit), saved)
        return
    rows = []
    for change in answer.changes:
        difference = change.after - change.before
        slope = f"{tables.in_unit(change.sensitivity, unit).value:+,.4g}"
        rows.append(
            (
                change.name,
                f"{change.before:.2f}",
                f"{change.after:.2f}",
                tables.change(difference),
                tables.change(change.measured_change),
                slope,
            )
        )
    tables.show(
        f"{file.name}: what to change for {target:,g} {unit.value}",
        [
            "attribute",
            ">before",
            ">after",
            ">change",
            ">measured\nchange",
            f">slope\n{unit.value}",
        ],
        rows,
    )
    before, after = (tables.number(tables.in_unit(q, unit)) for q in (answer.before, answer.after))
    reached = "reached" if answer.reached else "not reached: this is the nearest that was found"
    out.print(f"{answer.property_name}: {before} -> {after} {unit.value}; the target is {reached}.")
    out.print(_agreement(answer))
    if answer.fidelity is not None:
        out.print(tables.seen_of(answer.fidelity))
    if answer.realism is not None:
        out.print(tables.realism_of(answer.realism))
    if answer.ended_by_deadline:
        out.print("Time was up: this is the best so far.", style="yellow")
    print_evidence(answer.evidence, unit)
    if plot is not None:
        say_plot(plot)
    print_notes(answer, saved)


def _agreement(answer: BackwardExplanation) -> str:
    """Whether searches from different places say the same."""
    if answer.starts_reached < 2:
        return f"{answer.starts_reached} of {answer.starts} searches reached the target."
    return (
        f"{answer.starts_reached} of {answer.starts} searches reached the target; what they would "
        f"change differs by {answer.spread:.2f} (largest standard deviation of an attribute)."
    )


def _save_forward(
    file: Path, answer: ForwardExplanation, folder: Path, unit: PressureUnit | None
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    saved, shown = [], []
    for step in answer.steps:
        assert step.image is not None  # they were asked for
        value = tables.in_unit(step.quantity, unit)
        name = f"{file.stem}_{answer.attribute}_{step.attribute_value:.2f}.png"
        saved.append(step.image.save(folder / name))
        caption = f"{answer.attribute} {step.attribute_value:.2f}"
        shown.append((f"{caption}\n{tables.number(value)} {value.unit}", step.image))
    original = tables.in_unit(answer.original, unit)
    strip = folder / f"{file.stem}_{answer.attribute}.png"
    _write_strip(strip, file, answer, f"{tables.number(original)} {original.unit}", shown)
    return [*saved, *_save_map(file, answer, folder), strip]


def _save_backward(
    file: Path, answer: BackwardExplanation, folder: Path, unit: PressureUnit
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    before, after = tables.in_unit(answer.before, unit), tables.in_unit(answer.after, unit)
    edited = answer.image.save(folder / f"{file.stem}_edited.png")
    strip = folder / f"{file.stem}_before_after.png"
    caption = f"edited\n{tables.number(after)} {after.unit}"
    _write_strip(
        strip, file, answer, f"{tables.number(before)} {before.unit}", [(caption, answer.image)]
    )
    return [edited, *_save_map(file, answer, folder), strip]


def _save_map(
    file: Path, answer: ForwardExplanation | BackwardExplanation, folder: Path
) -> list[Path]:
    """Where the regressor looked."""
    if answer.evidence is None or answer.evidence.activation_map is None:
        return []
    return [answer.evidence.activation_map.save(folder / f"{file.stem}_activation_map.png")]


def _write_strip(
    path: Path, file: Path, answer: Answer, original: str, edited: list[tuple[str, EditedImage]]
) -> None:
    tile = decode_file(file.read_bytes()).grey
    pictures = [(f"the whole tile\n{original}", tile)]
    pictures += [(caption, image.array()) for caption, image in edited]
    simulated = " Simulated lot." if answer.simulated else ""
    write_strip(path, f"{file.name}.{simulated} {HYPOTHETICAL}", pictures)


def _forward_data(answer: ForwardExplanation, unit: PressureUnit | None) -> dict[str, Any]:
    original = tables.in_unit(answer.original, unit)
    return {
        "property": answer.property_name,
        "unit": original.unit,
        "attribute": answer.attribute,
        "original": original.value,
        "reconstructed": tables.in_unit(answer.reconstructed, unit).value,
        "steps": [
            {
                "attribute_value": step.attribute_value,
                "value": tables.in_unit(step.quantity, unit).value,
                "measured_change": step.measured_change,
                "realism": step.realism,
            }
            for step in answer.steps
        ],
        "sensitivity": tables.in_unit(answer.sensitivity, unit).value,
        "familiarity": answer.familiarity,
        "unfamiliar": answer.unfamiliar,
        **evidence_data(answer.evidence, unit),
    }


def _backward_data(answer: BackwardExplanation, unit: PressureUnit) -> dict[str, Any]:
    return {
        "property": answer.property_name,
        "unit": unit.value,
        "target": tables.in_unit(answer.target, unit).value,
        "tolerance": tables.in_unit(answer.tolerance, unit).value,
        "reached": answer.reached,
        "before": tables.in_unit(answer.before, unit).value,
        "after": tables.in_unit(answer.after, unit).value,
        "changes": [
            vars(change) | {"sensitivity": tables.in_unit(change.sensitivity, unit).value}
            for change in answer.changes
        ],
        "evaluations": answer.evaluations,
        "changed": answer.changed,
        "cost": answer.cost,
        "starts": answer.starts,
        "starts_reached": answer.starts_reached,
        "spread": answer.spread,
        "fidelity": answer.fidelity,
        "realism": answer.realism,
        "familiarity": answer.familiarity,
        "unfamiliar": answer.unfamiliar,
        **evidence_data(answer.evidence, unit),
        "ended_by_deadline": answer.ended_by_deadline,
    }
