"""Reports on lots from the store: lotwise report, lotwise compare.

Their packages are an extra, so they are imported within the verbs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from lotwise.cli import store_tables, tables
from lotwise.cli.options import AsJson, Unit, fail, out
from lotwise.cli.store import DEFAULT, Address, Source
from lotwise.core.errors import LotwiseError

if TYPE_CHECKING:
    from lotwise.screening.lot_report.comparison import Compared
    from lotwise.store import Store

_MOST_LISTED: Final = 20


@contextmanager
def _opened(address: str, verb: str) -> Iterator[Store]:
    """The store; says which extra is missing, and what is wrong."""
    try:
        import lotwise.screening.lot_report.comparison  # noqa: F401  # before anything is read
        from lotwise.store import Store

        with Store.open(address) as store:
            yield store
    except ImportError as missing:
        fail(
            f"`lotwise {verb}` needs more packages ({missing}). "
            "Run `pip install 'lotwise[report]'`."
        )
    except LotwiseError as error:
        fail(f"{error.reason}: {store_tables.plain(error.message)}")


def report(
    lot: Annotated[str, typer.Argument(help="The lot's name.")],
    source: Source = None,
    screening: Annotated[
        int | None, typer.Option(help="Which of the lot's screenings, from 1; default: the last.")
    ] = None,
    unit: Unit = None,
    out_: Annotated[
        Path | None,
        typer.Option("--out", help="The HTML file; default: named after the lot, or none."),
    ] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write a PDF file, too.")] = None,
    tiles: Annotated[int, typer.Option(min=0, help="Referred tiles to show.")] = 60,
    store: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Write a report on a screened lot, as HTML and PDF.

    Without --out and --pdf the HTML file is named after the lot; with --pdf alone there is none.
    """
    with _opened(store, "report") as opened:
        from lotwise.screening.lot_report import gathering, output, page
        from lotwise.screening.lot_report import pdf as pdf_file

        if pdf is not None:
            pdf_file.find_browser()  # before minutes of work are spent
        found = opened.lot(lot, source)
        gathered = gathering.gather(
            opened, found, screening, unit=unit.value if unit else "", most_tiles=tiles
        )
        html = page.lot_page(gathered, opened.now())
        if out_ is None and pdf is None:
            out_ = Path(output.file_name(lot, ".html"))
        if out_ is not None:
            output.write(out_, html.encode())
        if pdf is not None:
            output.write(pdf, pdf_file.pdf_bytes(html))
    outcome = gathered.screening.outcome
    data = {
        "lot": lot,
        "source": found.key.source,
        "screening": gathered.number,
        "verdict": outcome.verdict if outcome else None,
        "html": str(out_) if out_ else None,
        "pdf": str(pdf) if pdf else None,
    }
    verdict = outcome.verdict.upper() if outcome else "not finished"
    written = " and ".join(str(each) for each in (out_, pdf) if each)
    _say(data, f"Lot {lot}: {verdict}. Wrote {written}.", as_json)


def compare(
    lot_a: Annotated[str | None, typer.Argument(help="A lot's name.")] = None,
    lot_b: Annotated[str | None, typer.Argument(help="Another lot's name.")] = None,
    screenings: Annotated[
        tuple[str, int, int] | None,
        typer.Option(
            "--screenings",
            metavar="LOT A B",
            help="Compare two screenings of one lot by their numbers, from 1.",
        ),
    ] = None,
    source_a: Annotated[
        str | None, typer.Option(help="Where LOT_A, or LOT, came from, if names are alike.")
    ] = None,
    source_b: Annotated[
        str | None, typer.Option(help="Where LOT_B came from, if names are alike.")
    ] = None,
    unit: Unit = None,
    out_: Annotated[Path | None, typer.Option("--out", help="Write an HTML file, too.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write a PDF file, too.")] = None,
    store: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show two lots side by side, or what a second screening of a lot says otherwise."""
    if (screenings is None) == (lot_a is None) or (lot_a is None) != (lot_b is None):
        fail("Name two lots, or --screenings LOT A B.")
    with _opened(store, "compare") as opened:
        from lotwise.screening.lot_report import comparison, output
        from lotwise.screening.lot_report import pdf as pdf_file

        if pdf is not None:
            pdf_file.find_browser()
        wanted = unit.value if unit else ""
        if screenings is not None:
            name, before, after = screenings
            compared = comparison.compare_screenings(
                opened, opened.lot(name, source_a), before, after, unit=wanted
            )
        else:
            assert lot_a is not None  # checked above
            assert lot_b is not None
            first, second = opened.lot(lot_a, source_a), opened.lot(lot_b, source_b)
            compared = comparison.compare_lots(opened, first, second, unit=wanted)
        if out_ is not None or pdf is not None:
            html = comparison.comparison_page(compared, opened.now())
            if out_ is not None:
                output.write(out_, html.encode())
            if pdf is not None:
                output.write(pdf, pdf_file.pdf_bytes(html))
    if as_json:
        print(json.dumps(_compared_data(compared, out_, pdf)))  # noqa: T201
        return
    _show(compared)
    written = " and ".join(str(each) for each in (out_, pdf) if each)
    if written:
        out.print(Text(store_tables.plain(f"Wrote {written}.")), soft_wrap=True)


def _say(data: dict[str, Any], sentence: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(data))  # noqa: T201
    else:
        out.print(Text(store_tables.plain(sentence)), soft_wrap=True)


def _show(compared: Compared) -> None:
    names = [store_tables.plain(name) for name in compared.names]
    title = f"{names[0]} beside {names[1]}"
    if compared.changes is not None:
        title = f"{store_tables.plain(compared.first.lot.shown)}: {title}"
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    made.add_column("", overflow="fold", max_width=24)
    for name in names:
        made.add_column(Text(name), overflow="fold", ratio=1)
    for line in compared.lines:
        # As plain text: brackets in a lot's name are no markup.
        style = "bold" if line.differs else ""
        made.add_row(line.label, Text(line.first, style=style), Text(line.second, style=style))
    out.print(Text(title, style="italic"), soft_wrap=True)
    out.print(made)
    for warning in compared.warnings:
        out.print(Text(warning, style="yellow"), soft_wrap=True)
    if compared.changes is not None:
        _show_changes(compared)


def _show_changes(compared: Compared) -> None:
    changes = compared.changes
    assert changes is not None  # of two screenings of one lot
    out.print(f"{changes.count:,} tiles are decided differently.")
    if changes.transitions:
        rows = [(before, after, f"{count:,}") for (before, after), count in changes.transitions]
        tables.show("Changed tiles", ("before", "after", ">tiles"), rows)
    shown = changes.tiles[:_MOST_LISTED]
    for each in shown:
        was, becomes = each.before or "no result", each.after or "no result"
        line = f"{store_tables.plain(each.tile.path)}: {was}, now {becomes}"
        out.print(Text(line), soft_wrap=True)
    if changes.count > len(shown):
        out.print(f"... and {changes.count - len(shown):,} more. `lotwise store export` has all.")
    if changes.lots:
        lots = [
            (
                Text(store_tables.plain(f"{each.lot.name} ({each.lot.source})")),
                each.verdict_before.upper(),
                each.verdict_after.upper(),
            )
            for each in changes.lots
        ]
        tables.show("Lots with another verdict", ("~lot", "before", "after"), lots)


def _compared_data(compared: Compared, html: Path | None, pdf: Path | None) -> dict[str, Any]:
    changes = compared.changes
    return {
        "first": compared.names[0],
        "second": compared.names[1],
        "lines": [
            {"label": line.label, "first": line.first, "second": line.second}
            for line in compared.lines
        ],
        "warnings": list(compared.warnings),
        "changed_tiles": changes.count if changes else None,
        "transitions": [
            {"before": before, "after": after, "tiles": count}
            for (before, after), count in (changes.transitions if changes else ())
        ],
        "changed_lots": [
            {
                "lot": each.lot.name,
                "source": each.lot.source,
                "before": each.verdict_before,
                "after": each.verdict_after,
            }
            for each in (changes.lots if changes else ())
        ],
        "html": str(html) if html else None,
        "pdf": str(pdf) if pdf else None,
    }
