"""A question about each of some tiles: lotwise predict, uncertainty and refer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from lotwise.cli import tables
from lotwise.cli.options import (
    MODELS,
    STATE,
    TRITON,
    AsJson,
    Host,
    Lot,
    Models,
    Policy,
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
from lotwise.client import Decision, Prediction, TileFailure, Uncertainty
from lotwise.client.answers import Answer
from lotwise.client.connection import LOCAL
from lotwise.core.errors import LotwiseError
from lotwise.screening.folder import read_lot_folder

AnswerType = TypeVar("AnswerType", bound=Answer)


def predict(
    files: Tiles,
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
    """Predict the property of the lot that each tile shows.

    Ends with 1 where a tile could not be answered; the others are shown.
    """

    def show(place: str, answered: Sequence[tuple[str, Prediction]]) -> None:
        first = tables.in_unit(answered[0][1].quantity, unit)
        heading = f">{answered[0][1].property_name}\n{first.unit}"
        rows = [
            (
                name,
                tables.lot_of(answer),
                tables.number(tables.in_unit(answer.quantity, unit)),
                tables.quality_of(answer),
            )
            for name, answer in answered
        ]
        tables.show(f"Predictions{place}", ["~tile", "lot", heading, "~picture"], rows)

    def data(answer: Prediction) -> dict[str, Any]:
        shown = tables.in_unit(answer.quantity, unit)
        return {"property": answer.property_name, "value": shown.value, "unit": shown.unit}

    where = Where(host, start, models, state, triton, engine, as_json)
    with where.client("predict") as client:
        ask_each(
            files,
            lambda paths: client.predict_many(paths, lot_id=lot, um_per_px=um_per_px),
            show,
            data,
            as_json,
        )


def uncertainty(
    files: Tiles,
    um_per_px: UmPerPx = None,
    lot: Lot = "",
    host: Host = LOCAL,
    start: Start = False,
    models: Models = MODELS,
    state: State = STATE,
    triton: TritonHome = TRITON,
    engine: WhichEngine = None,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Ask few members first, all where it matters.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which known lot each tile looks like, and how sure that is.

    Ends with 1 where a tile could not be answered; the others are shown.
    """

    def show(place: str, answered: Sequence[tuple[str, Uncertainty]]) -> None:
        columns = ["~tile", "lot", "looks like", "or", ">familiar"]
        columns += [">entropy\nnats", ">disagreement\nnats"]
        rows = []
        for name, answer in answered:
            likely = [f"{lot} ({share:.0%})" for lot, share in answer.probabilities.items()]
            rows.append(
                (
                    name,
                    tables.lot_of(answer),
                    likely[0],
                    likely[1] if len(likely) > 1 else "-",
                    f"{answer.familiarity:.3f}",
                    f"{answer.predictive_entropy_nats:.3f}",
                    f"{answer.mutual_information_nats:.3f}",
                )
            )
        tables.show(f"Which known lot{place}", columns, rows)

    def data(answer: Uncertainty) -> dict[str, Any]:
        return {
            "looks_like": answer.looks_like,
            "confidence": answer.confidence,
            "error_probability": answer.error_probability,
            "familiarity": answer.familiarity,
            "probabilities": answer.probabilities,
            "predictive_entropy_nats": answer.predictive_entropy_nats,
            "mean_member_entropy_nats": answer.mean_member_entropy_nats,
            "mutual_information_nats": answer.mutual_information_nats,
            "members": answer.members,
            "asked_members": answer.asked_members,
            "calibration_version": answer.calibration_version,
        }

    where = Where(host, start, models, state, triton, engine, as_json)
    with where.client("uncertainty") as client:
        ask_each(
            files,
            lambda paths: client.uncertainty_many(
                paths, lot_id=lot, um_per_px=um_per_px, cascade=cascade
            ),
            show,
            data,
            as_json,
        )


def refer(
    files: Tiles,
    um_per_px: UmPerPx = None,
    lot: Lot = "",
    host: Host = LOCAL,
    start: Start = False,
    models: Models = MODELS,
    state: State = STATE,
    triton: TritonHome = TRITON,
    engine: WhichEngine = None,
    policy: Policy = "",
    as_json: AsJson = False,
) -> None:
    """Accept each tile, or refer it to an expert and say why. For a whole lot use screen.

    Ends with 1 where a tile could not be answered; the others are shown.
    """

    def show(place: str, answered: Sequence[tuple[str, Decision]]) -> None:
        columns = ["~tile", "lot", "decision", "~reason", ">chance\nof error", ">familiar"]
        columns.append("looks like")
        rows: list[tuple[str | Text, ...]] = []
        for name, answer in answered:
            seen = answer.score is not None
            rows.append(
                (
                    name,
                    tables.lot_of(answer),
                    tables.DECISIONS[answer.decision],
                    tables.words(_told(answer.reasons)),
                    f"{answer.score:.1%}" if answer.score is not None else "-",
                    f"{answer.familiarity:.3f}" if answer.familiarity is not None else "-",
                    f"{answer.looks_like} ({answer.confidence:.0%})" if seen else "-",
                )
            )
        tables.show(f"Decisions{place}", columns, rows)
        rule = answered[0][1]
        out.print(
            f"A tile is accepted up to a chance of error of {rule.threshold:.1%}, from a "
            f"familiarity of {rule.min_familiarity:g} on. {rule.guarantee.statement}",
            style="dim",
            soft_wrap=True,
        )
        out.print(
            f"Policy {rule.provenance.policy_version}, fitted on "
            f"{rule.calibration_set.tiles:,} {rule.calibration_set.origin} tiles.",
            style="dim",
        )

    def data(answer: Decision) -> dict[str, Any]:
        return {
            "decision": answer.decision,
            "reasons": list(answer.reasons),
            "score": answer.score,
            "threshold": answer.threshold,
            "familiarity": answer.familiarity,
            "min_familiarity": answer.min_familiarity,
            "guarantee": asdict(answer.guarantee),
            "calibration_set": asdict(answer.calibration_set)
            | {"date": answer.calibration_set.date.isoformat()},
            "looks_like": answer.looks_like,
            "confidence": answer.confidence,
        }

    where = Where(host, start, models, state, triton, engine, as_json)
    with where.client("referral") as client:
        ask_each(
            files,
            lambda paths: client.refer_many(paths, lot_id=lot, um_per_px=um_per_px, policy=policy),
            show,
            data,
            as_json,
        )


def expand(given: Iterable[Path]) -> list[Path]:
    """Files as they are, folders as the tiles in them."""
    found: list[Path] = []
    for path in given:
        found += read_lot_folder(path).tiles if path.is_dir() else [path]
    return found


def with_progress(
    answers: Iterator[AnswerType | TileFailure], total: int, *, quiet: bool
) -> Iterator[AnswerType | TileFailure]:
    """The same answers, with a bar on the terminal while they come."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("tiles"), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet or total < 2) as progress:
        yield from progress.track(answers, total=total)


def ask_each(
    files: list[Path],
    question: Callable[[list[Path]], Iterator[AnswerType | TileFailure]],
    show: Callable[[str, Sequence[tuple[str, AnswerType]]], None],
    data: Callable[[AnswerType], dict[str, Any]],
    as_json: bool,
) -> None:
    """Ask about every file and say the answers; exit status 1 where one has none."""
    answered: list[tuple[Path, AnswerType]] = []
    failed: list[tuple[Path, TileFailure]] = []
    try:
        paths = expand(files)
        answers = with_progress(question(paths), len(paths), quiet=as_json)
        for path, answer in zip(paths, answers, strict=True):
            if isinstance(answer, TileFailure):
                failed.append((path, answer))
            else:
                answered.append((path, answer))
            if as_json:
                more = {} if isinstance(answer, TileFailure) else data(answer)
                print(json.dumps(tables.as_data(path, answer) | more), flush=True)  # noqa: T201
    except LotwiseError as error:
        fail(f"{error.reason}: {error.message}")
    if not as_json:
        if answered:
            place, names = tables.short_names([path for path, _ in answered])
            show(place, [(name, each) for name, (_, each) in zip(names, answered, strict=True)])
        for note in [*tables.notes(a for _, a in answered), *tables.failures(failed)]:
            out.print(note, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _told(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Reasons for a table: a tile whose kind of shift is known need not be called unfamiliar."""
    return reasons[:-1] if len(reasons) > 1 and reasons[-1] == "unfamiliar" else reasons
