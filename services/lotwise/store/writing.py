"""Files that are there wholly or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lotwise.store.failures import StoreError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file beside `path`, which takes its name once all of it is on disk.

    Args:
        path: Of the file in the end. What stands there stays until then, and if this fails.

    Yields:
        The name to write to.

    Raises:
        StoreError: OUTPUT_UNWRITABLE: the disk is full, or the folder is missing or closed.
    """
    beside = path.with_name(f".{path.name[:200]}.{os.getpid()}.part")
    try:
        try:
            yield beside
            with beside.open("rb") as written:
                os.fsync(written.fileno())
            beside.replace(path)
            _sync_folder(path.parent)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            "OUTPUT_UNWRITABLE",
            f"{path} cannot be written: {error.strerror or error}. Nothing was left half-written.",
        ) from error


def _sync_folder(folder: Path) -> None:
    # Else the new name may be lost with the power, though the content is there.
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
