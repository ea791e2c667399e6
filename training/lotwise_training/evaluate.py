"""The table of what the editor is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Console
from rich.table import Table


def show_edits(report: Mapping[str, Mapping[str, float]], console: Console | None = None) -> None:
    """Print the editor's report (`edit_report`) as a table."""
    drawn = report["reconstruction"]
    table = _table(
        f"Edits of held-out lots: reconstruction {drawn['psnr_db']:.1f} dB, it moves the "
        f"prediction by {drawn['shift_of_the_prediction']:.1%}",
        "attribute",
        ("slope, psi", "true slope, psi", "tiles with the true sign"),
    )
    for name, row in report.items():
        if name != "reconstruction":
            table.add_row(
                name,
                f"{row['slope_psi']:,.0f}",
                f"{row['true_slope_psi']:,.0f}",
                f"{row['share_of_tiles_with_the_true_sign']:.0%}",
            )
    (console or Console()).print(table)


def _table(title: str, first: str, figures: Iterable[str]) -> Table:
    """A table of figures that fits into 80 columns, the width of a log."""
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column(first, min_width=9)
    for heading in figures:
        table.add_column(heading, justify="right")
    return table
