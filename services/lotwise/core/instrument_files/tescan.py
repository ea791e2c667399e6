"""TESCAN: TIFF tag 50431, a small picture and then keys with values; or a .hdr file of the same."""

from __future__ import annotations

import re
from typing import Final

from lotwise.core.instrument_files import quantities, text
from lotwise.core.instrument_files.header import Header, instrument_tags, square

TAG: Final = 50431
SOURCE: Final = "TESCAN tag 50431"
# Behind the small picture, bytes without a line break may stand before the first key.
_KEY: Final = re.compile(rb"(?:AccFrames|PixelSizeX|Device|Magnification|HV)=")


def read(raw: bytes, source: str = SOURCE) -> Header | None:
    """The header; None where the bytes are not this vendor's."""
    begin = _KEY.search(raw)
    if begin is None:
        return None
    values: dict[str, str] = {}
    for section in text.ini(text.decode(_titles_on_lines(raw[begin.start() :]))).values():
        for key, value in section.items():
            values.setdefault(key, value)
    if "PixelSizeX" not in values and "Device" not in values:
        return None
    um_per_px, doubt = square(
        source,
        quantities.metres(values.get("PixelSizeX", ""), "m"),
        quantities.metres(values.get("PixelSizeY", ""), "m"),
    )
    model = re.sub(r"^TESCAN\s+", "", text.first(values, "Device", "DeviceModel") or "")
    strip = quantities.quantity(values.get("ImageStripSize", ""))
    return Header(
        source=source,
        um_per_px=um_per_px,
        doubt=doubt,
        instrument=instrument_tags(
            manufacturer="TESCAN",
            model=model,
            detector=text.first(values, "Detector", "Detector0"),
            volts=quantities.volts(text.first(values, "HV", "AcceleratorVoltage") or ""),
            working_distance_m=quantities.metres(values.get("WD", ""), "m"),
            magnification=quantities.magnification(values.get("Magnification", "")),
        ),
        bar_rows=int(strip[0]) if strip is not None and 0 <= strip[0] < 1e6 else None,
    )


def _titles_on_lines(raw: bytes) -> bytes:
    """In the tag, binary marks stand between the parts; they must not stick to a key."""
    return re.sub(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]+", b"\n", raw)
