"""Parts of a page: its style, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

from matplotlib.figure import Figure

from lotwise_training.report.figures.style import as_svg
from lotwise_training.report.sheets import MISSED, REACHED, Sheet

STYLE: Final = """
:root { color-scheme: light; --ink: #1f2937; --soft: #4b5563; --line: #d1d5db; --blue: #004488; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .5rem; padding-bottom: .25rem;
  border-bottom: 2px solid var(--blue); }
p { max-width: 46rem; margin: .6rem 0; }
.lead { font-size: 1.05rem; }
.scroll { overflow-x: auto; margin: 1rem 0 .4rem; }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .35rem; }
th, td { padding: .28rem .7rem .28rem 0; text-align: right; white-space: nowrap;
  vertical-align: bottom; }
th { font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--ink);
  white-space: normal; min-width: 3.6rem; }
td.w, th.w { text-align: left; }
td:last-child, th:last-child { padding-right: 0; }
tr.g td { border-top: 1px solid var(--line); padding-top: .4rem; }
tbody tr:last-child td { border-bottom: 1px solid var(--ink); }
.yes { color: #14532d; font-weight: 600; } .no { color: #991b1b; font-weight: 600; }
.note, figcaption { font-size: .84rem; color: var(--soft); max-width: 52rem; margin: .3rem 0 0; }
main { counter-reset: figure; }
figure { margin: 1.6rem 0; counter-increment: figure; }
figcaption::before { content: "Figure " counter(figure) ". "; font-weight: 600; }
figure svg { display: block; width: 100%; min-width: 38rem; height: auto; }
dl { font-size: .84rem; } dt { font-weight: 600; margin-top: .5rem; }
dd { margin: 0; overflow-wrap: anywhere; } dd.hash { font-family: ui-monospace, monospace; }
@media (max-width: 44rem) {
  td.w { white-space: normal; min-width: 5.5rem; }
  td.w:first-child { min-width: 7.5rem; }
  td { vertical-align: top; }
}
td.w.yes, td.w.no { white-space: nowrap; }
@media print { main { max-width: none; } figure, table { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Plot:
    """A figure with its words.

    Attributes:
        name: Short and unique; also the name of a file.
        figure: What is drawn.
        caption: What it shows, and of what.
    """

    name: str
    figure: Figure
    caption: str


def table_html(sheet: Sheet) -> str:
    """A table as an element of a page; nothing where it has no rows."""
    if not sheet.rows:
        return ""

    def cell(tag: str, column: int, text: str) -> str:
        marks = ["w"] if column < sheet.words else []
        marks += {REACHED: ["yes"], MISSED: ["no"]}.get(text, [])
        kind = f' class="{" ".join(marks)}"' if marks else ""
        scope = ' scope="col"' if tag == "th" else ""
        return f"<{tag}{scope}{kind}>{escape(text)}</{tag}>"

    head = "".join(cell("th", column, text) for column, text in enumerate(sheet.headings))
    rows = "\n".join(
        ('<tr class="g">' if number in sheet.groups else "<tr>")
        + "".join(cell("td", column, text) for column, text in enumerate(row))
        + "</tr>"
        for number, row in enumerate(sheet.rows)
    )
    note = f'<p class="note">{escape(sheet.note)}</p>' if sheet.note else ""
    return (
        f'<div class="scroll"><table id="{sheet.name}"><caption>{escape(sheet.title)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>{note}"
    )


def figure_html(drawn: Mapping[str, Plot], name: str) -> str:
    """A figure with its caption; nothing where it was not drawn."""
    plot = drawn.get(name)
    if plot is None:
        return ""
    svg = as_svg(plot.figure, name, plot.caption)
    return (
        f'<figure id="figure-{name}"><div class="scroll">{svg}</div>'
        f"<figcaption>{escape(plot.caption)}</figcaption></figure>"
    )
