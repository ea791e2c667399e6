"""Answers as tables for people and as plain data for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lotwise.cli.options import PressureUnit, fail, out
from lotwise.client import Quantity, TileFailure
from lotwise.client.answers import Answer
from lotwise.client.interval_answers import LotInterval
from lotwise.client.provenance import Provenance

MOST_FOLDED: Final = 1.3
"""A table this many times too wide is still folded into its columns."""
_ENDLESS: Final = 1_000
DECISIONS: Final = {
    "accept": Text("ACCEPT", style="bold green"),
    "refer": Text("REFER", style="bold red"),
}


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print a table that fits into 80 columns; in blocks, a row each, where it is far too wide.

    Args:
        title: Stands above it.
        columns: Their names. One that begins with > holds numbers, with ~ long words that may be
            broken.
        rows: One entry for each column.
    """
    # A title of the table itself would be folded to the table's width.
    out.print(Text(title, style="italic"), soft_wrap=True)
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in columns:
        made.add_column(
            name.lstrip(">~"),
            justify="right" if name.startswith(">") else "left",
            overflow="fold",
            no_wrap=not name.startswith("~"),
        )
    for row in rows:
        # As plain text: brackets in a file's name are no markup.
        made.add_row(*(_plain(cell) for cell in row))
    wanted = Measurement.get(out, out.options.update(max_width=_ENDLESS), made).maximum
    if wanted <= MOST_FOLDED * out.width:
        out.print(made)
        return
    # Folded to this width, its words would stand letter below letter.
    headings = [name.lstrip(">~").replace("\n", " ") for name in columns]
    for row in rows:
        out.print(_plain(row[0]), style="bold", soft_wrap=True)
        out.print(Padding(_in_lines(headings[1:], row[1:], out.width - 4), (0, 0, 0, 4)))


def _in_lines(names: Sequence[str], cells: Sequence[str | Text], width: int) -> Text:
    """What a row says, one thing after the other, none broken; what it does not say is left out."""
    told = [
        Text.assemble((f"{name} ", "dim"), _plain(cell))
        for name, cell in zip(names, cells, strict=True)
        if str(cell) != "-"
    ]
    lines = [Text()]
    for each in told:
        if lines[-1] and len(lines[-1]) + len(each) + 3 > width:
            lines.append(Text())
        lines[-1].append_text(Text("   ").append_text(each) if lines[-1] else each)
    return Text("\n").join(lines)


def _plain(cell: str | Text) -> Text:
    return Text(cell) if isinstance(cell, str) else cell


def short_names(paths: Sequence[Path]) -> tuple[str, list[str]]:
    """The folder that all files share, and their names in it; their paths where they share none."""
    folders = {path.parent for path in paths}
    if len(folders) == 1 and str(paths[0].parent) != ".":
        return f" in {paths[0].parent}", [path.name for path in paths]
    return "", [str(path) for path in paths]


def in_unit(quantity: Quantity, unit: PressureUnit | None) -> Quantity:
    """The quantity as it is to be shown."""
    if unit is None:
        return quantity
    try:
        return Quantity(quantity.to(unit), unit.value)
    except ValueError as error:
        fail(str(error))


def change(difference: float | None) -> str:
    """A change of an attribute, signed; - for none, and for one that nobody knows."""
    if difference is None or abs(difference) < 0.005:
        return "-"
    return f"{difference:+.2f}"


def seen_of(fidelity: float) -> str:
    """How much of a change an independent network sees."""
    return (
        "A network that has never seen an editor reads "
        f"{fidelity:.0%} of the change off the edited picture."
    )


def realism_of(realism: float) -> str:
    """How familiar an edited picture is."""
    return f"The edited picture is as familiar as the strangest {realism:.1%} of known tiles."


def number(quantity: Quantity) -> str:
    """A value with four figures or so, without its unit."""
    return f"{quantity.value:,.0f}" if abs(quantity.value) >= 1000 else f"{quantity.value:,.4g}"


def lot_of(answer: Answer | LotInterval) -> Text:
    """The lot's name, and that it is simulated where that is known."""
    text = Text(answer.lot_id or "-")
    if answer.simulated:
        text.append(" simulated", style="dim")
    return text


def quality_of(answer: Answer) -> str:
    """The picture's quality and its faults."""
    faults = ", ".join(answer.quality.faults).replace("_", " ")
    return f"{answer.quality.verdict}: {faults}" if faults else answer.quality.verdict or "-"


def words(reasons: Iterable[str]) -> str:
    """Reasons for people."""
    return ", ".join(reasons).replace("_", " ") or "-"


def notes(answers: Iterable[Answer]) -> list[Text]:
    """What a reader must know of the answers above."""
    answers = list(answers)
    told = origins(answer.provenance for answer in answers)
    if any(answer.reading and answer.reading.grey_levels_stretched for answer in answers):
        told.append(
            Text(
                "Grey levels of some tiles were stretched to the picture's own extremes, as their "
                "type of pixels has no full scale: do not compare them with others.",
                style="yellow",
            )
        )
    return told


def origins(provenances: Iterable[Provenance]) -> list[Text]:
    """What a reader must know of where the answers above come from."""
    provenances = list(provenances)
    told = []
    if any(each.engine == "onnxruntime" for each in provenances):
        told.append(Text("Served by in-process ONNX Runtime, without Triton.", style="yellow"))
    if any(model.trained_on_simulated_lots for each in provenances for model in each.models):
        told.append(Text("The models were trained on simulated lots.", style="yellow"))
    return told


def failures(failed: Sequence[tuple[Path, TileFailure]]) -> list[Text]:
    """Tiles without an answer, a line each."""
    return [
        Text(f"{path}: {failure.reason}: {failure.message}", style="red")
        for path, failure in failed
    ]


def as_data(path: Path, answer: Answer | TileFailure) -> dict[str, Any]:
    """What every answer says, as plain data; a failure wholly."""
    if isinstance(answer, TileFailure):
        error = {"reason": answer.reason, "message": answer.message}
        return {"file": str(path), "lot_id": answer.lot_id, "error": error}
    return {
        "file": str(path),
        "lot_id": answer.lot_id,
        "simulated": answer.simulated,
        "trained_on_simulated_lots": answer.trained_on_simulated_lots,
        "reading": asdict(answer.reading) if answer.reading else None,
        "quality": asdict(answer.quality),
        "provenance": asdict(answer.provenance),
    }
