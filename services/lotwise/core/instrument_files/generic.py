"""Scales that no vendor wrote: OME-XML, ImageJ, and TIFF's own resolution."""

from __future__ import annotations

import math
import re
from typing import Final

from lotwise.core.instrument_files import quantities, text
from lotwise.core.instrument_files.header import MAX_HEADER_BYTES, Header, square
from lotwise.core.tiff_structure import Directory

# Coarser than this, a resolution tag is a printer's (600 dpi is 42 um), not a microscope's.
MAX_PLAUSIBLE_UM_PER_PX: Final = 10.0
_X, _Y, _UNIT = 282, 283, 296
_DESCRIPTION: Final = 270
_METRES_OF_UNIT: Final = {2: 0.0254, 3: 0.01}
_IMAGEJ_UNIT: Final = re.compile(r"^unit=([^\n]{0,40})", re.MULTILINE)
_OME_PIXELS: Final = re.compile(r"<(?:\w+:)?Pixels\s([^>]{0,4000})>")
_ATTRIBUTE: Final = r'\b{}="([^"]*)"'


def read(page: Directory) -> Header | None:
    """The scale of a TIFF's page by other software; None where there is none."""
    description = text.decode(page.text(_DESCRIPTION, MAX_HEADER_BYTES))
    if "<OME" in description[:2000]:
        return _ome(description)
    if description.startswith("ImageJ="):
        found = _IMAGEJ_UNIT.search(description)
        unit = quantities.metres_of_unit(found[1]) if found is not None else None
        return None if unit is None else _resolution(page, unit, "ImageJ")
    # The standard's default is the inch; a file that does not say so means nothing by it.
    inches_or_cm = _METRES_OF_UNIT.get(page.integer(_UNIT, 1))
    return None if inches_or_cm is None else _resolution(page, inches_or_cm, "TIFF XResolution")


def plausible(um_per_px: float) -> bool:
    """Whether a resolution that no microscope vouches for can be a microscope's."""
    return 0 < um_per_px <= MAX_PLAUSIBLE_UM_PER_PX


def _resolution(page: Directory, unit_m: float, source: str) -> Header | None:
    across, down = page.ratio(_X), page.ratio(_Y)
    if not across or not down or not (math.isfinite(across) and math.isfinite(down)):
        return None
    um_per_px, doubt = square(source, unit_m / across, unit_m / down)
    # Inches and centimetres are a printer's units, micrometres are a microscope's.
    if um_per_px is not None and unit_m >= 0.01 and not plausible(um_per_px):
        return None
    return Header(source=source, um_per_px=um_per_px, doubt=doubt)


def _ome(description: str) -> Header | None:
    found = _OME_PIXELS.search(description)
    if found is None:
        return None

    def said(name: str, default: str = "") -> str:
        attribute = re.search(_ATTRIBUTE.format(name), found[1])
        return attribute[1] if attribute is not None else default

    def length(axis: str) -> float | None:
        value = said(f"PhysicalSize{axis}")
        unit = said(f"PhysicalSize{axis}Unit", "um").replace("&#181;", "u").replace("&#xB5;", "u")
        return quantities.metres(f"{value} {unit}") if value else None

    um_per_px, doubt = square("OME-XML", length("X"), length("Y"))
    if um_per_px is None and not doubt:
        return None
    return Header(source="OME-XML", um_per_px=um_per_px, doubt=doubt)
