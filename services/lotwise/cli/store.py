"""The store of screened lots: lotwise store info, export, backup, restore, prune, ...

Its packages are an extra, so they are imported within the verbs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.text import Text

from lotwise.cli import store_tables, tables
from lotwise.cli.options import AsJson, fail, out
from lotwise.core.errors import LotwiseError

if TYPE_CHECKING:
    from lotwise.store import Store

DEFAULT: Final = ".lotwise/store.sqlite"

app = typer.Typer(help="The store of screened lots.", no_args_is_help=True)

Address = Annotated[
    str,
    typer.Option(
        "--store",
        help="The store: a SQLite file, or postgresql://user:password@host/database.",
        envvar="LOTWISE_STORE",
    ),
]
LotName = Annotated[str | None, typer.Option("--lot", help="This lot alone.")]
Source = Annotated[
    str | None, typer.Option(help="Where the lot came from; needed where two are named alike.")
]


class ExportFormat(StrEnum):
    """Formats of exported results."""

    PARQUET = "parquet"
    CSV = "csv"


@contextmanager
def _packages() -> Iterator[None]:
    """Says which extra is missing, and what is wrong with the store."""
    try:
        yield
    except ImportError as missing:
        fail(
            f"`lotwise store` needs more packages ({missing}). "
            "Run `pip install 'lotwise[screening]'`."
        )
    except LotwiseError as error:
        fail(f"{error.reason}: {store_tables.plain(error.message)}")


@contextmanager
def _opened(address: str, *, create: bool = False) -> Iterator[Store]:
    with _packages():
        from lotwise.store import Store

        with Store.open(address, create=create) as store:
            yield store


def _say(data: dict[str, Any], sentence: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(data))  # noqa: T201
    else:
        out.print(Text(store_tables.plain(sentence)), soft_wrap=True)


@app.command()
def info(store: Address = DEFAULT, as_json: AsJson = False) -> None:
    """Say what a store holds: its lots, how far they are, and what is still to be told."""
    with _opened(store) as opened:
        lots = store_tables.overview(opened)
        waiting = opened.deliveries(undelivered=True)
        about = {
            "store": opened.shown,
            "schema": opened.schema,
            "size_bytes": store_tables.size_bytes(opened),
            "lots": [store_tables.lot_data(each) for each in lots],
            "undelivered": [store_tables.delivery_data(each) for each in waiting],
        }
    if as_json:
        print(json.dumps(about))  # noqa: T201
        return
    out.print(
        Text(
            f"{about['store']}: schema {about['schema']}, "
            f"{store_tables.mebibytes(opened, about['size_bytes'])}."
        ),
        soft_wrap=True,
    )
    if not lots:
        out.print("It holds no lots.")
        return
    tables.show("Lots", store_tables.LOT_COLUMNS, [store_tables.lot_row(each) for each in lots])
    for delivery in waiting[:20]:
        out.print(store_tables.delivery_line(delivery), soft_wrap=True)
    if len(waiting) > 20:
        out.print(f"... and {len(waiting) - 20} more notifications that have not arrived.")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to write: .parquet or .csv.")],
    format_: Annotated[
        ExportFormat | None, typer.Option("--format", help="Default: by the file's ending.")
    ] = None,
    lot: LotName = None,
    source: Source = None,
    latest: Annotated[
        bool, typer.Option("--latest", help="Only each lot's last screening.")
    ] = False,
    store: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Write results as Parquet or CSV, a row for each tile of each screening."""
    with _opened(store) as opened:
        from lotwise.store.export import FORMATS, export_results

        chosen = format_.value if format_ else FORMATS.get(file.suffix.lower())
        if chosen is None:
            fail(f"{file.name} says no format; end it with .parquet or .csv, or give --format.")
        key = opened.lot(lot, source).key if lot is not None else None
        rows = export_results(
            opened,
            file,
            format_="parquet" if chosen == "parquet" else "csv",
            lot=key,
            latest=latest,
        )
    _say({"file": str(file), "rows": rows}, f"Wrote {rows:,} results to {file}.", as_json)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write: a .zip file.")],
    store: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Write all of a store to one file, while screeners go on."""
    with _opened(store) as opened:
        from lotwise.store.backup import write_backup

        made = write_backup(opened, file)
    rows = made.rows
    _say(
        {"file": str(file), "rows": rows},
        f"Wrote {rows['lots']:,} lots with {rows['tiles']:,} tiles and {rows['results']:,} results "
        f"to {file}.",
        as_json,
    )


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="The archive to read.")],
    store: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Fill a new store from a backup, wholly or not at all.

    The backup may come from SQLite or PostgreSQL, whichever this store is in.
    """
    with _opened(store, create=True) as opened:
        from lotwise.store.backup import restore_backup

        made = restore_backup(file, opened)
        shown = opened.shown
    rows = made.rows
    _say(
        {"store": shown, "rows": rows, "created_at": made.created_at.isoformat()},
        f"Restored {rows['lots']:,} lots with {rows['tiles']:,} tiles and {rows['results']:,} "
        f"results into {shown}, as they were at {made.created_at:%Y-%m-%d %H:%M} UTC.",
        as_json,
    )


@app.command()
def prune(
    older_than: Annotated[
        float | None, typer.Option(min=0, help="Days since a lot's last screening ended.")
    ] = None,
    before: Annotated[
        datetime | None, typer.Option(help="Lots whose last screening ended before; UTC.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    store: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Remove old lots from a store. The files of their tiles stay.

    Lots that are still screened stay, and those of which a notification has not arrived.
    """
    if (older_than is None) == (before is None):
        fail("State either --older-than or --before.")
    with _opened(store) as opened:
        from lotwise.store import retention

        limit = (
            before.replace(tzinfo=UTC)
            if before is not None
            else opened.now() - timedelta(days=older_than or 0)
        )
        old = retention.old_lots(opened, limit)
        removed = [] if dry_run else retention.prune(opened, limit)
        going = [each for each in old if each.goes] if dry_run else removed
        gone = {each.lot.id for each in going}
    data = [store_tables.old_lot_data(each, each.lot.id in gone) for each in old]
    if as_json:
        for each in data:
            print(json.dumps(each | {"dry_run": dry_run}))  # noqa: T201
        return
    if not old:
        out.print(f"No lot's last screening ended before {limit:%Y-%m-%d %H:%M} UTC.")
        return
    goes = "would go" if dry_run else "removed"
    rows = [store_tables.old_lot_row(each, each.lot.id in gone, goes) for each in old]
    tables.show("Old lots", store_tables.OLD_LOT_COLUMNS, rows)


@app.command()
def relocate(
    lot: Annotated[str, typer.Argument(help="The lot's name.")],
    folder: Annotated[Path, typer.Argument(help="Where its folder is now.")],
    source: Source = None,
    store: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Say that a lot's folder has moved. Some of its files are compared first."""
    with _opened(store) as opened:
        from lotwise.store.moving import relocate as move

        was = opened.lot(lot, source).key
        now = move(opened, was, folder)
    _say(
        {"lot": lot, "was": was.source, "source": now.source},
        f"Lot {lot} was in {was.source} and is now in {now.source}.",
        as_json,
    )


@app.command()
def migrate(store: Address = DEFAULT, as_json: AsJson = False) -> None:
    """Bring the tables of a store up to date that an older Lotwise wrote. Make a copy first."""
    with _packages():
        from lotwise.store import Store
        from lotwise.store.address import Address as Parsed

        shown = Parsed.parse(store).shown
        before, after = Store.migrate(store)
    done = "is up to date" if before == after else f"went from schema {before} to {after}"
    _say({"store": shown, "before": before, "after": after}, f"{shown} {done}.", as_json)
