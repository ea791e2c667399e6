"""Which tiles of a screening are free, within a transaction that holds the screening."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from lotwise.core.errors import InvalidRequest, NotFound
from lotwise.store.reading import TILE_COLUMNS, tile_of
from lotwise.store.rows import ScreeningKey, StoredTile
from lotwise.store.schema import claims, results, screenings, tiles

NO_TILE: Final = 2**63 - 1
"""Above the number of every tile."""


def locked(connection: Connection, screening: ScreeningKey) -> Any:
    """Hold the screening against all others who write to it, until the transaction ends.

    SQLite has one writer at a time as it is. With SKIP LOCKED instead, a screener would be told at
    times that nothing is left while another one was just choosing.

    Args:
        connection: In a transaction that writes.
        screening: To hold.

    Returns:
        Its row: `id`, `finished`.

    Raises:
        NotFound: SCREENING_UNKNOWN.
    """
    row = connection.execute(
        sa.select(screenings.c.id, screenings.c.finished)
        .where(screenings.c.id == screening.id, screenings.c.lot_id == screening.lot_id)
        .with_for_update(key_share=True)
    ).first()
    if row is None:
        raise NotFound(
            "SCREENING_UNKNOWN",
            "The store no longer has this screening; its lot was removed. Register the lot again.",
        )
    return row


def _without_result(screening: ScreeningKey, after: int) -> sa.ColumnElement[bool]:
    recorded = sa.exists().where(results.c.screening == screening.id, results.c.tile == tiles.c.id)
    return (tiles.c.lot_id == screening.lot_id) & (tiles.c.id >= after) & ~recorded


def free_tiles(
    connection: Connection, screening: ScreeningKey, now: datetime, after: int, limit: int
) -> list[StoredTile]:
    """Tiles that have no result and no lease that holds.

    Args:
        connection: That holds the screening.
        screening: To work for.
        now: A lease that has not expired then holds.
        after: The least number of a tile to look at.
        limit: Most tiles.
    """
    leased = sa.exists().where(
        claims.c.screening == screening.id,
        claims.c.tile == tiles.c.id,
        claims.c.expires > now,
    )
    query = (
        sa.select(*TILE_COLUMNS)
        .where(_without_result(screening, after), ~leased)
        .order_by(tiles.c.id)
        .limit(limit)
    )
    return [tile_of(row) for row in connection.execute(query)]


def first_pending(connection: Connection, screening: ScreeningKey, after: int) -> int:
    """The least number of a tile without a result; NO_TILE where all have one.

    Args:
        connection: That holds the screening.
        screening: To look at.
        after: The least number to look at.
    """
    query = (
        sa.select(tiles.c.id).where(_without_result(screening, after)).order_by(tiles.c.id).limit(1)
    )
    found = connection.execute(query).scalar()
    return NO_TILE if found is None else int(found)


def check_tiles(connection: Connection, screening: ScreeningKey, ids: Sequence[int]) -> None:
    """Refuse tiles that are not of the screening's lot.

    Args:
        connection: To the store.
        screening: The screening.
        ids: Numbers of tiles, each once.

    Raises:
        InvalidRequest: TILE_OF_OTHER_LOT.
    """
    of_lot = connection.execute(
        sa.select(sa.func.count()).where(
            tiles.c.lot_id == screening.lot_id, tiles.c.id.in_(list(ids))
        )
    ).scalar_one()
    if of_lot != len(ids):
        raise InvalidRequest(
            "TILE_OF_OTHER_LOT",
            f"{len(ids) - of_lot} of {len(ids)} tiles are not of the lot that is screened. "
            "Nothing was recorded.",
        )
