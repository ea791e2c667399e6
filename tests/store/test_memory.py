"""A lot of 60,000 tiles is read and exported with about the memory of a small one."""

import pytest
import sqlalchemy as sa

from lotwise.store import Store
from tests.support import store_processes
from tests.support.stores import begin

MANY, FEW = 60_000, 1_000
MIB = 2**20
# 60,000 results at once take more than 200 MiB, as the last test shows.
ALLOWED = 32 * MIB

TILES = """
INSERT INTO tiles (lot_id, sha256, tile_id, path, mosaic_row, mosaic_column, bytes, seen_at)
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :tiles - 1)
SELECT :lot, CAST(i AS TEXT), CAST(i AS TEXT) || '.png', CAST(i AS TEXT) || '.png', i / 300,
       i - i / 300 * 300, 1000, '2026-11-01 12:00:00.000000' FROM n
"""
RESULTS = """
INSERT INTO results (screening, tile, decision, reasons, score, looks_like, quality, provenance,
                     value, unit, worker, screened_at)
SELECT :screening, id, 'accept', '["unfamiliar"]', 0.25, 'R07', '{"verdict": "good"}',
       '{"models": [{"name": "committee", "version": "1"}]}', 2000.5, 'psi', 'w',
       '2026-11-01 12:00:00.000000' FROM tiles WHERE lot_id = :lot
"""


def stocked(address, tiles):
    """A store with this many results, made by its database alone."""
    with Store.open(address) as store:
        lot = store.register_lot("R01", "/lots/R01")
        screening = begin(store, lot)
        said = {"lot": lot.id, "screening": screening.id, "tiles": tiles}
        times = "'2026-11-01 12:00:00.000000'"
        for statement in (TILES, RESULTS):
            if not store.database.is_sqlite:
                statement = statement.replace(times, f"TIMESTAMPTZ {times}")
                statement = statement.replace("'[\"unf", "JSON '[\"unf").replace("'{", "JSON '{")
            text = sa.text(statement.replace('": ', '"\\: '))
            values = {key: said[key] for key in text.compile().params}
            store.database.writing(lambda c, t=text, v=values: c.execute(t, v))
        assert store.progress(screening).done == tiles
    return address


def peak(how, address, path, rows):
    read, growth = store_processes.peak_of(how, address, path)
    assert read == rows
    return growth


@pytest.mark.parametrize(
    ("kind", "ways"),
    [("sqlite", ("stream", "csv", "parquet")), ("postgresql", ("parquet",))],
)
def test_memory_is_flat(new_address, kind, ways, tmp_path):
    few = stocked(new_address(kind, ready=True), FEW)
    many = stocked(new_address(kind, ready=True), MANY)
    for how in ways:
        path = tmp_path / how
        small, large = peak(how, few, path, FEW), peak(how, many, path, MANY)
        assert large < small + ALLOWED, (how, small, large)
    if kind == "sqlite":
        assert peak("list", many, None, MANY) > 2 * ALLOWED, "the measure sees nothing"
