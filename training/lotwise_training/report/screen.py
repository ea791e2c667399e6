"""Tables of text on the screen."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from lotwise_training.report.sheets import Sheet


def show(sheet: Sheet, console: Console) -> None:
    """Print a table of text."""
    table = Table(
        title=sheet.title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column, heading in enumerate(sheet.headings):
        # Headings may wrap between words, cells may not.
        unbroken = [*heading.split(), *(row[column] for row in sheet.rows)]
        table.add_column(
            heading,
            justify="left" if column < sheet.words else "right",
            vertical="bottom",
            min_width=max(map(len, unbroken)),
        )
    for number, row in enumerate(sheet.rows):
        table.add_row(*row, end_section=number + 1 in sheet.groups)
    console.print(table)
    console.print(sheet.note, style="dim", highlight=False)
    console.print()
