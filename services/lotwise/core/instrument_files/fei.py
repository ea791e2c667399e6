"""FEI and Thermo Fisher: an ini text in TIFF tag 34682 or 34680, XML in 34683, or an .ini file."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree

from lotwise.core.instrument_files import quantities, text
from lotwise.core.instrument_files.header import Header, instrument_tags, square

_MANUFACTURER: Final = "FEI/Thermo"
TAGS: Final = (34682, 34680)
XML_TAG: Final = 34683


def read(raw: bytes, source: str, xml: bytes = b"") -> Header | None:
    """The header; None where the text is not this vendor's.

    Args:
        raw: The ini text.
        source: What to call it.
        xml: The text of `XML_TAG`, for what the ini text lacks.
    """
    sections = text.ini(text.decode(raw))
    beam = sections.get("Beam", {})
    column = sections.get(beam.get("Beam", ""), {})
    scans = sections.get(beam.get("Scan", ""), {}), sections.get("Scan", {})
    image = sections.get("Image", {})
    if not (beam or any(scans) or image):
        return _read_xml(text.xml(text.decode(xml)), source)
    scan = next((each for each in scans if "PixelWidth" in each), {})
    um_per_px, doubt = square(source, _metres(scan, "PixelWidth"), _metres(scan, "PixelHeight"))
    zoom = quantities.quantity(image.get("ZoomFactor", ""))
    if zoom is not None and abs(zoom[0] - 1) > 0.001 and um_per_px is not None:
        # Whether PixelWidth is of the scan or of the enlarged picture, the header does not say.
        um_per_px, doubt = None, f"{source} says that the picture was zoomed digitally."
    xml_header = None
    if um_per_px is None and not doubt and xml:
        xml_header = _read_xml(text.xml(text.decode(xml)), source)
    detectors = sections.get("Detectors", {})
    field_m = _metres(column, "HFW") or _metres(scan, "HorFieldsize")
    canvas_m = _metres(image, "MagCanvasRealWidth")
    return Header(
        source=source,
        um_per_px=um_per_px if xml_header is None else xml_header.um_per_px,
        doubt=doubt if xml_header is None else xml_header.doubt,
        instrument=instrument_tags(
            manufacturer=_MANUFACTURER,
            model=text.first(sections.get("System", {}), "SystemType"),
            detector=text.first(detectors, "Name"),
            volts=quantities.volts(text.first(column, "HV") or beam.get("HV", "")),
            working_distance_m=_metres(column, "WD")
            or _metres(sections.get("Stage", {}), "WorkingDistance"),
            magnification=float(f"{canvas_m / field_m:.6g}") if canvas_m and field_m else None,
        ),
        width_px=_count(image, "ResolutionX"),
        rows=_count(image, "ResolutionY"),
    )


def _read_xml(root: ElementTree.Element | None, source: str) -> Header | None:
    if root is None or root.tag != "Metadata":
        return None

    def said(path: str) -> str:
        return root.findtext(path) or ""

    um_per_px, doubt = square(
        source,
        quantities.metres(said("BinaryResult/PixelSize/X"), "m"),
        quantities.metres(said("BinaryResult/PixelSize/Y"), "m"),
    )
    return Header(
        source=source,
        um_per_px=um_per_px,
        doubt=doubt,
        instrument=instrument_tags(
            manufacturer=_MANUFACTURER,
            model=said("Instrument/InstrumentClass"),
            detector=said("Detectors/ScanningDetector/DetectorName"),
            volts=quantities.volts(said("Optics/AccelerationVoltage")),
            working_distance_m=quantities.metres(said("Optics/WorkingDistance"), "m"),
        ),
        width_px=_whole(said("BinaryResult/ImageSize/X")),
        rows=_whole(said("BinaryResult/ImageSize/Y")),
    )


def _metres(values: dict[str, str], key: str) -> float | None:
    return quantities.metres(values.get(key, ""), "m")


def _count(values: dict[str, str], key: str) -> int | None:
    return _whole(values.get(key, ""))


def _whole(digits: str) -> int | None:
    found = quantities.quantity(digits)
    return int(found[0]) if found is not None and 0 < found[0] < 1e9 else None
