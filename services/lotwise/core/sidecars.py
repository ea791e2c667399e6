"""Metadata that an instrument writes beside the picture: TESCAN's .hdr, JEOL's .txt."""

from __future__ import annotations

from pathlib import Path

from lotwise.core.tile import TileMetadata


def read_sidecar(image: Path) -> TileMetadata | None:
    """What the file beside `image` says of it; None where no such file says anything.

    Args:
        image: The picture; its sidecar has the same name and another ending.
    """
    return None
