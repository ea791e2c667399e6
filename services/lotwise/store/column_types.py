"""Types of columns that mean the same in SQLite and in PostgreSQL."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

# A file's name need not be UTF-8; Python holds each foreign byte as a lone surrogate, U+DC80 to
# U+DCFF, which no database keeps. They, and NUL, are stored as private characters of plane 16.
_PLANE: Final = 0x10_0000
_NOT_KEPT: Final = re.compile("[\0\ud800-\udfff]")
_STANDS_FOR: Final = re.compile("[\U0010d800-\U0010dfff]")
_NUL: Final = chr(_PLANE + 0xD800)


def _kept(found: re.Match[str]) -> str:
    return _NUL if found[0] == "\0" else chr(_PLANE + ord(found[0]))


def _given(found: re.Match[str]) -> str:
    return "\0" if found[0] == _NUL else chr(ord(found[0]) - _PLANE)


class Words(TypeDecorator[str]):
    """Any text that Python can hold, sorted by code point in every database."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """PostgreSQL would sort by the language of its machine."""
        plain = sa.Text(collation="C") if dialect.name == "postgresql" else sa.Text()
        return dialect.type_descriptor(plain)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """To what a database keeps."""
        return None if value is None else _NOT_KEPT.sub(_kept, value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """To what was given."""
        return None if value is None else _STANDS_FOR.sub(_given, value)


class UtcTime(TypeDecorator[datetime]):
    """A moment; aware on both sides, in UTC."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; SQLite keeps it without its zone, so that moments can be compared as text."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"The time {value} has no zone.")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """In UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Finite(TypeDecorator[float]):
    """A number. SQLite would keep NaN as NULL, so neither it nor infinity is taken."""

    impl = sa.Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """The number itself."""
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{value} is no number that can be kept.")
        return None if value is None else float(value)


def identity() -> TypeEngine[int]:
    """A row's number; SQLite counts up a column of the type INTEGER alone."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def document() -> TypeEngine[Any]:
    """JSON; None is NULL."""
    return sa.JSON(none_as_null=True)
