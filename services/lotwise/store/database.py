"""Connections and transactions: what differs between SQLite and PostgreSQL lies here."""

from __future__ import annotations

import itertools
import json
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event, exc
from sqlalchemy.dialects import postgresql, sqlite

from lotwise.store.address import Address
from lotwise.store.failures import is_worth_another_try, told_plainly, unreachable

T = TypeVar("T")
BATCH: Final = 1_000
"""Rows of one statement, and of one step of a stream."""
_TRIES: Final = 5
_SOCKET_TIMEOUT_S: Final = 120.0
# Not every OSError: who reads may write a file meanwhile.
_NETWORK: Final = (ConnectionError, TimeoutError, ssl.SSLError)


class Database:
    """A pool of connections to one store.

    Args:
        address: Of the store.
        busy_s: Seconds to wait for another program that holds the store.
    """

    def __init__(self, address: Address, busy_s: float) -> None:
        self.address = address
        self.engine = _engine(address, busy_s)

    @property
    def shown(self) -> str:
        """The address for messages."""
        return self.address.shown

    @property
    def is_sqlite(self) -> bool:
        """Whether the store is a file."""
        return self.address.file is not None

    def close(self) -> None:
        """Close all connections. What was recorded is on disk before that already."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of the store, whatever others write meanwhile.

        Raises:
            StoreError: As of `failures.told_plainly`.
        """
        options: dict[str, Any] = (
            {}
            if self.is_sqlite
            else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        with told_plainly(self.shown), self._connected(options) as connection:
            yield connection

    def writing(self, work: Callable[[Connection], T]) -> T:
        """Do all of `work` or nothing, on disk when this returns.

        Args:
            work: Called again if the database gave its transaction up for another one's sake, so
                it must change nothing but the database.

        Returns:
            What `work` returns.

        Raises:
            StoreError: As of `failures.told_plainly`; nothing is changed then.
        """
        for attempt in range(1, _TRIES + 1):
            with told_plainly(self.shown):
                try:
                    with self._connected({"lotwise_writes": True}) as connection:
                        return work(connection)
                except exc.DBAPIError as error:
                    if attempt == _TRIES or not is_worth_another_try(error):
                        raise
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def outside_transactions(self) -> Iterator[Connection]:
        """A connection for what cannot be done within a transaction.

        Raises:
            StoreError: As of `failures.told_plainly`.
        """
        options = {"lotwise_outside": True} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        with told_plainly(self.shown), self._connected(options) as connection:
            yield connection

    @contextmanager
    def _connected(self, options: dict[str, Any]) -> Iterator[Connection]:
        with self._connection() as connection:
            connection = connection.execution_options(**options)
            try:
                with connection.begin():
                    yield connection
            except _NETWORK as error:  # pg8000 does not make all of them its own
                connection.invalidate()
                raise unreachable(self.shown, str(error)) from error

    def _connection(self) -> Connection:
        try:
            try:
                return self.engine.connect()
            except OSError:
                # The server was restarted: what the pool holds is cut off, a new one may do.
                self.engine.dispose()
                return self.engine.connect()
        except OSError as error:
            raise unreachable(self.shown, str(error)) from error


def _json(value: Any) -> str:
    # NaN is no JSON, though Python writes it.
    return json.dumps(value, allow_nan=False)


def _engine(address: Address, busy_s: float) -> Engine:
    if address.file is not None:
        engine = sa.create_engine(
            address.url, connect_args={"timeout": busy_s}, json_serializer=_json
        )
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_on_sqlite)
        return engine
    engine = sa.create_engine(
        address.url,
        connect_args={"timeout": _SOCKET_TIMEOUT_S} | address.connect_args,
        json_serializer=_json,
        pool_pre_ping=True,  # a screener runs for weeks; the server is restarted meanwhile
    )
    milliseconds = max(1, round(1000 * busy_s))

    def set_up(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = {milliseconds}")
        # "off" would return before a result is on disk.
        cursor.execute("SET synchronous_commit = on")
        cursor.close()
        connection.commit()

    event.listen(engine, "connect", set_up)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    # sqlite3 would begin transactions of its own, too late and never IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA journal_size_limit = 67108864")
    cursor.close()


def _begin_on_sqlite(connection: Connection) -> None:
    # A reader that turns writer fails at once where another has written since; one that says so
    # at its beginning waits.
    options = connection.get_execution_options()
    if options.get("lotwise_outside"):
        return
    writes = options.get("lotwise_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def upsert_into(connection: Connection, table: sa.Table) -> Any:
    """An INSERT that can say ON CONFLICT, which both databases can, each under its own name.

    Args:
        connection: Of the database that will run it.
        table: To insert into.
    """
    module = postgresql if connection.dialect.name == "postgresql" else sqlite
    return module.insert(table)


def batched(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """The items in lists of at most `size`.

    Args:
        items: Any number of them.
        size: Of a list.
    """
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch
