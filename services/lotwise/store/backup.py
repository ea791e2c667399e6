"""A whole store in one file, readable by every database and by people.

A zip archive: a file of JSON lines for each table, and `manifest.json` with the schema's version,
the rows and the SHA-256 of each. Leases are left out: who held them is gone.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection

from lotwise.store.column_types import UtcTime
from lotwise.store.database import BATCH, batched
from lotwise.store.failures import StoreError
from lotwise.store.migrating import check_known
from lotwise.store.schema import (
    deliveries,
    lots,
    metadata,
    repeats,
    results,
    screenings,
    tiles,
)
from lotwise.store.store import Store
from lotwise.store.writing import replacing

FORMAT: Final = "lotwise-store-backup-1"
MANIFEST: Final = "manifest.json"
# What refers to another table comes after it.
TABLES: Final = (lots, tiles, repeats, screenings, results, deliveries)
# Tables of the first schema; those of later ones may be missing from an archive.
_ALWAYS: Final = frozenset({"lots", "tiles", "repeats", "screenings", "results"})
_LONGEST_LINE: Final = 64 * 2**20


class TableEntry(BaseModel):
    """A table in an archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    sha256: str


class Manifest(BaseModel):
    """What an archive says of itself.

    Attributes:
        format: Of the archive.
        schema_version: Of the store it was made of.
        created_at: When, UTC.
        tables: By name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    schema_version: str
    created_at: datetime
    tables: dict[str, TableEntry]


@dataclass(frozen=True)
class Summary:
    """What a backup holds.

    Attributes:
        rows: By table.
        created_at: When it was made, UTC.
    """

    rows: dict[str, int]
    created_at: datetime


def write_backup(store: Store, path: Path) -> Summary:
    """Write all of a store, but its leases, to one file.

    Args:
        store: To read; one view of it, whatever others write meanwhile.
        path: Of the archive; replaced once the new one is whole.

    Raises:
        StoreError: OUTPUT_UNWRITABLE, or as of `Store.open`.
    """
    with (
        replacing(path) as beside,
        store.database.reading() as connection,
        zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        entries = {table.name: _write_table(connection, archive, table) for table in TABLES}
        manifest = Manifest(
            format=FORMAT,
            schema_version=store.schema,
            created_at=store.now(),
            tables=entries,
        )
        archive.writestr(MANIFEST, manifest.model_dump_json(indent=1))
    return _summary(manifest)


def _summary(manifest: Manifest) -> Summary:
    rows = {name: entry.rows for name, entry in manifest.tables.items()}
    return Summary(rows, manifest.created_at)


def _write_table(connection: Connection, archive: zipfile.ZipFile, table: sa.Table) -> TableEntry:
    digest = hashlib.sha256()
    rows = 0
    query = sa.select(table).order_by(*table.primary_key.columns)
    found = connection.execute(query.execution_options(yield_per=BATCH))
    with archive.open(_member(table.name), "w", force_zip64=True) as file:
        for row in found:
            line = (json.dumps(dict(row._mapping), default=_moment) + "\n").encode()
            digest.update(line)
            file.write(line)
            rows += 1
    return TableEntry(rows=rows, sha256=digest.hexdigest())


def _moment(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value)} has no form in JSON")


def _member(table: str) -> str:
    return f"{table}.jsonl"


def restore_backup(path: Path, store: Store) -> Summary:
    """Fill an empty store from an archive, with all of it or not at all.

    Args:
        path: Of the archive; made from SQLite or PostgreSQL, by this or an older Lotwise.
        store: To fill.

    Raises:
        StoreError: BACKUP_INVALID: damaged or something else. STORE_NOT_EMPTY, STORE_NEWER, or as
            of `Store.open`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _checked(archive, path)
            store.database.writing(
                lambda connection: _restore(connection, archive, manifest, path, store.shown)
            )
    except OSError as error:
        raise _damaged(path, f"it cannot be read ({error.strerror or error})") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _damaged(path, str(error)) from error
    return _summary(manifest)


def _damaged(path: Path, why: str) -> StoreError:
    return StoreError(
        "BACKUP_INVALID", f"{path} is no whole backup: {why}. Nothing was restored; use another."
    )


def _checked(archive: zipfile.ZipFile, path: Path) -> Manifest:
    """The manifest, after every table was read once and is what it says."""
    names = set(archive.namelist())
    if MANIFEST not in names:
        raise _damaged(path, f"it has no {MANIFEST}")
    try:
        manifest = Manifest.model_validate_json(archive.read(MANIFEST))
    except ValidationError as error:
        raise _damaged(path, f"{MANIFEST}: {error.errors()[0]['msg']}") from None
    if manifest.format != FORMAT:
        raise _damaged(path, f"its format is {manifest.format[:50]!r}, not {FORMAT}")
    check_known(manifest.schema_version, str(path))
    given = set(manifest.tables)
    if not _ALWAYS <= given <= {table.name for table in TABLES}:
        raise _damaged(path, "its tables are not those of a store")
    for name, entry in manifest.tables.items():
        if _member(name) not in names:
            raise _damaged(path, f"{_member(name)} is missing")
        digest, rows = hashlib.sha256(), 0
        with archive.open(_member(name)) as file:
            for line in _lines(file, path):
                digest.update(line)
                rows += 1
        if (rows, digest.hexdigest()) != (entry.rows, entry.sha256):
            raise _damaged(path, f"{_member(name)} is not what {MANIFEST} says")
    return manifest


def _lines(file: IO[bytes], path: Path) -> Iterator[bytes]:
    while line := file.readline(_LONGEST_LINE):
        if not line.endswith(b"\n"):
            raise _damaged(path, "a line does not end")
        yield line


def _restore(
    connection: Connection, archive: zipfile.ZipFile, manifest: Manifest, path: Path, shown: str
) -> None:
    if connection.dialect.name == "postgresql":
        # Against a screener that begins just now.
        names = ", ".join(table.name for table in metadata.sorted_tables)
        connection.execute(sa.text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
    if connection.execute(sa.select(lots.c.id).limit(1)).first() is not None:
        raise StoreError(
            "STORE_NOT_EMPTY",
            f"{shown} has lots already. Restore into a store that is new or empty.",
        )
    for table in TABLES:
        if table.name not in manifest.tables:
            continue
        with archive.open(_member(table.name)) as file:
            for lines in batched(_lines(file, path)):
                _insert(connection, table, lines, path)
        _count_on(connection, table)


def _insert(connection: Connection, table: sa.Table, lines: list[bytes], path: Path) -> None:
    times = [column.name for column in table.columns if isinstance(column.type, UtcTime)]
    rows = []
    try:
        for line in lines:
            row = json.loads(line)
            for name in times:
                if row.get(name) is not None:
                    row[name] = datetime.fromisoformat(row[name])
            # A column that the archive's schema did not have yet is empty.
            rows.append({column.name: row.get(column.name) for column in table.columns})
    except (ValueError, TypeError, AttributeError) as error:
        raise _damaged(path, f"{_member(table.name)}: {error}") from None
    # RETURNING lets many rows go in one statement.
    first = next(iter(table.primary_key.columns))
    connection.execute(sa.insert(table).returning(first), rows).fetchall()


def _count_on(connection: Connection, table: sa.Table) -> None:
    """PostgreSQL's counters know nothing of numbers that were given."""
    if connection.dialect.name != "postgresql" or "id" not in table.columns:
        return
    highest = connection.execute(sa.select(sa.func.max(table.c.id))).scalar()
    if highest is not None:
        counter = sa.func.pg_get_serial_sequence(table.name, "id")
        connection.execute(sa.select(sa.func.setval(counter, highest)))
