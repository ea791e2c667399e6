"""What a cascade decides beside the whole committee, tile by tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.evaluation.shift_predictions import SETS
from lotwise_training.store.arrays import ResultsError, manifest_path, read_stored, write_stored

FILE: Final = "cascade.npz"
REFERRED: Final = -1
"""The decision that names no lot."""

Decisions = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class CascadeDecisions:
    """What was decided on N tiles of a set.

    Attributes:
        done: bool [N], whether the first members were enough.
        decided, by_all: int16 [N], the named lot where the tile is accepted, else REFERRED; by the
            cascade, and by the whole committee.
    """

    done: npt.NDArray[np.bool_]
    decided: Decisions
    by_all: Decisions


@dataclass(frozen=True, eq=False)
class StoredCascade:
    """All that is stored.

    Attributes:
        sets: By name.
        version: Of the cascade.
        first, members: Members that are asked first, and all.
        kinds_of_tiles, kinds_of_lots: Balanced accuracy of the first members' diagnosis.
        false_alarms: New lots that it calls those of a changed instrument.
    """

    sets: Mapping[str, CascadeDecisions]
    version: str
    first: int
    members: int
    kinds_of_tiles: float
    kinds_of_lots: float
    false_alarms: int


STATED: Final = tuple(StoredCascade.__annotations__)[1:]


def write_cascade_decisions(results: Path, stored: StoredCascade) -> None:
    """Write `cascade.npz` and its manifest."""
    arrays = {
        f"{name}/{key}": getattr(each, key)
        for name, each in stored.sets.items()
        for key in CascadeDecisions.__annotations__
    }
    said: dict[str, Any] = {name: getattr(stored, name) for name in STATED}
    write_stored(results / FILE, arrays, said)


def read_cascade_decisions(results: Path) -> StoredCascade | None:
    """What `write_cascade_decisions` wrote; None where nothing of it is there.

    Raises:
        ResultsError: What is there is not what its manifest speaks of.
    """
    path = results / FILE
    if not path.exists() and not manifest_path(path).exists():
        return None
    arrays, said = read_stored(path)
    try:
        sets = {
            name: CascadeDecisions(
                **{key: arrays[f"{name}/{key}"] for key in CascadeDecisions.__annotations__}
            )
            for name in SETS
        }
        return StoredCascade(sets, **{name: said[name] for name in STATED})
    except (KeyError, ValueError, TypeError) as error:
        raise ResultsError(f"{path} holds no decisions of a cascade: {error}") from None
