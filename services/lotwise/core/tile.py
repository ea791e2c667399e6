"""A decoded tile: grey pixels, the length of one pixel, and what the instrument said of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
SCALE_STATED: Final = "the request"


@dataclass(frozen=True)
class InstrumentTags:
    """What a file says of the microscope's state; None where it does not say.

    Nothing else of a header is kept: headers name people.
    """

    manufacturer: str | None = None
    model: str | None = None
    detector: str | None = None
    beam_energy_kev: float | None = None
    working_distance_mm: float | None = None
    magnification: float | None = None


@dataclass(frozen=True)
class TileMetadata:
    """What a header or a sidecar file says of a tile.

    Attributes:
        um_per_px: Edge length of a pixel in micrometres; None where nobody said.
        instrument: State of the microscope.
    """

    um_per_px: float | None = None
    instrument: InstrumentTags = InstrumentTags()


@dataclass(frozen=True)
class DecodedTile:
    """Pixels of one tile.

    Attributes:
        grey: uint8 [height, width], without the instrument's data bar.
        um_per_px: Edge length of a pixel in micrometres; None where nobody said.
        instrument: What the file says of the microscope's state.
        data_bar_px: Height of the data bar that was cropped at the bottom; 0 where there was none.
        scale_source: For people, where `um_per_px` comes from: "FEI/Thermo tag 34682";
            `SCALE_STATED` where the request said so; empty where nobody said.
        format: For people: "TIFF (LZW, 16 bit)".
        stretched: Black and white are the picture's own extremes, as its type of pixels has no
            full scale.
        doubt: Why a scale in the file was not taken, a sentence; empty where none was left.
    """

    grey: Grey
    um_per_px: float | None
    instrument: InstrumentTags = InstrumentTags()
    data_bar_px: int = 0
    scale_source: str = ""
    format: str = ""
    stretched: bool = False
    doubt: str = ""
