"""How far screenings are, what their tiles got, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from lotwise.store.database import BATCH, Database
from lotwise.store.leases import NO_TILE, first_pending, locked
from lotwise.store.outbox import enqueue
from lotwise.store.reading import (
    MOSAIC_ORDER,
    OUTCOME_COLUMNS,
    SCREENING,
    TILE_COLUMNS,
    outcome_values,
    screening_of,
    stored_result,
)
from lotwise.store.rows import (
    Finishing,
    LotKey,
    LotOutcome,
    Progress,
    Screening,
    ScreeningKey,
    StoredResult,
)
from lotwise.store.schema import claims, results, screenings, tiles


class OutcomeTables:
    """The part of a store that holds what came of screenings.

    Args:
        database: The store's.
        clock: Says the time, aware.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._now = clock

    def progress(self, screening: ScreeningKey) -> Progress:
        """How far a screening is, in two queries whatever the number of tiles.

        Args:
            screening: Which one.

        Raises:
            StoreError: As of `Store.open`.
        """
        # Grouped, SQLite would sort all of them each time.
        decided = sa.select(
            *(
                sa.func.count().filter(results.c.decision == name)
                for name in ("accept", "refer", "failed")
            )
        ).where(results.c.screening == screening.id)
        of_lot = sa.select(sa.func.count()).where(tiles.c.lot_id == screening.lot_id)
        held = sa.select(sa.func.count()).where(
            claims.c.screening == screening.id, claims.c.expires > self._now()
        )
        with self._database.reading() as connection:
            counts = connection.execute(decided).one()
            total, claimed = connection.execute(
                sa.select(of_lot.scalar_subquery(), held.scalar_subquery())
            ).one()
        return Progress(
            tiles=total,
            accepted=counts[0],
            referred=counts[1],
            failed=counts[2],
            claimed=claimed,
        )

    def results(self, screening: ScreeningKey) -> Iterator[StoredResult]:
        """All results in the order of the mosaic, a thousand at a time.

        The view is that of the first one, whatever is recorded meanwhile. It holds a connection
        until it is read to its end or closed.

        Args:
            screening: Which one.

        Raises:
            StoreError: As of `Store.open`.
        """
        query = (
            sa.select(*TILE_COLUMNS, results)
            .join_from(tiles, results, results.c.tile == tiles.c.id)
            .where(tiles.c.lot_id == screening.lot_id, results.c.screening == screening.id)
            .order_by(*MOSAIC_ORDER)
            .execution_options(yield_per=BATCH)
        )
        with self._database.reading() as connection:
            for row in connection.execute(query):
                yield stored_result(row)

    def finish(
        self,
        screening: ScreeningKey,
        outcome: LotOutcome,
        *,
        notify: Mapping[str, Mapping[str, Any]] | None = None,
        early: bool = False,
    ) -> Finishing:
        """Say what came of a screening, once, together with whom to tell of it.

        Args:
            screening: Which one.
            outcome: Of the lot.
            notify: What to send, by target; kept in the same transaction, so that none is lost and
                none is sent for a verdict that is not kept.
            early: Whether tiles without a result do not matter, as enough have one.

        Returns:
            "finished" by this call, "already" by an earlier one, whose outcome stays, or "pending":
            nothing was done, because tiles are without a result.

        Raises:
            NotFound: SCREENING_UNKNOWN.
            StoreError: As of `Store.open`.
        """

        def work(connection: Connection) -> Finishing:
            if locked(connection, screening).finished is not None:
                return "already"
            if not early and first_pending(connection, screening, 0) != NO_TILE:
                return "pending"
            now = self._now()
            connection.execute(
                sa.update(screenings)
                .where(screenings.c.id == screening.id)
                .values(finished=now, **outcome_values(outcome))
            )
            connection.execute(sa.delete(claims).where(claims.c.screening == screening.id))
            enqueue(connection, screening, notify or {}, now)
            return "finished"

        return self._database.writing(work)

    def reopen(self, screening: ScreeningKey) -> bool:
        """Take a screening's end back, as the lot has got more tiles. Its results stay.

        Args:
            screening: Which one.

        Returns:
            Whether it was finished.

        Raises:
            NotFound: SCREENING_UNKNOWN.
            StoreError: As of `Store.open`.
        """

        def work(connection: Connection) -> bool:
            was = locked(connection, screening).finished is not None
            nothing = dict.fromkeys(OUTCOME_COLUMNS)
            connection.execute(
                sa.update(screenings)
                .where(screenings.c.id == screening.id)
                .values(finished=None, **nothing)
            )
            return was

        return self._database.writing(work)

    def screenings(self, lot: LotKey | None = None) -> list[Screening]:
        """The screenings in the order of their beginning.

        Args:
            lot: Of this one alone.

        Raises:
            StoreError: As of `Store.open`.
        """
        query = SCREENING.order_by(screenings.c.started, screenings.c.id)
        if lot is not None:
            query = query.where(screenings.c.lot_id == lot.id)
        with self._database.reading() as connection:
            return [screening_of(row) for row in connection.execute(query)]
