"""What goes wrong with a store, in words that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import exc

from lotwise.core.errors import InvalidRequest, LotwiseError

# SQLite's primary codes; an extended one holds its primary code in the low byte.
_BUSY: Final = {5, 6}
_CANNOT_WRITE: Final = {8, 14, 23}
_IO_ERROR: Final = 10
_DAMAGED: Final = {11, 26}
_FULL: Final = 13
# Writing, syncing, truncating, growing the WAL's index: what fails where a quota or a limit on the
# size of files is reached. SQLite says "full" only where the disk itself is.
_IO_ERRORS_OF_GROWTH: Final = {778, 1034, 1546, 4874, 5386}

# SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_PG_FULL: Final = {"53100"}
_PG_BUSY: Final = {"55P03", "40P01", "40001", "53300", "57014"}
_PG_AGAIN: Final = {"40P01", "40001"}
_PG_REFUSED: Final = {"28P01", "28000", "3D000", "42501", "25006", "57P03"}


class StoreError(LotwiseError):
    """The store cannot be used now; what was recorded before stays recorded."""


def sqlstate(error: exc.DBAPIError) -> str:
    """PostgreSQL's five letters for what went wrong; empty where it is no such error."""
    said = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return str(said.get("C", "")) if isinstance(said, dict) else ""


def is_worth_another_try(error: exc.DBAPIError) -> bool:
    """Whether the database gave this transaction up for another one: a deadlock."""
    return sqlstate(error) in _PG_AGAIN


def _told(error: exc.DBAPIError) -> str:
    said: Any = error.orig.args[0] if error.orig is not None and error.orig.args else error.orig
    return str(said.get("M", said)) if isinstance(said, dict) else str(said)


def _full(shown: str, told: str) -> StoreError:
    return StoreError(
        "STORE_FULL",
        f"The store {shown} cannot grow ({told}). What was recorded before is safe. Free some "
        "space on its disk and start again; screening goes on where it stopped.",
    )


def _busy(shown: str, told: str) -> StoreError:
    return StoreError(
        "STORE_BUSY",
        f"The store {shown} is held by another program ({told}). Try again once it is done.",
    )


def unreachable(shown: str, told: str) -> StoreError:
    """The error of a database that does not let itself be used.

    Args:
        shown: The store's address, without its password.
        told: What the database or the system says.
    """
    return StoreError(
        "STORE_UNREACHABLE",
        f"The store {shown} cannot be used ({told}). Check its address, that the database runs, "
        "and that you may read and write it.",
    )


def invalid(shown: str, told: str) -> StoreError:
    """The error of something that is no store of Lotwise, or a damaged one.

    Args:
        shown: The store's address, without its password.
        told: What is wrong with it.
    """
    return StoreError(
        "STORE_INVALID", f"{shown} is no usable store: {told}. Name another, or restore a backup."
    )


def _of_sqlite(code: int, shown: str, told: str) -> StoreError | None:
    primary = code & 0xFF
    if primary == _FULL or code in _IO_ERRORS_OF_GROWTH:
        return _full(shown, told)
    if primary in _BUSY:
        return _busy(shown, told)
    if primary in _DAMAGED:
        return invalid(shown, told)
    if primary in _CANNOT_WRITE or primary == _IO_ERROR:
        return unreachable(shown, told)
    return None


def _of_postgresql(state: str, shown: str, told: str) -> StoreError | None:
    if state in _PG_FULL:
        return _full(shown, told)
    if state in _PG_BUSY:
        return _busy(shown, told)
    # Class 08 is the connection, 57P the server going down or coming up, 58 its disk.
    if state in _PG_REFUSED or state.startswith(("08", "57P", "58")):
        return unreachable(shown, told)
    return None


def as_store_error(error: exc.StatementError, shown: str) -> LotwiseError | None:
    """What a failed statement means; None where it is a fault of ours.

    Args:
        error: From SQLAlchemy.
        shown: The store's address, without its password.
    """
    if not isinstance(error, exc.DBAPIError):
        if isinstance(error.orig, ValueError):
            return InvalidRequest("STORE_VALUE_INVALID", f"{error.orig} Nothing was stored.")
        return None
    told = _told(error)
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return _of_sqlite(code, shown, told)
    if state := sqlstate(error):
        return _of_postgresql(state, shown, told)
    # pg8000 says so where the connection is lost or never came about.
    if isinstance(error, exc.InterfaceError) or error.connection_invalidated:
        return unreachable(shown, told)
    return None


@contextmanager
def told_plainly(shown: str) -> Iterator[None]:
    """Turns what a database raises into errors of the domain.

    Args:
        shown: The store's address, without its password.

    Raises:
        StoreError: STORE_FULL, STORE_BUSY, STORE_UNREACHABLE or STORE_INVALID.
        InvalidRequest: STORE_VALUE_INVALID: a value that no database keeps.
    """
    try:
        yield
    except exc.StatementError as error:
        meant = as_store_error(error, shown)
        if meant is None:
            raise
        raise meant from error
