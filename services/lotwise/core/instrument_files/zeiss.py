"""Zeiss SmartSEM: TIFF tag 34118, numbers first, then names and values on lines of their own."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from lotwise.core.instrument_files import quantities, text
from lotwise.core.instrument_files.header import Header, instrument_tags, square

TAG: Final = 34118
SOURCE: Final = "Zeiss tag 34118"
# A name on one line, "Label = value" on the next.
_NAME: Final = re.compile(r"^(?:AP|DP|SV)_[A-Z0-9_]+$")
# Lines of the numbers at the beginning. They are SI, of the picture as it was stored.
_PIXEL_M, _MAGNIFICATION, _VOLTS, _DISTANCE_M = 3, 4, 6, 9
_STORED: Final = re.compile(r"^\s*(\d{1,6})\s*\*\s*(\d{1,6})\s*$")


def read(raw: bytes) -> Header | None:
    """The header; None where the text is not this vendor's."""
    lines = [line.strip() for line in text.decode(raw).splitlines()]
    named = _named(lines)
    numbers = lines[:10] if len(lines) >= 10 else []
    if any(quantities.quantity(line) is None for line in numbers):
        numbers = []
    if not named and not numbers:
        return None
    # "Pixel Size" is of the screen, "Image Pixel Size" of the file.
    pixel = (
        quantities.metres(named.get("AP_IMAGE_PIXEL_SIZE", ""))
        or (quantities.metres(numbers[_PIXEL_M], "m") if numbers else None)
        or quantities.metres(named.get("AP_PIXEL_SIZE", ""))
    )
    um_per_px, doubt = square(SOURCE, pixel, None)
    stored = _STORED.match(named.get("DP_IMAGE_STORE", ""))
    # With an ion beam the picture's, these values are still the electron column's.
    electrons = named.get("DP_FIB_IMAGING", "SEM").upper() != "FIB"
    return Header(
        source=SOURCE,
        um_per_px=um_per_px,
        doubt=doubt,
        instrument=instrument_tags(
            manufacturer="Zeiss",
            model=text.first(named, "DP_SEM"),
            detector=text.first(named, "DP_DETECTOR_CHANNEL"),
            volts=_value(named, "AP_ACTUALKV", numbers, _VOLTS, electrons),
            working_distance_m=_value(named, "AP_WD", numbers, _DISTANCE_M, electrons),
            magnification=_value(named, "AP_MAG", numbers, _MAGNIFICATION, electrons),
        ),
        width_px=int(stored[1]) if stored is not None else None,
    )


def _named(lines: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for name, line in pairwise(lines):
        label, equals, value = line.partition("=")
        if equals and label and _NAME.match(name):
            named.setdefault(name, value.strip())
    return named


def _value(
    named: dict[str, str], name: str, numbers: list[str], line: int, electrons: bool
) -> float | None:
    if not electrons:
        return None
    stated, number = named.get(name, ""), numbers[line] if numbers else ""
    match name:
        case "AP_ACTUALKV":
            return quantities.volts(stated) or quantities.volts(number)
        case "AP_WD":
            return quantities.metres(stated) or quantities.metres(number, "m")
        case _:
            return quantities.magnification(stated) or quantities.magnification(number)
