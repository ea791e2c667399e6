"""Zeiss Orion helium microscopes: XML in TIFF tag 65000, or in 51023 by Fibics' software."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree

from lotwise.core.instrument_files import quantities, text
from lotwise.core.instrument_files.header import Header, instrument_tags, square

ORION_TAG: Final = 65000
ORION_SOURCE: Final = "Zeiss Orion tag 65000"
FIBICS_TAG: Final = 51023
FIBICS_SOURCE: Final = "Zeiss Orion (Fibics) tag 51023"
_MANUFACTURER: Final = "Zeiss"


def read_orion(raw: bytes) -> Header | None:
    """The header of tag 65000; None where the text is not this vendor's."""
    root = text.xml(text.decode(raw))
    if root is None or root.tag != "ImageTags":
        return None

    def said(name: str) -> str:
        value = (root.findtext(f"{name}/Value") or "").strip()
        unit = (root.findtext(f"{name}/Units") or "").strip()
        return f"{value} {unit}" if value and unit not in ("", "Unitless") else value

    um_per_px, doubt = square(
        ORION_SOURCE, quantities.metres(said("ScalingX")), quantities.metres(said("ScalingY"))
    )
    model = said("System.Model").strip("_ ")
    return Header(
        source=ORION_SOURCE,
        um_per_px=um_per_px,
        doubt=doubt,
        instrument=instrument_tags(
            manufacturer=_MANUFACTURER,
            model=model,
            detector=said("DetectorName"),
            volts=quantities.volts(said("AccelerationVoltage")),
            working_distance_m=quantities.metres(said("WorkingDistance")),
            magnification=quantities.magnification(said("MagnificationDisplay")),
        ),
        width_px=_count(said("ImageWidth")),
        rows=_count(said("ImageHeight")),
    )


def read_fibics(raw: bytes) -> Header | None:
    """The header of tag 51023; None where the text is not this vendor's."""
    root = text.xml(text.decode(raw))
    if root is None or root.tag != "Fibics":
        return None
    width, height = _count(_text(root, "Image/Width")), _count(_text(root, "Image/Height"))
    field_m = _field(root, "FOV_X")
    field_height_m = _field(root, "FOV_Y")
    across = field_m / width if field_m and width else None
    down = field_height_m / height if field_height_m and height else None
    um_per_px, doubt = square(FIBICS_SOURCE, across, down)
    items = {item.get("name", ""): item.text or "" for item in root.iterfind("BeamInfo/item")}
    return Header(
        source=FIBICS_SOURCE,
        um_per_px=um_per_px,
        doubt=doubt,
        instrument=instrument_tags(
            manufacturer=_MANUFACTURER,
            model=_text(root, "Image/Beam"),
            detector=_text(root, "Image/Detector"),
            volts=quantities.volts(items.get("AccV", "")),
        ),
        width_px=width,
        rows=height,
    )


def _field(root: ElementTree.Element, name: str) -> float | None:
    element = root.find(f"Scan/{name}")
    if element is None:
        return None
    return quantities.metres(element.text or "", element.get("units", ""))


def _text(root: ElementTree.Element, path: str) -> str:
    return (root.findtext(path) or "").strip()


def _count(digits: str) -> int | None:
    found = quantities.quantity(digits)
    return int(found[0]) if found is not None and 0 < found[0] < 1e9 else None
