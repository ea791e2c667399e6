"""JEOL: a .txt file of "$CM_..." and "$$SM_..." lines beside the picture."""

from __future__ import annotations

import re
from typing import Final

from lotwise.core.instrument_files import quantities, text
from lotwise.core.instrument_files.header import Header, instrument_tags, square

SOURCE: Final = "JEOL .txt"
_LINE: Final = re.compile(r"\$+([A-Z]{2}_[A-Z0-9_]{1,40})[\s:]+(.{1,100})")


def read(raw: bytes) -> Header | None:
    """The header; None where the text is not this vendor's.

    The length of a pixel follows from the scale bar, whose ends lie on whole pixels: 53 pixels
    are known to 1%.
    """
    lines = (_LINE.match(line) for line in text.decode(raw).splitlines())
    values: dict[str, str] = {}
    for found in lines:
        if found is not None:
            values.setdefault(found[1], found[2].strip())
    if not any(name.startswith(("CM_", "SM_")) for name in values):
        return None
    marker_m = quantities.metres(values.get("SM_MICRON_MARKER", ""))
    bar = quantities.quantity(values.get("SM_MICRON_BAR", ""))
    pixel = marker_m / bar[0] if marker_m is not None and bar is not None and bar[0] >= 1 else None
    um_per_px, doubt = square(SOURCE, pixel, None)
    full = [part for part in values.get("CM_FULL_SIZE", "").split() if part.isdecimal()]
    width, height = (int(part[:6]) for part in full) if len(full) == 2 else (None, None)
    return Header(
        source=SOURCE,
        um_per_px=um_per_px,
        doubt=doubt,
        instrument=instrument_tags(
            manufacturer="JEOL",
            model=text.first(values, "CM_INSTRUMENT"),
            detector=text.first(values, "CM_SIGNAL"),
            volts=quantities.volts(values.get("CM_ACCEL_VOLT", ""), "kV"),
            working_distance_m=quantities.metres(values.get("SM_WD", ""), "mm"),
            magnification=quantities.magnification(values.get("CM_MAG", "")),
        ),
        width_px=width,
        rows=height,
    )
