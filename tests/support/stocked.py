"""A store with some of everything."""

import sqlalchemy as sa

from lotwise.store import TileResult
from lotwise.store.backup import TABLES
from tests.support.stores import OTHER, begin, found, screened, work_off

ODD = "=1+1 <b>ü\n\udc80,\"'.png"


def contents(store):
    """All rows of all tables."""
    with store.database.reading() as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in TABLES
        }


def stock(store, clock):
    """Two lots of one name, one of them screened under two policies, one with an odd tile."""
    lot, _ = screened(store, 5, "R01", "/monday", notify={"lims": {"lot": "R01"}})
    clock.advance(3600)
    again = begin(store, lot, OTHER)
    work_off(store, again, decide=lambda tile: "refer", property_name="peak stress", value=2.5)
    second = store.register_lot("R01", "/tuesday")
    store.add_tiles(second, [found(7, path=ODD), found(8, path="copy.png", content=7)])
    unfinished = begin(store, second)
    (tile,) = store.claim(unfinished, "w", 1, 60)
    failed = TileResult(
        tile=tile.id,
        decision="failed",
        error_reason="TILE_TRUNCATED",
        error_message="@sum(A1)",
        quality={"verdict": "poor"},
    )
    store.record(unfinished, "w", [failed])
