"""Results as tables for other programs: Parquet and CSV.

One row for each result of each screening, with its lot and its tile.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy import Connection

from lotwise.store.database import batched
from lotwise.store.reading import MOSAIC_ORDER
from lotwise.store.rows import LotKey
from lotwise.store.schema import lots, results, screenings, tiles
from lotwise.store.store import Store
from lotwise.store.writing import replacing

Format = Literal["parquet", "csv"]
FORMATS: Final[dict[str, Format]] = {".parquet": "parquet", ".csv": "csv"}
ROW_GROUP: Final = 2_000
"""Rows that are held at a time."""
# What a spreadsheet takes for a formula, which may start programs.
_FORMULA: Final = tuple("=+-@\t\r")


@dataclass(frozen=True)
class _Column:
    """One column of an export.

    Attributes:
        name: With its unit, where the unit is always the same.
        type: In Parquet.
        of: What is selected.
        shaped: From what the database gives.
    """

    name: str
    type: pa.DataType
    of: sa.ColumnElement[Any]
    shaped: Callable[[Any], Any] = lambda value: value


def _text(value: str | None) -> str | None:
    """Readable UTF-8, also of a name whose bytes are none."""
    if not value:
        return None
    return value.encode("utf-8", "backslashreplace").decode()


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)


def _joined(value: Sequence[str] | None) -> str | None:
    return _text(";".join(value or ()))


_TIME: Final = pa.timestamp("us", tz="UTC")
COLUMNS: Final = (
    _Column("lot", pa.string(), lots.c.name, _text),
    _Column("lot_source", pa.string(), lots.c.source, _text),
    _Column("lot_simulated", pa.bool_(), lots.c.simulated),
    _Column("lot_um_per_px", pa.float64(), lots.c.um_per_px),
    _Column("tile", pa.string(), tiles.c.tile_id, _text),
    _Column("tile_path", pa.string(), tiles.c.path, _text),
    _Column("tile_sha256", pa.string(), tiles.c.sha256),
    _Column("tile_size_bytes", pa.int64(), tiles.c.bytes),
    _Column("mosaic_row", pa.int32(), tiles.c.mosaic_row),
    _Column("mosaic_column", pa.int32(), tiles.c.mosaic_column),
    _Column("decision", pa.string(), results.c.decision),
    _Column("reasons", pa.string(), results.c.reasons, _joined),
    _Column("score", pa.float64(), results.c.score),
    _Column("familiarity", pa.float64(), results.c.familiarity),
    _Column("looks_like", pa.string(), results.c.looks_like, _text),
    _Column("confidence", pa.float64(), results.c.confidence),
    _Column("entropy_nats", pa.float64(), results.c.entropy_nats),
    _Column("property", pa.string(), results.c.property, _text),
    _Column("value_in_unit", pa.float64(), results.c.value),
    _Column("interval_low_in_unit", pa.float64(), results.c.interval_low),
    _Column("interval_high_in_unit", pa.float64(), results.c.interval_high),
    _Column("unit", pa.string(), results.c.unit, _text),
    _Column("diagnosis_json", pa.string(), results.c.diagnosis, _json),
    _Column("quality_json", pa.string(), results.c.quality, _json),
    _Column("error_reason", pa.string(), results.c.error_reason, _text),
    _Column("error_message", pa.string(), results.c.error_message, _text),
    _Column("provenance_json", pa.string(), results.c.provenance, _json),
    _Column("screened_at_utc", _TIME, results.c.screened_at),
    _Column("screening_fingerprint", pa.string(), screenings.c.fingerprint),
    _Column("screening_finished_at_utc", _TIME, screenings.c.finished),
    _Column("lot_verdict", pa.string(), screenings.c.verdict, _text),
)


def export_results(
    store: Store,
    path: Path,
    *,
    format_: Format,
    lot: LotKey | None = None,
    latest: bool = False,
) -> int:
    """Write results to a file, two thousand rows at a time.

    Args:
        store: To read. Others may write to it meanwhile; the file holds one view of it.
        path: Of the file; replaced once the new one is whole.
        format_: Of the file.
        lot: Of this lot alone.
        latest: Whether only each lot's last screening is wanted.

    Returns:
        Rows written, without the heading.

    Raises:
        StoreError: OUTPUT_UNWRITABLE, or as of `Store.open`.
    """
    write = _write_parquet if format_ == "parquet" else _write_csv
    about = {
        "lotwise_store_schema": store.schema,
        "lotwise_exported_at": store.now().isoformat(),
    }
    with replacing(path) as beside, store.database.reading() as connection:
        return write(beside, _rows(connection, lot, latest=latest), about)


def _rows(connection: Connection, lot: LotKey | None, *, latest: bool) -> Iterator[list[Any]]:
    # A screening at a time: the whole would have to be sorted before its first row came.
    wanted = (
        sa.select(screenings.c.id, screenings.c.lot_id)
        .join_from(screenings, lots)
        .order_by(lots.c.name, lots.c.id, screenings.c.started, screenings.c.id)
    )
    if lot is not None:
        wanted = wanted.where(screenings.c.lot_id == lot.id)
    found = list(connection.execute(wanted))
    if latest:
        found = list({row.lot_id: row for row in found}.values())
    for row in found:
        query = (
            sa.select(*(column.of for column in COLUMNS))
            .select_from(
                tiles.join(results, results.c.tile == tiles.c.id)
                .join(screenings, screenings.c.id == results.c.screening)
                .join(lots, lots.c.id == tiles.c.lot_id)
            )
            .where(tiles.c.lot_id == row.lot_id, results.c.screening == row.id)
            .order_by(*MOSAIC_ORDER)
            .execution_options(yield_per=ROW_GROUP)
        )
        for values in connection.execute(query):
            yield [column.shaped(value) for column, value in zip(COLUMNS, values, strict=True)]


def _write_parquet(path: Path, rows: Iterator[list[Any]], about: dict[str, str]) -> int:
    schema = pa.schema(
        [(column.name, column.type) for column in COLUMNS],
        metadata={key.encode(): value.encode() for key, value in about.items()},
    )
    written = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for group in batched(rows, ROW_GROUP):
            columns = [
                pa.array(values, type=column.type)
                for values, column in zip(zip(*group, strict=True), COLUMNS, strict=True)
            ]
            file.write_batch(pa.record_batch(columns, schema=schema))
            written += len(group)
    return written


def _write_csv(path: Path, rows: Iterator[list[Any]], about: dict[str, str]) -> int:
    del about  # a comment above the heading would be a row to most readers
    count = itertools.count()
    # With a mark of its encoding, without which Excel takes UTF-8 for a code page.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(column.name for column in COLUMNS)
        for row in rows:
            next(count)
            writer.writerow(map(harmless, row))
    return next(count)


def harmless(value: Any) -> Any:
    """A cell of CSV: times as ISO 8601, and no text that a spreadsheet would run as a formula.

    Args:
        value: Of the cell.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
