"""What all explanations of a tile say beside their numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from rich.text import Text

from lotwise.cli import tables
from lotwise.cli.options import PressureUnit, out
from lotwise.client import (
    BackwardExplanation,
    EditedTile,
    Evidence,
    Example,
    ForwardExplanation,
    PairExplanation,
)

HYPOTHETICAL: Final = "The edited pictures are hypothetical: an editor drew them."

Explanation = ForwardExplanation | PairExplanation | EditedTile | BackwardExplanation


def print_notes(answer: Explanation, saved: list[Path]) -> None:
    """What a reader must know beside the numbers."""
    if saved:
        out.print(Text(f"Saved {len(saved)} pictures to {saved[0].parent}"), soft_wrap=True)
        out.print(HYPOTHETICAL, style="yellow")
    if answer.unfamiliar:
        out.print(
            f"The tile looks like none that the models know (familiarity {answer.familiarity:.2g})."
            " Do not act on this.",
            style="red",
        )
    if answer.simulated:
        out.print("The lot is simulated.", style="yellow")
    for note in tables.notes([answer]):
        out.print(note)


def print_json(file: Path, answer: Explanation, data: dict[str, Any], saved: list[Path]) -> None:
    """The answer as a line of JSON."""
    line = tables.as_data(file, answer) | data | {"saved": [str(path) for path in saved]}
    print(json.dumps(line))  # noqa: T201


def print_evidence(evidence: Evidence | None, unit: PressureUnit | None) -> None:
    """Which tiles that the regressor learned from are most alike."""
    if evidence is None:
        return
    for what, examples in (
        ("Of what the regressor learned from, most alike", evidence.examples),
        ("and most like the edited tile", evidence.edited_examples),
    ):
        if examples:
            named = ", ".join(_example(example, unit) for example in examples)
            out.print(f"{what}: {named}.")


def evidence_data(evidence: Evidence | None, unit: PressureUnit | None) -> dict[str, Any]:
    """The same for programs; pictures are left out."""
    if evidence is None:
        return {"examples": [], "edited_examples": []}
    return {
        "examples": [_example_data(each, unit) for each in evidence.examples],
        "edited_examples": [_example_data(each, unit) for each in evidence.edited_examples],
    }


def _example(example: Example, unit: PressureUnit | None) -> str:
    value = tables.in_unit(example.quantity, unit)
    return f"{example.lot_id} ({tables.number(value)} {value.unit})"


def _example_data(example: Example, unit: PressureUnit | None) -> dict[str, Any]:
    value = tables.in_unit(example.quantity, unit)
    return {
        "lot_id": example.lot_id,
        "value": value.value,
        "distance": example.distance,
        "simulated": example.simulated,
    }
