"""Screened lots as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf import json_format
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lotwise.screening.screener import LotScreening
from lotwise.v1 import diagnosis_pb2, referral_pb2

_REASONS_OF_SHIFTS: Final[dict[int, int]] = {
    diagnosis_pb2.SHIFT_INSTRUMENT: referral_pb2.REASON_INSTRUMENT_SHIFT,
    diagnosis_pb2.SHIFT_SYNTHESIS: referral_pb2.REASON_UNSEEN_SYNTHESIS,
    diagnosis_pb2.SHIFT_UNRELATED: referral_pb2.REASON_UNRELATED,
}
_VERDICTS: Final = {
    referral_pb2.VERDICT_ACCEPT: Text("ACCEPT", style="bold green"),
    referral_pb2.VERDICT_REFER: Text("REFER", style="bold red"),
    referral_pb2.VERDICT_UNDECIDED: Text("UNDECIDED", style="bold yellow"),
}


def as_table(lots: Sequence[LotScreening]) -> RenderableType:
    """One row a lot, and below it what a reader must know about the figures."""
    first = next((lot for lot in lots if lot.mean is not None), None)
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),  # fits into 80 columns, where logs and README are read
        title="Screened lots",
        title_justify="left",
    )
    table.add_column("lot", overflow="fold")
    table.add_column("referred", justify="right", no_wrap=True)
    table.add_column("looks like", no_wrap=True)
    table.add_column(
        f"{first.property_name}\n{first.unit}" if first else "property",
        justify="right",
        no_wrap=True,
    )
    table.add_column("verdict", no_wrap=True)
    table.add_column("reason", no_wrap=True)
    for lot in lots:
        verdict = lot.verdict
        name = Text(lot.folder.lot_id)
        if lot.folder.simulated:
            name.append("\nsimulated", style="dim")
        table.add_row(
            name,
            f"{verdict.referred + verdict.failed} of {verdict.tiles}",
            f"{verdict.looks_like} ({verdict.looks_like_share:.0%})" if verdict.looks_like else "-",
            _value(lot),
            _VERDICTS.get(verdict.verdict, Text("-")),
            "\n".join(reasons(verdict)) or "-",
        )
    return Group(table, *_notes(lots))


def as_json(lot: LotScreening) -> dict[str, Any]:
    """One lot as plain data; the verdict in the protocol's own JSON form."""
    return {
        "lot_id": lot.folder.lot_id,
        "path": str(lot.folder.path),
        "simulated": lot.folder.simulated,
        "verdict": json_format.MessageToDict(
            lot.verdict, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        ),
        "property": lot.property_name,
        "unit": lot.unit,
        "mean": lot.mean,
        "standard_deviation": lot.spread,
        "failures": [vars(failure) for failure in lot.failures],
        "engine": lot.engine,
        "models": {
            name: {
                "version": model.version,
                "weights_sha256": model.weights_sha256,
                "trained_on_simulated_lots": model.trained_on_simulated_lots,
            }
            for name, model in lot.models.items()
        },
    }


def reasons(verdict: referral_pb2.LotVerdict) -> list[str]:
    """The verdict's reasons with the number of tiles that gave them; * of all tiles together."""
    counts = {count.reason: count.tiles for count in verdict.reason_counts}
    of_lot = _of_lot(verdict)
    named = []
    for reason in verdict.reasons:
        name = referral_pb2.Reason.Name(reason).removeprefix("REASON_").replace("_", " ").lower()
        if reason in of_lot:
            name = f"{name} *"
        elif reason in counts:
            name = f"{name} {counts[reason]}"
        named.append(name)
    return named


def _of_lot(verdict: referral_pb2.LotVerdict) -> set[int]:
    """Reasons that all tiles together gave."""
    said = verdict.diagnosis
    if not verdict.HasField("diagnosis"):
        return set()
    alarms = (
        (said.known_p_value, _REASONS_OF_SHIFTS.get(said.probabilities[0].shift)),
        (said.instrument_p_value, referral_pb2.REASON_INSTRUMENT_SHIFT),
        (said.mixed_p_value, referral_pb2.REASON_MIXED_LOT),
    )
    return {
        reason for p_value, reason in alarms if reason is not None and p_value <= said.alarm_level
    }


def _value(lot: LotScreening) -> str:
    if lot.mean is None:
        return "-"
    spread = f" ± {lot.spread:,.0f}" if lot.spread is not None else ""
    return f"{lot.mean:,.0f}{spread}"


def _notes(lots: Sequence[LotScreening]) -> list[Text]:
    notes = []
    judged = next((lot.verdict for lot in lots if lot.verdict.confidence), None)
    if judged is not None:
        notes.append(
            Text(
                f"A lot is accepted where at most {judged.max_referred_share:.0%} of its tiles "
                f"would be referred, at {judged.confidence:.0%} confidence. The property is the "
                "mean over tiles ± their standard deviation; trust it for accepted lots alone.",
                style="dim",
            )
        )
    if any(_of_lot(lot.verdict) for lot in lots):
        notes.append(Text("* What all tiles of the lot say together.", style="dim"))
    engines = {lot.engine for lot in lots if lot.engine}
    if "onnxruntime" in engines:
        notes.append(Text("Served by in-process ONNX Runtime, without Triton.", style="yellow"))
    if any(lot.trained_on_simulated_lots for lot in lots):
        notes.append(Text("The models were trained on simulated lots.", style="yellow"))
    for lot in lots:
        notes += [
            Text(f"{lot.folder.lot_id}/{failure.tile_id}: {failure.reason}: {failure.message}")
            for failure in lot.failures[:5]
        ]
        if len(lot.failures) > 5:
            notes.append(Text(f"... and {len(lot.failures) - 5} more of {lot.folder.lot_id}"))
    return notes
