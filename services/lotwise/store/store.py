"""The store: what a screener has seen, decided and still has to tell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

from lotwise.store.address import Address
from lotwise.store.comparing import Comparisons
from lotwise.store.database import Database
from lotwise.store.lots import LotTables
from lotwise.store.migrating import found_version, head, prepare
from lotwise.store.outbox import DeliveryTables
from lotwise.store.outcomes import OutcomeTables
from lotwise.store.screenings import ScreeningTables

BUSY_S: Final = 30.0


def now_utc() -> datetime:
    """The time now."""
    return datetime.now(UTC)


class Store(LotTables, ScreeningTables, OutcomeTables, DeliveryTables, Comparisons):
    """Lots, tiles, screenings, results and notifications in SQLite or PostgreSQL.

    Every call is a transaction of its own: once it returns, what it did is on disk. Every call that
    writes may be made again with the same arguments, after a crash or an error, and changes nothing
    the second time. Calls block; they may come from several threads at once.

    Args:
        database: Of the store, its tables up to date.
        clock: Says the time, aware.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        LotTables.__init__(self, database, clock)
        ScreeningTables.__init__(self, database, clock)
        self.database = database

    @classmethod
    def open(
        cls,
        address: str | Path,
        *,
        create: bool = False,
        busy_s: float = BUSY_S,
        clock: Callable[[], datetime] = now_utc,
    ) -> Store:
        """Open a store.

        Args:
            address: A path of a SQLite file, `sqlite:///path`, or
                `postgresql://user:password@host/database`.
            create: Whether to create it where there is none, and to bring its tables up to date
                where an older Lotwise wrote them.
            busy_s: Seconds that a call waits for another program that holds the store.
            clock: Says the time, aware; leases and due times go by it.

        Raises:
            NotFound: STORE_MISSING.
            StoreError: STORE_INVALID (no store, or a damaged one), STORE_NEWER, STORE_OLDER,
                STORE_UNREACHABLE, STORE_BUSY or STORE_FULL. Every call may raise the last three.
        """
        database = Database(Address.parse(address), busy_s)
        try:
            prepare(database, create=create)
        except BaseException:
            database.close()
            raise
        return cls(database, clock)

    @classmethod
    def migrate(cls, address: str | Path, *, busy_s: float = BUSY_S) -> tuple[str, str]:
        """Bring the tables of a store that is there up to date.

        Args:
            address: As of `open`.
            busy_s: As of `open`.

        Returns:
            The schema's version before and after.

        Raises:
            NotFound: STORE_MISSING.
            StoreError: As of `open`.
        """
        database = Database(Address.parse(address), busy_s)
        try:
            before = found_version(database)
            prepare(database, create=True)
        finally:
            database.close()
        return before, head()

    @property
    def shown(self) -> str:
        """The address, without a password."""
        return self.database.shown

    @property
    def schema(self) -> str:
        """Version of the tables."""
        return head()

    def now(self) -> datetime:
        """The time by the store's clock, UTC."""
        return self._now().astimezone(UTC)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
