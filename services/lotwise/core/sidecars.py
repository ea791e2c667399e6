"""Metadata that an instrument writes beside the picture: TESCAN's .hdr, JEOL's .txt, FEI's .ini."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lotwise.core.decoding import picture_width
from lotwise.core.instrument_files import fei, jeol, tescan
from lotwise.core.instrument_files.header import MAX_HEADER_BYTES, Header
from lotwise.core.limits import MAX_FILE_BYTES
from lotwise.core.tile import TileMetadata

_ENDINGS: Final = (".hdr", ".txt", ".ini")


def read_sidecar(image: Path) -> TileMetadata | None:
    """What the file beside `image` says of it; None where no such file says anything.

    A file of another kind, one that cannot be read, and one that speaks of a picture of another
    width say nothing of the scale. Never raises.

    Args:
        image: The picture; its sidecar has the same name and another ending. TESCAN also writes
            "tile-tif.hdr" beside "tile.tif".
    """
    found = find_sidecar(image)
    if found is None:
        return None
    return TileMetadata(um_per_px=found[1].um_per_px, instrument=found[1].instrument)


def find_sidecar(image: Path) -> tuple[Path, Header] | None:
    """The file beside `image` that an instrument wrote, and what it says."""
    for path in _candidates(image):
        header = _read(path)
        if header is None:
            continue
        if header.width_px is not None:
            width = picture_width(_start(image, MAX_FILE_BYTES))
            header = header if width is None else header.for_picture(width)
        return path, header
    return None


def _candidates(image: Path) -> Iterator[Path]:
    kind = image.suffix.removeprefix(".")
    for ending in _ENDINGS:
        for written in (ending, ending.upper()):
            yield image.with_name(image.stem + written)
            yield image.with_name(f"{image.stem}-{kind}{written}")
            yield image.with_name(image.name + written)


def _read(path: Path) -> Header | None:
    raw = _start(path, MAX_HEADER_BYTES)
    if not raw:
        return None
    name = path.suffix.lower()
    match name:
        case ".hdr":
            return tescan.read(raw, "TESCAN .hdr")
        case ".txt":
            return jeol.read(raw)
        case _:
            return fei.read(raw, "FEI/Thermo .ini")


def _start(path: Path, limit: int) -> bytes:
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(limit)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return b""
