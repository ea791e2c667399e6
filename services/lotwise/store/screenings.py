"""Screenings: who works on which tiles, and what is recorded of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from lotwise.store.database import Database, batched, upsert_into
from lotwise.store.leases import check_tiles, first_pending, free_tiles, locked
from lotwise.store.lots import check_lot
from lotwise.store.reading import result_values
from lotwise.store.rows import LotKey, ScreeningKey, StoredTile, TileResult
from lotwise.store.schema import claims, results, screenings


class ScreeningTables:
    """The part of a store that holds screenings and leases, and takes results.

    Args:
        database: The store's.
        clock: Says the time, aware.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._now = clock
        # All tiles of a screening below this number have a result: where claims begin to look.
        self._done_below: dict[int, int] = {}

    def begin_screening(
        self, lot: LotKey, fingerprint: str, stated: Mapping[str, Any]
    ) -> ScreeningKey:
        """Begin to screen a lot, or go on with it; the same one each time for a fingerprint.

        Args:
            lot: To screen.
            fingerprint: Of `stated`, as of `rows.fingerprint_of`. Under another one the same
                tiles are screened again, beside what is known of them.
            stated: Models, policy and what else the answers depend on; it must be JSON.

        Raises:
            NotFound: LOT_UNKNOWN.
            StoreError: As of `Store.open`.
        """

        def work(connection: Connection) -> ScreeningKey:
            check_lot(connection, lot)
            connection.execute(
                upsert_into(connection, screenings)
                .values(
                    lot_id=lot.id, fingerprint=fingerprint, stated=dict(stated), started=self._now()
                )
                .on_conflict_do_nothing(index_elements=["lot_id", "fingerprint"])
            )
            found = sa.select(screenings.c.id).where(
                screenings.c.lot_id == lot.id, screenings.c.fingerprint == fingerprint
            )
            return ScreeningKey(connection.execute(found).scalar_one(), lot.id)

        return self._database.writing(work)

    def claim(
        self, screening: ScreeningKey, worker: str, limit: int, lease_s: float
    ) -> list[StoredTile]:
        """Take tiles to work on that have no result and that nobody else works on.

        Args:
            screening: To work for.
            worker: Who works; must be this process's alone, such as host, process id and a random
                part.
            limit: Most tiles.
            lease_s: Seconds until others may take them, unless the lease is renewed.

        Returns:
            Up to `limit` tiles in the order of their coming. None where the screening is finished,
            or where all that is left is in the hands of others: `progress` tells which.

        Raises:
            NotFound: SCREENING_UNKNOWN.
            StoreError: As of `Store.open`.
        """

        def work(connection: Connection) -> list[StoredTile]:
            if locked(connection, screening).finished is not None:
                return []
            now = self._now()
            after = self._done_below.get(screening.id, 0)
            free = free_tiles(connection, screening, now, after, limit)
            if len(free) < limit and after:
                # Tiles of a transaction that was slow may have come in below.
                after = 0
                free = free_tiles(connection, screening, now, after, limit)
            if free:
                rows = [
                    {
                        "screening": screening.id,
                        "tile": tile.id,
                        "worker": worker,
                        "expires": now + timedelta(seconds=lease_s),
                    }
                    for tile in free
                ]
                statement = upsert_into(connection, claims)
                statement = statement.on_conflict_do_update(
                    index_elements=["screening", "tile"],
                    set_={
                        "worker": statement.excluded.worker,
                        "expires": statement.excluded.expires,
                    },
                )
                connection.execute(statement, rows)
            self._done_below[screening.id] = first_pending(connection, screening, after)
            return free

        return self._database.writing(work)

    def renew(self, screening: ScreeningKey, worker: str, lease_s: float) -> int:
        """Keep all tiles that a worker has for some more time.

        Args:
            screening: It works for.
            worker: As it claimed them.
            lease_s: Seconds from now.

        Returns:
            How many it still has; fewer than it thinks where others have taken over.

        Raises:
            NotFound: SCREENING_UNKNOWN.
            StoreError: As of `Store.open`.
        """

        def work(connection: Connection) -> int:
            locked(connection, screening)
            expires = self._now() + timedelta(seconds=lease_s)
            return connection.execute(
                sa.update(claims)
                .where(claims.c.screening == screening.id, claims.c.worker == worker)
                .values(expires=expires)
            ).rowcount

        return self._database.writing(work)

    def release(self, screening: ScreeningKey, worker: str) -> int:
        """Give back all tiles that a worker has without a result, as it ends.

        Args:
            screening: It worked for.
            worker: As it claimed them.

        Returns:
            How many.

        Raises:
            NotFound: SCREENING_UNKNOWN.
            StoreError: As of `Store.open`.
        """

        def work(connection: Connection) -> int:
            locked(connection, screening)
            mine = (claims.c.screening == screening.id) & (claims.c.worker == worker)
            return connection.execute(sa.delete(claims).where(mine)).rowcount

        return self._database.writing(work)

    def record(self, screening: ScreeningKey, worker: str, given: Sequence[TileResult]) -> int:
        """Keep results, all or none of them, and end the leases of their tiles.

        A tile that has a result keeps it: the first one counts, so recording again after a crash
        changes nothing, nor does a worker whose lease ran out.

        Args:
            screening: They belong to.
            worker: Who worked on them.
            given: One for each tile.

        Returns:
            How many were recorded; the others had a result.

        Raises:
            NotFound: SCREENING_UNKNOWN.
            InvalidRequest: TILE_OF_OTHER_LOT, or STORE_VALUE_INVALID for a number that is none.
            StoreError: As of `Store.open`; none is recorded then, so call again with the same.
        """
        first: dict[int, TileResult] = {}
        for result in given:
            first.setdefault(result.tile, result)

        def work(connection: Connection) -> int:
            locked(connection, screening)
            recorded = {"screening": screening.id, "worker": worker, "screened_at": self._now()}
            statement = (
                upsert_into(connection, results)
                .on_conflict_do_nothing(index_elements=["screening", "tile"])
                .returning(results.c.tile)
            )
            new = 0
            for batch in batched(first.values()):
                ids = [result.tile for result in batch]
                check_tiles(connection, screening, ids)
                rows = [result_values(result) | recorded for result in batch]
                new += len(connection.execute(statement, rows).all())
                connection.execute(
                    sa.delete(claims).where(
                        claims.c.screening == screening.id, claims.c.tile.in_(ids)
                    )
                )
            return new

        return self._database.writing(work) if first else 0
