"""The directories of a TIFF or BigTIFF, read from its bytes without trusting them.

No value is read before it is asked for, and none beyond the file's end, so that a broken or huge
header costs nothing. Nothing is logged: headers name people.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.limits import truncated

MAGIC: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
MAX_PAGES: Final = 1024
_MAX_ENTRIES: Final = 4096
# Type of a value -> numpy's name for it, without the byte order.
_INTEGERS: Final = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 13: "u4", 16: "u8"}
_BYTES_OF_TYPE: Final = {
    **{code: int(name[1]) for code, name in _INTEGERS.items()},
    **{2: 1, 5: 8, 7: 1, 10: 8, 11: 4, 12: 8, 17: 8, 18: 8},
}
_TEXT_TYPES: Final = (1, 2, 6, 7)


@dataclass(frozen=True)
class _Entry:
    kind: int
    count: int
    start: int


class Directory:
    """One page's tags."""

    def __init__(self, data: bytes, order: str, entries: dict[int, _Entry]) -> None:
        self.data = data
        self.order = order
        self._entries = entries

    def __contains__(self, code: int) -> bool:
        return code in self._entries

    def integers(self, code: int) -> npt.NDArray[Any] | None:
        """All values of an integer tag; None where it is absent, broken or of another type."""
        entry = self._entries.get(code)
        if entry is None or entry.kind not in _INTEGERS or not self._whole(entry):
            return None
        dtype = np.dtype(self.order + _INTEGERS[entry.kind])
        return np.frombuffer(self.data, dtype, entry.count, entry.start)

    def integer(self, code: int, default: int) -> int:
        """The first value of an integer tag; `default` where it is absent or broken."""
        values = self.integers(code)
        return default if values is None or not values.size else int(values[0])

    def ratio(self, code: int) -> float | None:
        """The first value of a rational tag; None where it is absent, broken or endless."""
        entry = self._entries.get(code)
        if entry is None or entry.kind != 5 or entry.count < 1 or not self._whole(entry):
            return None
        above, below = struct.unpack_from(self.order + "II", self.data, entry.start)
        return above / below if below else None

    def text(self, code: int, limit: int) -> bytes:
        """Bytes of a tag, at most `limit`; none where it is absent or of another type.

        A text that breaks off with the file is given as far as it goes.
        """
        entry = self._entries.get(code)
        if entry is None or entry.kind not in _TEXT_TYPES:
            return b""
        return self.data[entry.start : entry.start + min(entry.count, limit)]

    def _whole(self, entry: _Entry) -> bool:
        return entry.start + entry.count * _BYTES_OF_TYPE[entry.kind] <= len(self.data)


def directories(data: bytes) -> Iterator[Directory]:
    """The pages of a file in their order; a broken end of the chain ends it.

    Args:
        data: Begins with one of `MAGIC`.

    Raises:
        InvalidTile: TILE_TRUNCATED where there is no first page.
    """
    order = "<" if data[:1] == b"I" else ">"
    big = data[2:4] in (b"+\x00", b"\x00+")
    offset = _number(data, order + ("Q" if big else "I"), 8 if big else 4)
    if not offset or offset >= len(data):
        raise truncated()
    seen: set[int] = set()
    while offset and offset < len(data) and offset not in seen and len(seen) < MAX_PAGES:
        seen.add(offset)
        directory, offset = _directory(data, order, big, offset)
        yield directory


def _directory(data: bytes, order: str, big: bool, offset: int) -> tuple[Directory, int]:
    head, entry_bytes, inline = (8, 20, 8) if big else (2, 12, 4)
    layout = order + ("HHQ" if big else "HHI")
    count = min(_number(data, order + ("Q" if big else "H"), offset), _MAX_ENTRIES)
    entries: dict[int, _Entry] = {}
    for index in range(count):
        at = offset + head + index * entry_bytes
        if at + entry_bytes > len(data):
            break
        code, kind, n = struct.unpack_from(layout, data, at)
        if kind not in _BYTES_OF_TYPE or code in entries:
            continue
        start = at + entry_bytes - inline
        if n * _BYTES_OF_TYPE[kind] > inline:
            start = _number(data, order + ("Q" if big else "I"), start)
        entries[code] = _Entry(kind, n, start)
    following = _number(data, order + ("Q" if big else "I"), offset + head + count * entry_bytes)
    return Directory(data, order, entries), following


def _number(data: bytes, layout: str, at: int) -> int:
    if at + struct.calcsize(layout) > len(data):
        return 0
    return int(struct.unpack_from(layout, data, at)[0])
