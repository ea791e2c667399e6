"""JSON of which anything may be missing, or be something else than was expected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


class Reader:
    """Reads plain values out of JSON. What is not there, or is of another type, is None or empty.

    Args:
        value: Any JSON.
    """

    def __init__(self, value: Any) -> None:
        self._value: Mapping[str, Any] = value if isinstance(value, Mapping) else {}

    def __bool__(self) -> bool:
        return bool(self._value)

    def of(self, name: str) -> Reader:
        """What is within; an empty reader where it is no object.

        Args:
            name: Of the member.
        """
        return Reader(self._value.get(name))

    def each(self, name: str) -> list[Reader]:
        """The objects of a list.

        Args:
            name: Of the member.
        """
        found = self._value.get(name)
        if not isinstance(found, Sequence) or isinstance(found, str | bytes):
            return []
        return [Reader(each) for each in found if isinstance(each, Mapping)]

    def members(self) -> dict[str, Reader]:
        """The members that are objects, by name."""
        return {
            str(name): Reader(each)
            for name, each in self._value.items()
            if isinstance(each, Mapping)
        }

    def text(self, name: str) -> str:
        """A text; a number as it is written.

        Args:
            name: Of the member.
        """
        found = self._value.get(name)
        if isinstance(found, str):
            return found
        return str(found) if isinstance(found, int | float) and found is not True else ""

    def number(self, name: str) -> float | None:
        """A finite number. JSON of the protocol has whole ones of 64 bits as texts.

        Args:
            name: Of the member.
        """
        found = self._value.get(name)
        if isinstance(found, bool) or not isinstance(found, int | float | str):
            return None
        try:
            value = float(found)
        except (ValueError, OverflowError):
            return None
        return value if math.isfinite(value) else None

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of finite numbers; empty where one of them is none.

        Args:
            name: Of the member.
        """
        found = self._value.get(name)
        if not isinstance(found, list):
            return ()
        numbers = [Reader({name: each}).number(name) for each in found]
        return () if None in numbers else tuple(each for each in numbers if each is not None)

    def count(self, name: str) -> int | None:
        """A whole number of things.

        Args:
            name: Of the member.
        """
        value = self.number(name)
        return None if value is None or value < 0 else int(value)

    def true(self, name: str) -> bool | None:
        """Yes or no; None where it is not said.

        Args:
            name: Of the member.
        """
        found = self._value.get(name)
        return found if isinstance(found, bool) else None
