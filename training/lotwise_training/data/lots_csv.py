"""`lots.csv`: what is known of a user's own lots."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final
from unicodedata import normalize

import numpy as np

from lotwise_training.data.tiles import DatasetError, Floats, LotTable

STATED: Final = ("lot_id", "recipe", "property", "value", "unit", "origin")
"""Columns of `lots.csv` with a meaning of their own; every other is a score."""

Records = Sequence[tuple[int, Mapping[str, str]]]
"""Rows of a table: number as a spreadsheet shows it, and cells by the name of their column."""


def read_table(path: Path) -> LotTable:
    """Read `lots.csv`; its rows give the order of the lots.

    Raises:
        DatasetError: LOTS_TABLE_MISSING, LOTS_TABLE_INVALID, LOT_ID_INVALID, LOT_DUPLICATE,
            PROPERTY_NOT_NUMERIC, PROPERTY_MIXED, ATTRIBUTE_INVALID.
    """
    if not path.is_file():
        raise DatasetError(
            "LOTS_TABLE_MISSING", f"There is no {path}. Write it, with a row for each lot."
        )
    records = read_records(path, "lot_id", "LOTS_TABLE_INVALID")
    rows: dict[str, int] = {}
    for row, record in records:
        name = record["lot_id"]
        alone = name == PurePosixPath(name).name == PureWindowsPath(name).name
        if not name or not alone or name.startswith(".") or not name.isprintable():
            raise DatasetError(
                "LOT_ID_INVALID",
                f"{path}, row {row}: {name!r} cannot be a lot's name. Write the name of its "
                "folder, without a path.",
            )
        if name in rows:
            raise DatasetError(
                "LOT_DUPLICATE",
                f"{path}, row {row}: lot {name} is in row {rows[name]} already. Keep one of them.",
            )
        rows[name] = row
    scores = tuple(name for name in records[0][1] if name not in STATED)
    attributes = [
        [_score(path, row, name, record[name]) for name in scores] for row, record in records
    ]
    measured, unit, values = _property(path, records)
    return LotTable(
        lot_ids=tuple(rows),
        recipes=tuple(record.get("recipe") or record["lot_id"] for _, record in records),
        property_name=measured,
        unit=unit,
        values=values,
        attribute_names=scores,
        attributes=np.array(attributes, dtype=np.float64).reshape(len(rows), len(scores)),
        origins=tuple(record.get("origin", "") for _, record in records),
    )


def read_records(path: Path, key: str, reason: str) -> Records:
    """Rows of a CSV file, without empty ones; cells are stripped.

    Args:
        path: The file.
        key: A column that must be there.
        reason: Of the error.

    Raises:
        DatasetError: The file cannot be read, or its rows do not suit its header.
    """
    try:
        # NFC: a file name from a Mac has its umlauts in two pieces, a table from Excel in one.
        text = normalize("NFC", path.read_bytes().decode("utf-8-sig"))
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [[cell.strip() for cell in row] for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            reason, f"{path} cannot be read: {error}. Save it as CSV in UTF-8, with commas."
        ) from None
    header = rows[0] if rows else []
    names = [name for name in header if name]
    if key not in names or len(set(names)) < len(names):
        raise DatasetError(
            reason,
            f"{path}: row 1 must name each column once, {key} among them, with commas between; "
            f"it has {', '.join(names) or 'none'}.",
        )
    records = []
    for row, cells in enumerate(rows[1:], start=2):
        if not any(cells):
            continue
        named = {name: cell for name, cell in zip(header, cells, strict=False) if name}
        if len(named) < len(names) or sum(map(bool, cells)) > sum(map(bool, named.values())):
            raise DatasetError(
                reason,
                f"{path}, row {row}: {len(cells)} cells for {len(names)} named columns. Put text "
                "with commas into quotes.",
            )
        records.append((row, named))
    if not records:
        raise DatasetError(reason, f"{path} has no rows below the names of its columns. Add them.")
    return records


def _number(text: str) -> float:
    """A number written with a point; NaN for all else."""
    try:
        return float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan


def _score(path: Path, row: int, name: str, text: str) -> float:
    """An attribute's score, NaN where the cell is empty."""
    value = _number(text)
    if text and not 0 <= value <= 1:
        raise DatasetError(
            "ATTRIBUTE_INVALID",
            f"{path}, row {row}: {name} is {text!r}, not a number from 0 to 1. Every column but "
            f"{', '.join(STATED)} is a score; leave a cell empty where it is unknown.",
        )
    return value


def _property(path: Path, records: Records) -> tuple[str, str, Floats]:
    """Name and unit of the property, and float64 [L], its values, NaN where not measured."""
    values = np.full(len(records), np.nan)
    known: tuple[int, str, str] | None = None
    for number, (row, record) in enumerate(records):
        text = record.get("value", "")
        if not text:
            continue
        values[number] = _number(text)
        if not math.isfinite(values[number]):
            raise DatasetError(
                "PROPERTY_NOT_NUMERIC",
                f"{path}, row {row}: the value {text!r} is not a number. Write it like 1234.5 or "
                "-0.02, or leave it empty where nothing was measured.",
            )
        name, unit = record.get("property", ""), record.get("unit", "")
        if not name:
            raise DatasetError(
                "LOTS_TABLE_INVALID",
                f"{path}, row {row}: a value of nothing. Name it in the column property.",
            )
        known = known or (row, name, unit)
        if known[1:] != (name, unit):
            raise DatasetError(
                "PROPERTY_MIXED",
                f"{path}, row {row}: {name} in {unit!r}, but {known[1]} in {known[2]!r} in row "
                f"{known[0]}. State one property in one unit.",
            )
    return (known[1], known[2], values) if known else ("", "", values)
