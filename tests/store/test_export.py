"""Results as Parquet and CSV."""

import csv
import json
from datetime import UTC, timedelta

import pyarrow.parquet as pq
import pytest

from lotwise.store.export import COLUMNS, export_results, harmless
from lotwise.store.migrating import head
from tests.support.stocked import ODD, stock


@pytest.fixture
def stocked(store, clock):
    """A store with some of everything."""
    stock(store, clock)
    return store


@pytest.mark.parametrize("format_", ["parquet", "csv"])
def test_exports_hold_every_result_in_order(stocked, tmp_path, format_):
    path = tmp_path / f"results.{format_}"
    assert export_results(stocked, path, format_=format_) == 11
    if format_ == "parquet":
        table = pq.read_table(path)
        rows = table.to_pylist()
        assert table.schema.names == [column.name for column in COLUMNS]
        said = table.schema.metadata
        assert said[b"lotwise_store_schema"].decode() == head()
        assert said[b"lotwise_exported_at"].decode() == stocked.now().isoformat()
    else:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    key = [(row["lot_source"], row["decision"], int(row["mosaic_column"])) for row in rows]
    assert key == [
        *(("/monday", "accept", at) for at in range(5)),
        *(("/monday", "refer", at) for at in range(5)),
        ("/tuesday", "failed", 7),
    ]
    odd = rows[-1]
    shown = ODD.encode("utf-8", "backslashreplace").decode()
    assert odd["tile"] == ("'" + shown if format_ == "csv" else shown)
    assert odd["error_message"] == ("'@sum(A1)" if format_ == "csv" else "@sum(A1)")
    assert json.loads(odd["quality_json"]) == {"verdict": "poor"}
    assert float(rows[5]["value_in_unit"]) == 2.5
    assert rows[0]["screened_at_utc"] != rows[5]["screened_at_utc"]
    if format_ == "csv":
        assert rows[0]["screened_at_utc"] == "2026-11-01T12:00:00+00:00"
        assert (rows[0]["lot_simulated"], rows[0]["score"]) == ("false", "")
    else:
        assert rows[0]["screened_at_utc"].astimezone(UTC) == stocked.now() - timedelta(hours=1)
        assert (rows[0]["lot_simulated"], rows[0]["score"]) == (False, None)


def test_exports_of_one_lot_and_of_last_screenings(stocked, tmp_path):
    monday = stocked.lot("R01", "/monday").key
    for options, rows in (({"lot": monday}, 10), ({"latest": True}, 6)):
        assert export_results(stocked, tmp_path / "x", format_="parquet", **options) == rows
    exported = pq.read_table(tmp_path / "x").to_pylist()
    assert {row["decision"] for row in exported} == {"refer", "failed"}


def test_an_export_of_nothing_has_columns(store, tmp_path):
    assert export_results(store, tmp_path / "x.parquet", format_="parquet") == 0
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 0
    assert export_results(store, tmp_path / "x.csv", format_="csv") == 0
    assert (tmp_path / "x.csv").read_text("utf-8-sig").startswith("lot,lot_source,")


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@A1", "\t=1", "\r=1"])
def test_no_cell_of_text_starts_a_formula(text):
    assert harmless(text) == "'" + text


def test_numbers_and_other_texts_stay_as_they_are():
    assert [harmless(each) for each in (-1.5, 7, "a=1", None)] == [-1.5, 7, "a=1", None]
