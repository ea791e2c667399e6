"""Hypothetical lots as a whole: lotwise explain forward-lot and backward-lot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from lotwise.cli import tables
from lotwise.cli.explain_lot_data import backward_data, common_data, forward_data
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
    err,
    fail,
    out,
    parsed_numbers,
    parsed_pair,
    parsed_ranges,
)
from lotwise.cli.plotting import check_plot, say_plot, write_plot
from lotwise.cli.running import Where
from lotwise.client.connection import LOCAL
from lotwise.client.lot_answers import LotAnswer, LotBackward, LotForward, LotProgress, Spread
from lotwise.core.errors import LotwiseError

Folder = Annotated[Path, typer.Argument(help="The folder with the lot's tiles.")]
Sample = Annotated[
    int, typer.Option(min=0, help="Tiles that are worked on, 256 at most; 0 for the service's 64.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of the draw of these tiles.")]
Seconds = Annotated[
    float | None,
    typer.Option(help="Time for the answer, in seconds; what there is by then is shown."),
]


def forward_lot(
    folder: Folder,
    vary: Annotated[
        list[str], typer.Option(help="An attribute to vary; again for each. All if none, or pairs.")
    ] = [],  # noqa: B006  # typer copies it
    pair: Annotated[
        list[str],
        typer.Option(help="Two attributes to vary together: size,porosity; again for each."),
    ] = [],  # noqa: B006
    attribute: Attributes = [],  # noqa: B006
    steps: Annotated[int, typer.Option(help="How many values; 2 to 101.")] = 11,
    sample: Sample = 0,
    seed: Seed = 0,
    seconds: Seconds = None,
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
    """Show the property of a lot along its attributes, with quartiles over its tiles."""
    check_plot(plot)
    where = Where(host, start, models, state, triton, engine, as_json)
    with where.client("explain") as client, _progress() as shown:
        try:
            answer = client.explain_lot_forward(
                folder,
                vary=vary,
                pairs=[parsed_pair(each) for each in pair],
                attributes=parsed_numbers(attribute),
                steps=steps,
                sample=sample,
                seed=seed,
                allow_unfamiliar=allow_unfamiliar,
                lot_id=lot,
                um_per_px=um_per_px,
                on_progress=shown,
                timeout=seconds,
            )
        except LotwiseError as error:
            fail(f"{error.reason}: {error.message}")
    if plot is not None:
        write_plot(answer, plot, unit)
    if as_json:
        print(json.dumps(common_data(folder, answer) | forward_data(answer, unit)))  # noqa: T201
        return
    symbol = tables.in_unit(answer.original.median, unit).unit
    for curve in answer.curves:
        rows = [
            (f"{value:.2f}", *_quartiles(spread, unit), _bar(answer, curve.attribute, value))
            for value, spread in curve.points
        ]
        tables.show(
            f"{answer.lot_id}: {answer.property_name} along {curve.attribute}, in {symbol}",
            [f">{curve.attribute}", ">lower quartile", ">median", ">upper quartile", "lot"],
            rows,
        )
        mean, lower, upper = (
            tables.in_unit(each, unit).value
            for each in (curve.sensitivity.mean, curve.sensitivity.lower, curve.sensitivity.upper)
        )
        out.print(
            f"At the lot as it is the slope is {mean:+,.4g} {symbol} per whole range of "
            f"{curve.attribute}; over its tiles the mean lies within {lower:+,.4g} and "
            f"{upper:+,.4g} (95%).\n"
        )
    for surface in answer.surfaces:
        across = sorted({second for _, second, _ in surface.points})
        tables.show(
            f"{answer.lot_id}: median {answer.property_name} in {symbol}, {surface.first} down, "
            f"{surface.second} to the right",
            [f">{surface.first}", *(f">{value:.2f}" for value in across)],
            [
                (f"{at:.2f}", *(_quartiles(spread, unit)[1] for *_, spread in points))
                for at, points in groupby(surface.points, itemgetter(0))
            ],
        )
    out.print(f"The lot as it is: {_in_words(answer.original, unit)}.")
    if plot is not None:
        say_plot(plot)
    _print_notes(answer)


def backward_lot(
    folder: Folder,
    target: Annotated[float, typer.Option(help="The mean property to reach, in --unit.")],
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
    alone: Annotated[
        int, typer.Option(min=0, help="Tiles that are also searched each on its own, to compare.")
    ] = 8,
    front: Annotated[
        int, typer.Option(min=0, help="Points of cost against property, 32 at most.")
    ] = 6,
    sample: Sample = 0,
    seed: Seed = 0,
    seconds: Seconds = None,
    save: Annotated[Path | None, typer.Option(help="Write the edited tile here, as PNG.")] = None,
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
    """Find the smallest change of a whole lot that brings its mean to a property."""
    check_plot(plot)
    where = Where(host, start, models, state, triton, engine, as_json)
    with where.client("explain") as client, _progress() as shown:
        try:
            answer = client.explain_lot_backward(
                folder,
                target=target,
                unit=unit,
                tolerance=tolerance,
                attributes=parsed_numbers(attribute),
                immutable=immutable,
                ranges=parsed_ranges(allow),
                costs=parsed_numbers(cost, "--cost", "size=2"),
                starts=starts,
                alone=alone,
                front=front,
                sample=sample,
                seed=seed,
                allow_unfamiliar=allow_unfamiliar,
                lot_id=lot,
                um_per_px=um_per_px,
                on_progress=shown,
                timeout=seconds,
            )
        except LotwiseError as error:
            fail(f"{error.reason}: {error.message}")
    if save is not None:
        answer.image.save(save)
    if plot is not None:
        write_plot(answer, plot, unit)
    if as_json:
        data = common_data(folder, answer) | backward_data(answer, unit)
        print(json.dumps(data | {"saved": str(save) if save else None}))  # noqa: T201
        return
    _show_changes(answer, unit, target)
    if answer.front:
        tables.show(
            "How far one gets at which cost",
            [">cost", f">{answer.property_name}\n{unit.value}", *_names(answer)],
            [
                (
                    f"{point.cost:.2f}",
                    tables.number(tables.in_unit(point.quantity, unit)),
                    *(f"{value:.2f}" for value in point.attributes.values()),
                )
                for point in answer.front
            ],
        )
    if save is not None:
        out.print(
            Text(f"Saved tile {answer.image_of}, edited, as {save}. An editor drew it."),
            style="yellow",
            soft_wrap=True,
        )
    if plot is not None:
        say_plot(plot)
    _print_notes(answer)


def _show_changes(answer: LotBackward, unit: PressureUnit, target: float) -> None:
    rows = []
    for change in answer.changes:
        difference = change.after - change.before
        own = answer.own_changes.get(change.name)
        alone = "-" if own is None else f"{own.mean:+.2f}"
        rows.append(
            (
                change.name,
                f"{change.before:.2f}",
                f"{change.after:.2f}",
                tables.change(difference),
                tables.change(change.measured_change),
                alone,
            )
        )
    tables.show(
        f"{answer.lot_id}: what to change for {target:,g} {unit.value}",
        ["attribute", ">before", ">after", ">change", ">measured\nchange", ">tiles alone,\nmean"],
        rows,
    )
    mean, lower, upper = (
        tables.number(tables.in_unit(each, unit))
        for each in (answer.after_mean.mean, answer.after_mean.lower, answer.after_mean.upper)
    )
    before = tables.number(tables.in_unit(answer.before.mean, unit))
    reached = "reached" if answer.reached else "not reached: this is the nearest that was found"
    out.print(
        f"{answer.property_name}, mean of {answer.sampled} tiles: {before} -> {mean} {unit.value} "
        f"({lower} to {upper}, 95% over tiles); the target is {reached}."
    )
    out.print(
        f"{answer.share_reaching:.0%} of the tiles reach it. "
        f"{answer.starts_reached} of {answer.starts} searches did."
    )
    if answer.fidelity is not None:
        out.print(tables.seen_of(answer.fidelity))
    if answer.realism is not None:
        out.print(tables.realism_of(answer.realism))
    if answer.alone:
        out.print(
            f"On their own, {answer.alone_reached} of {answer.alone} tiles reach it; what they "
            "would change is averaged in the last column (Liu et al. 2020), which need not work."
        )


@contextmanager
def _progress() -> Iterator[Callable[[LotProgress], None]]:
    """A bar that follows what the service says."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True) as bars:
        task = bars.add_task("sending tiles", total=None)

        def shown(said: LotProgress) -> None:
            if said.judged or said.expected:
                total = said.expected or None
                bars.update(task, description="edits", completed=said.judged, total=total)
            else:
                bars.update(task, completed=said.received)

        yield shown


def _quartiles(spread: Spread, unit: PressureUnit | None) -> tuple[str, str, str]:
    lower, median, upper = (
        tables.number(tables.in_unit(each, unit))
        for each in (spread.lower_quartile, spread.median, spread.upper_quartile)
    )
    return lower, median, upper


def _in_words(spread: Spread, unit: PressureUnit | None) -> str:
    lower, median, upper = _quartiles(spread, unit)
    symbol = tables.in_unit(spread.median, unit).unit
    return f"median {median} {symbol}, half of the tiles within {lower} to {upper}"


def _bar(answer: LotForward, attribute: str, value: float) -> str:
    """Marks the value that is nearest to the lot's own."""
    (curve,) = (each for each in answer.curves if each.attribute == attribute)
    own = answer.attributes[attribute]
    nearest = min((at for at, _ in curve.points), key=lambda at: abs(at - own))
    return f"here: {own:.2f}" if value == nearest else ""


def _names(answer: LotBackward) -> list[str]:
    return [f">{change.name}" for change in answer.changes]


def _print_notes(answer: LotAnswer) -> None:
    told = f"{answer.sampled} of {answer.usable} usable tiles were worked on (seed {answer.seed})."
    if answer.poor:
        told += f" {answer.poor} of poor quality were left out."
    if answer.unfamiliar:
        told += f" {answer.unfamiliar} of the tiles drawn look like none that the models know."
    out.print(told)
    if answer.ended_by_deadline:
        out.print("Time was up: this is what there was by then.", style="yellow")
    for failure in answer.failed:
        out.print(
            Text(f"{failure.tile_id}: {failure.reason}: {failure.message}", style="yellow"),
            soft_wrap=True,
        )
    if answer.simulated:
        out.print("The lot is simulated.", style="yellow")
    for note in tables.origins([answer.provenance]):
        out.print(note)
