"""What edits did to tiles, as a meter and the regressor read it, in one small file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.store.arrays import ResultsError, read_stored, write_stored

FILE: Final = "edits.npz"
SIMULATOR: Final = "simulator"
"""Not an editor: the lots themselves, made again with one attribute changed."""
DIRECTIONS: Final = 2

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class EditSet:
    """Edits of N tiles: each of A attributes once down and once up, all others left.

    Attributes:
        lots: [N], number of the tile's lot.
        requested: [N, A, 2], change that was asked for; 0 where the attribute is at its end.
        measured: [N, A, 2, A], change of the meter's reading of every attribute.
        property: [N, A, 2], change of the regressor's answer; of the simulator, of the true value.
        redrawn_psnr_db: [N], of the tile redrawn with its own attributes; empty for the simulator,
            as the next two.
        redrawn_shift: [N], by which share the answer to the redrawn tile differs from the tile's.
        returned_psnr_db: [N, A], of the tile edited upwards and back again.
    """

    lots: Array
    requested: Array
    measured: Array
    property: Array
    redrawn_psnr_db: Array
    redrawn_shift: Array
    returned_psnr_db: Array


def write_edits(folder: Path, sets: Mapping[str, EditSet], manifest: Mapping[str, Any]) -> None:
    """Write `edits.npz` and `edits.json`.

    Args:
        folder: Of all stored results.
        sets: By the kind of the editor, or SIMULATOR.
        manifest: What else is known, in JSON's types; "attributes" names them.

    Raises:
        ResultsError: More than 8 MB.
    """
    arrays = {
        f"{kind}/{field.name}": getattr(each, field.name)
        for kind, each in sets.items()
        for field in fields(EditSet)
    }
    write_stored(folder / FILE, arrays, {**manifest, "kinds": list(sets)})


def read_edits(folder: Path) -> tuple[dict[str, EditSet], dict[str, Any]]:
    """Sets and manifest, as `write_edits` wrote them.

    Raises:
        ResultsError: A file is missing or unreadable, or the sets are not the manifest's.
    """
    arrays, manifest = read_stored(folder / FILE)
    try:
        sets = {
            kind: EditSet(
                **{field.name: arrays[f"{kind}/{field.name}"] for field in fields(EditSet)}
            )
            for kind in manifest["kinds"]
        }
    except KeyError as error:
        raise ResultsError(f"{folder / FILE} lacks {error}") from None
    return sets, manifest
