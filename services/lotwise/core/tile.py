"""A decoded tile: grey pixels and the length of one pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class DecodedTile:
    """Pixels of one tile.

    Attributes:
        grey: uint8 [height, width].
        um_per_px: Edge length of a pixel in micrometres; None where nobody said.
    """

    grey: Grey
    um_per_px: float | None
