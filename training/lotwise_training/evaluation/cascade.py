"""Decisions of a cascade beside those of the whole ensemble, tile by tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.store.arrays import Result, Shape, Stored

REFERRED: Final = -1
"""The decision that names no lot."""

Decisions = Annotated[npt.NDArray[np.int16], Shape("N")]


@dataclass(frozen=True, eq=False)
class CascadeDecisions(Stored):
    """Decisions on N tiles of a set.

    Attributes:
        done: bool [N], whether the first members sufficed (early exit).
        decided, by_all: int16 [N], the predicted lot where the tile is accepted, else REFERRED; by
            the cascade, and by the whole ensemble.
    """

    done: Annotated[npt.NDArray[np.bool_], Shape("N")]
    decided: Decisions
    by_all: Decisions


@dataclass(frozen=True, eq=False)
class StoredCascade(Result):
    """Decisions on all sets.

    Attributes:
        sets: By name.
        version: Of the cascade.
        first, members: Members that run first, and all.
        kinds_of_tiles, kinds_of_lots: Balanced accuracy of the first members' diagnosis.
        false_alarms: New lots that it diagnoses as a changed instrument.
    """

    stem: ClassVar[str] = "cascade"
    sets: Mapping[str, CascadeDecisions]
    version: str
    first: int
    members: int
    kinds_of_tiles: float
    kinds_of_lots: float
    false_alarms: int
