"""Old lots leave the store."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from lotwise.store.rows import LotKey
from lotwise.store.schema import deliveries, lots, screenings, tiles
from lotwise.store.store import Store


@dataclass(frozen=True)
class OldLot:
    """A lot whose last screening ended before the date.

    Attributes:
        lot: Which one.
        finished: When its last screening ended, UTC.
        tiles: How many it has.
        screenings: How many it has.
        undelivered: Notifications of it that have not arrived. With any, the lot stays.
    """

    lot: LotKey
    finished: datetime
    tiles: int
    screenings: int
    undelivered: int

    @property
    def goes(self) -> bool:
        """Whether it may be removed."""
        return self.undelivered == 0


# Under a name of their own: a query around them may hold the table, too.
_OF_LOT: Final = screenings.alias("of_lot")


def _undelivered() -> sa.ScalarSelect[int]:
    return (
        sa.select(sa.func.count())
        .select_from(deliveries.join(_OF_LOT, _OF_LOT.c.id == deliveries.c.screening))
        .where(_OF_LOT.c.lot_id == lots.c.id, deliveries.c.delivered_at.is_(None))
        .correlate(lots)
        .scalar_subquery()
    )


def _is_old(before: datetime) -> sa.ColumnElement[bool]:
    """All its screenings, of which there is one, ended before."""
    any_ = sa.select(_OF_LOT.c.id).where(_OF_LOT.c.lot_id == lots.c.id)
    recent = any_.where(_OF_LOT.c.finished.is_(None) | (_OF_LOT.c.finished >= before))
    return any_.correlate(lots).exists() & ~recent.correlate(lots).exists()


def old_lots(store: Store, before: datetime) -> list[OldLot]:
    """The lots whose last screening ended before a date, the oldest first.

    A lot that is still screened, or never was, is none.

    Args:
        store: To look at.
        before: The date, aware.

    Raises:
        StoreError: As of `Store.open`.
    """
    counted = sa.select(sa.func.count()).where(tiles.c.lot_id == lots.c.id).scalar_subquery()
    query = (
        sa.select(
            lots.c.id,
            lots.c.name,
            lots.c.source,
            sa.func.max(screenings.c.finished).label("finished"),
            counted.label("tiles"),
            sa.func.count(screenings.c.id).label("screenings"),
            _undelivered().label("undelivered"),
        )
        .join_from(lots, screenings)
        .where(_is_old(before))
        .group_by(lots.c.id, lots.c.name, lots.c.source)
        .order_by(sa.func.max(screenings.c.finished), lots.c.id)
    )
    with store.database.reading() as connection:
        return [
            OldLot(
                lot=LotKey(row.id, row.name, row.source),
                finished=row.finished,
                tiles=row.tiles,
                screenings=row.screenings,
                undelivered=row.undelivered,
            )
            for row in connection.execute(query)
        ]


def prune(store: Store, before: datetime) -> list[OldLot]:
    """Remove old lots with all that is known of them; the files of their tiles are not touched.

    Each lot goes in a transaction of its own, so a prune that is killed is gone on with.

    Args:
        store: To remove from.
        before: Lots whose last screening ended before this date go, if all their notifications
            have arrived.

    Returns:
        What was removed.

    Raises:
        StoreError: As of `Store.open`.
    """
    removed = [old for old in old_lots(store, before) if old.goes and _remove(store, old, before)]
    if removed and store.database.is_sqlite:
        # Gives the space back to the disk; PostgreSQL's autovacuum does it by itself.
        with store.database.outside_transactions() as connection:
            raw: Any = connection.connection.driver_connection
            # Where another program holds the store, the next prune does it. Each step frees one
            # page; of a script every step is taken, of a statement the first.
            with contextlib.suppress(sqlite3.OperationalError):
                raw.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")
    return removed


def _remove(store: Store, old: OldLot, before: datetime) -> bool:
    """Whether the lot was still there and still old."""

    def work(connection: Connection) -> bool:
        # Held first, and then looked at: who begins another screening meanwhile goes before.
        connection.execute(sa.select(lots.c.id).where(lots.c.id == old.lot.id).with_for_update())
        still = (lots.c.id == old.lot.id) & _is_old(before) & (_undelivered() == 0)
        return connection.execute(sa.delete(lots).where(still)).rowcount == 1

    return store.database.writing(work)
