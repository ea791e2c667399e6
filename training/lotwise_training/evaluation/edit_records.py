"""Measured changes of edited tiles, by a network that reads attributes and by the regressor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.store.arrays import Result, Shape, Stored

SIMULATOR: Final = "simulator"
"""Not an editor: the lots themselves, simulated again with one attribute changed."""
DIRECTIONS: Final = 2

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class EditSet(Stored):
    """Edits of N tiles: each of A attributes once down and once up, all others unchanged.

    Attributes:
        lots: [N], number of the tile's lot.
        requested: [N, A, 2], requested change; 0 where the attribute is at its end.
        measured: [N, A, 2, A], change of the meter's reading of every attribute.
        property: [N, A, 2], change of the predicted property; of the simulator, of the true value.
        redrawn_psnr_db: [N], of the tile redrawn with its current attributes; empty for the
            simulator, as the next two.
        redrawn_shift: [N], relative change of the predicted property by redrawing.
        returned_psnr_db: [N, A], of the tile edited upwards and back again.
    """

    lots: Annotated[Array, Shape("N")]
    requested: Annotated[Array, Shape("N A D")]
    measured: Annotated[Array, Shape("N A D A")]
    property: Annotated[Array, Shape("N A D")]
    redrawn_psnr_db: Annotated[Array, Shape("M")]
    redrawn_shift: Annotated[Array, Shape("M")]
    returned_psnr_db: Annotated[Array, Shape("M ...")]


@dataclass(frozen=True, eq=False)
class EditorRun(Stored):
    """Training of an editor, or of the network that reads attributes, which has no hash here."""

    steps: int
    seconds: int
    weights_sha256: str | None = None


@dataclass(frozen=True, eq=False)
class EditResult(Result):
    """Measurements of all editors.

    Attributes:
        benchmark: Version of the benchmark that the lots are from.
        profile: Name of the recipes' folder.
        served: Kind of the editor that is served.
        attributes: A names.
        unit: Of the property.
        networks: By kind, and the meter.
        curves: Learning curves by kind and loss: pairs of step and value.
        sets: By kind of the editor, or SIMULATOR.
    """

    stem: ClassVar[str] = "edits"
    benchmark: int
    profile: str
    served: str
    attributes: tuple[str, ...]
    unit: str
    networks: Mapping[str, EditorRun]
    curves: Mapping[str, Mapping[str, tuple[tuple[float, float], ...]]]
    sets: Mapping[str, EditSet]
