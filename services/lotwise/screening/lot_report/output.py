"""Reports as files."""

from __future__ import annotations

import re
from pathlib import Path

from lotwise.store.writing import replacing


def write(path: Path, content: bytes) -> None:
    """Write a report, whole or not at all.

    Args:
        path: Of the file; its folder is made where it is missing.
        content: Of the file.

    Raises:
        StoreError: OUTPUT_UNWRITABLE.
    """
    with replacing(path) as beside:
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)


def file_name(lot: str, ending: str) -> str:
    """A name for the report of a lot that every file system takes.

    Args:
        lot: The lot's name.
        ending: Such as ".html".
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", lot).strip("._-")[:80]
    return (plain or "lot") + ending
