"""What a reader of a vendor's header gives: a fixed list of fields, checked, and nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final

from lotwise.core.tile import InstrumentTags

# A header of more bytes than this is read as far as here.
MAX_HEADER_BYTES: Final = 2**20
# Width and height of a pixel that differ by more are no square.
SQUARE_TOLERANCE: Final = 0.01
_UM_PER_PX: Final = (1e-6, 1e4)
_KEV: Final = (1e-3, 1e3)
_MM: Final = (1e-3, 1e3)
_MAGNIFICATION: Final = (0.1, 1e9)
_MAX_NAME: Final = 64


@dataclass(frozen=True)
class Header:
    """What one header says.

    Attributes:
        source: For people: vendor and tag.
        um_per_px: Edge length of a pixel in micrometres; None where it does not say.
        doubt: Why a stated scale was not taken, a sentence; empty where none was left.
        instrument: State of the microscope.
        width_px: Width of the picture that the header speaks of; None where it does not say.
        rows: Rows of the picture without the data bar; None where it does not say.
        bar_rows: Height of the data bar; None where it does not say.
    """

    source: str
    um_per_px: float | None = None
    doubt: str = ""
    instrument: InstrumentTags = field(default_factory=InstrumentTags)
    width_px: int | None = None
    rows: int | None = None
    bar_rows: int | None = None

    def for_picture(self, width: int) -> Header:
        """The same, without the scale where the picture was resized or cropped since."""
        if self.width_px is None or self.width_px == width or self.um_per_px is None:
            return self
        return replace(
            self,
            um_per_px=None,
            doubt=f"{self.source} speaks of a picture {self.width_px} px wide, this one is "
            f"{width}: its pixel size was not taken.",
        )

    def bar_of(self, width: int, height: int) -> int | None:
        """Height of the data bar in the picture, by this header; None where it cannot say.

        A third of the picture is no bar: the header then speaks of another picture.
        """
        bar = self.bar_rows
        if bar is None and self.rows is not None and self.width_px in (None, width):
            bar = height - self.rows
        return bar if bar is not None and 0 <= bar <= height // 3 else None


def square(source: str, width_m: float | None, height_m: float | None) -> tuple[float | None, str]:
    """um_per_px and the doubt from the sizes of a pixel in metres; the height may be unknown."""
    if width_m is None:
        return None, ""
    if height_m is not None and not math.isclose(width_m, height_m, rel_tol=SQUARE_TOLERANCE):
        return None, f"{source} says that pixels are not square: its pixel size was not taken."
    return _within(width_m * 1e6, _UM_PER_PX), ""


def instrument_tags(
    *,
    manufacturer: str | None = None,
    model: str | None = None,
    detector: str | None = None,
    volts: float | None = None,
    working_distance_m: float | None = None,
    magnification: float | None = None,
) -> InstrumentTags:
    """The state of the microscope from SI values; what cannot be is left out."""
    return InstrumentTags(
        manufacturer=manufacturer,
        model=_name(model),
        detector=_name(detector),
        beam_energy_kev=_within(None if volts is None else volts / 1e3, _KEV),
        working_distance_mm=_within(
            None if working_distance_m is None else working_distance_m * 1e3, _MM
        ),
        magnification=_within(magnification, _MAGNIFICATION),
    )


def _name(text: str | None) -> str | None:
    """A short printable name; None where nothing is left of it."""
    kept = "".join(each if each.isprintable() else " " for each in text or "")
    return " ".join(kept.split())[:_MAX_NAME] or None


def _within(value: float | None, limits: tuple[float, float]) -> float | None:
    if value is None or not limits[0] <= value <= limits[1]:
        return None
    # Twelve digits: 3.33333e-09 m is 0.00333333 um, without the dust of the conversion.
    return float(f"{value:.12g}")
