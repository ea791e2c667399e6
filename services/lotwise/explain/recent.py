"""Tiles that were asked about a moment ago: whoever moves a slider asks of one tile many times."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise.core.preprocessing import PreparedTile, prepare
from lotwise.core.tile import DecodedTile
from lotwise.explain.editing import EditableTile, Editor
from lotwise.explain.familiarity import admit

KEPT: Final = 16
"""Tiles; each holds about a megabyte of what the encoder gives."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Redrawn:
    """A tile redrawn with its lot's own attributes, to which edits are compared.

    Attributes:
        value: Its property.
        read: float64 [n_attributes], as the meter reads it; None without one.
    """

    value: float
    read: Floats | None


@dataclass
class Recent:
    """A tile that has been encoded.

    Attributes:
        tile: With its code.
        redrawn: None until somebody needed it.
    """

    tile: EditableTile
    redrawn: Redrawn | None = None


class RecentTiles:
    """The last tiles, by their pixels, their lot and the networks that encoded them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Recent] = OrderedDict()

    async def encoded(
        self, editor: Editor, tile: DecodedTile, attributes: Floats, *, anyhow: bool
    ) -> Recent:
        """A tile's code, from a moment ago where it was asked for then.

        Args, errors: As `Editor.encode`.
        """
        prepared = prepare(tile, editor.geometry)
        key = _key(editor, prepared, attributes)
        if (known := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            admit(known.tile.looks.familiarity, editor.min_familiarity, anyhow=anyhow)
            return known
        recent = Recent(await editor.encode(prepared, attributes, anyhow=anyhow))
        self._kept[key] = recent
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return recent


def _key(editor: Editor, tile: PreparedTile, attributes: Floats) -> bytes:
    digest = hashlib.sha256(np.ascontiguousarray(tile.image).tobytes())
    digest.update(attributes.tobytes())
    # Networks may be exchanged while the service runs.
    for served in editor.answering:
        name, weights = served.signature.name, served.signature.metadata.weights_sha256
        digest.update(f"{name} {served.version} {weights}".encode())
    return digest.digest()
