"""Renders tables on the screen, and sections as one HTML page that refers to nothing outside.

Tables are numbered as they appear. Text refers to a table as `[[name]]`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

from markupsafe import Markup, escape
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from lotwise.report.pages import environment
from lotwise_training.evaluation.predictions import Predictions
from lotwise_training.evaluation.records import METRICS, Records, Row
from lotwise_training.evaluation.tile_sets import words
from lotwise_training.report.figures.style import Plot, as_svg
from lotwise_training.report.targets import MISSED, REACHED, Target
from lotwise_training.store.arrays import Result, find

NONE: Final = "–"
"""Where there is no number."""
_TEMPLATES: Final = Path(__file__).with_name("templates")
_TEXTS: Final = tomllib.loads(Path(__file__).with_name("texts.toml").read_text(encoding="utf-8"))
_TRANSLATED: Final = ("set", "against", "method", "other", "editor", "way")
"""Keys whose values have words for people."""
_REFERENCE: Final = re.compile(r"\[\[([\w-]+)\]\]")

Stored = TypeVar("Stored", bound=Result)
Forms = Mapping[str, Callable[[Row], str]]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: With the unit.
        name: Of a key of the rows' subjects, or of a metric.
        form: How a metric is shown, see `cell`, "~" before it for its interval; or a function from
            a row to its text.
        left: Whether it is aligned left, as words are.
    """

    heading: str
    name: str = ""
    form: str | Callable[[Row], str] = ""
    left: bool = False

    def text(self, row: Row) -> str:
        """The cell of a row."""
        if callable(self.form):
            return self.form(row)
        if self.name in row.of:
            value = row.of[self.name]
            return words(value) if self.name in _TRANSLATED else cell(value, self.form)
        metric = row.metrics.get(self.name)
        if metric is None:
            return NONE
        if self.form.startswith("~"):
            return interval(metric.interval, self.form[1:])
        return cell(metric.count if self.form == "n" else metric.value, self.form)


@dataclass(frozen=True)
class Table:
    """What a table shows.

    Attributes:
        name: Short and unique, for references and as id in the page.
        title: What it shows.
        columns: From left to right.
        rows: From top to bottom.
        groups: How many columns, from the left, are shown once for successive rows that agree in
            them; a line separates such groups.
        note: What a reader must know to read it.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Row]
    groups: int = 0
    note: str = ""

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """Texts by row."""
        shown: list[tuple[str, ...]] = []
        last: tuple[str, ...] = ()
        for row in self.rows:
            texts = tuple(column.text(row) for column in self.columns)
            same = 0
            while same < self.groups and texts[: same + 1] == last[: same + 1]:
                same += 1
            shown.append(("",) * same + texts[same:])
            last = texts
        return shown

    @property
    def lines(self) -> set[int]:
        """Numbers of the rows above which a group ends."""
        if not self.groups:
            return set()
        first = [texts[: self.groups] for texts in self.cells]
        return {number for number, texts in enumerate(first) if number and any(texts)}


Block = str | Table | Plot | None


@dataclass(frozen=True)
class Inputs:
    """What sections are made from; a section is None where nothing of it is stored.

    Sections raise ResultsError where what is stored is not what its manifest names, and
    RecheckFailed where other models are served than were measured.

    Attributes:
        results: Folder of stored predictions.
        models: The model repository, which is compared and run again; None does neither.
        outputs: Stored predictions of the committee.
        seed: Of bootstraps, draws and the choice of tiles.
    """

    results: Path
    models: Path | None = None
    outputs: Predictions = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Section:
    """One part of the report.

    Attributes:
        name: Short and unique.
        title: For people.
        blocks: Paragraphs, tables and plots in their order; those that are None are left out.
        records: What was measured.
        targets: Beside what was measured.
        stated: What else `metrics.json` states of it, in JSON's types.
        verified: What served models predicted again, as a sentence; empty for nothing.
    """

    name: str
    title: str
    blocks: Sequence[Block]
    records: Records = field(default_factory=Records)
    targets: tuple[Target, ...] = ()
    stated: Mapping[str, Any] = field(default_factory=dict)
    verified: str = ""

    @property
    def tables(self) -> list[Table]:
        """Its tables that have rows."""
        return [block for block in self.blocks if isinstance(block, Table) and block.rows]

    @property
    def plots(self) -> list[Plot]:
        """Its plots."""
        return [block for block in self.blocks if isinstance(block, Plot)]


def section_of(
    kind: type[Stored],
) -> Callable[[Callable[[Inputs, Stored], Section]], Callable[[Inputs], Section | None]]:
    """Decorate what makes a section of a stored result: None where nothing is stored."""

    def decorate(make: Callable[[Inputs, Stored], Section]) -> Callable[[Inputs], Section | None]:
        @wraps(make)
        def section(inputs: Inputs) -> Section | None:
            stored = find(kind, inputs.results)
            return None if stored is None else make(inputs, stored)

        return section

    return decorate


def columns(spec: str, forms: Forms) -> tuple[Column, ...]:
    """Columns from "heading|name|form; ..."; forms may name functions, "<" aligns them left."""
    made = []
    for each in spec.split(";"):
        heading, name, form = ([part.strip() for part in each.split("|")] + ["", ""])[:3]
        left, form = not form or form.startswith("<"), form.removeprefix("<")
        made.append(Column(heading, name, forms.get(form, form), left))
    return tuple(made)


def table(name: str, rows: Sequence[Row], forms: Forms | None = None, /, **fields: Any) -> Table:
    """A table of texts.toml.

    Args:
        name: Of the table.
        rows: From top to bottom.
        forms: Functions of its columns by name.
        fields: Fill its texts.
    """
    spec = _TEXTS["tables"][name]
    title, shown, note = (
        spec.get(key, "").format(**fields) for key in ("title", "columns", "note")
    )
    return Table(name, title, columns(shown, forms or {}), rows, spec.get("groups", 0), note)


def plot(name: str, figure: Figure, text: str = "", /, **fields: Any) -> Plot:
    """A figure with its caption of texts.toml, which stands under `text` or else the name."""
    return Plot(name, figure, _TEXTS["figures"][text or name].format(**fields))


def paragraph(name: str, /, **fields: Any) -> str:
    """A paragraph of texts.toml."""
    return str(_TEXTS["sections"][name].format(**fields))


def cell(value: object, form: str = "") -> str:
    """A value as text.

    Args:
        value: Number, text or None.
        form: "n" or "," for counts with thousands separators; ".3" for three digits, "+.3" with a
            sign; "%1" for percent without the sign, which stands in the heading, "+%1" with a plus
            or minus. Empty for words.
    """
    if value is None:
        return NONE
    if not form:
        return str(value)
    number = float(value)  # type: ignore[arg-type]
    sign = "+" if form.startswith("+") else ""
    form = form.removeprefix("+")
    if form in ("n", ","):
        return f"{number:,.0f}".replace("-", "−")
    if form.startswith("%"):
        number, form = 100 * number, f".{form[1:]}"
    return f"{number:{sign},{form}f}".replace("-", "−")


def interval(ends: tuple[float | None, float | None] | None, form: str) -> str:
    """An interval as text, its ends by `cell`."""
    return NONE if ends is None else f"{cell(ends[0], form)} to {cell(ends[1], form)}"


def numbered(sections: Iterable[Section]) -> dict[str, int]:
    """Numbers of all tables by name, from 1 on."""
    names = [table.name for section in sections for table in section.tables]
    return {name: number for number, name in enumerate(names, 1)}


def refer(text: str, numbers: Mapping[str, int], *, link: bool = False) -> str:
    """Text whose references to tables are replaced by their numbers; by a name where not shown.

    Args:
        text: Refers to tables as `[[name]]`.
        numbers: Of the tables, by name.
        link: Whether to escape the text for HTML and make references links.
    """
    parts = _REFERENCE.split(str(escape(text)) if link else text)
    for at in range(1, len(parts), 2):
        name = parts[at]
        shown = f"Table {numbers[name]}" if name in numbers else f"the table “{name}”"
        parts[at] = f'<a href="#{name}">{shown}</a>' if link and name in numbers else shown
    return "".join(parts)


def show(table: Table, console: Console, numbers: Mapping[str, int] | None = None) -> None:
    """Print a table; its title is numbered where numbers are given."""
    numbers = numbers or {}
    at = f"Table {numbers[table.name]}: " if table.name in numbers else ""
    drawn = RichTable(
        title=at + table.title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    cells, lines = table.cells, table.lines
    for number, column in enumerate(table.columns):
        # Headings may wrap between words, cells may not.
        unbroken = [*column.heading.split(), *(row[number] for row in cells)]
        drawn.add_column(
            column.heading,
            justify="left" if column.left else "right",
            vertical="bottom",
            min_width=max(map(len, unbroken)),
        )
    for number, row in enumerate(cells):
        drawn.add_row(*row, end_section=number + 1 in lines)
    console.print(drawn)
    if table.note:
        console.print(refer(table.note, numbers), style="dim", highlight=False)
    console.print()


def render_page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The report as HTML."""
    numbers = numbered(sections)
    used = {each.name for section in sections for each in section.records}
    template = environment(_TEMPLATES)
    template.tests |= {
        "table": lambda block: isinstance(block, Table),
        "plot": lambda block: isinstance(block, Plot),
    }
    template.filters |= {
        "refer": lambda text: Markup(refer(text, numbers, link=True)),
        "svg": lambda plot: Markup(as_svg(plot.figure, plot.name, refer(plot.caption, numbers))),
        "verdict": lambda text: {REACHED: "yes", MISSED: "no"}.get(text, ""),
    }
    return template.get_template("report.html.j2").render(
        title=title,
        lead=lead,
        sections=[section for section in sections if any(section.blocks)],
        numbers=numbers,
        definitions={name: each for name, each in METRICS.items() if name in used},
    )
