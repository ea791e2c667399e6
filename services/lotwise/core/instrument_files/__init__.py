"""Headers of real microscopes: one reader for each vendor, and who is believed first.

Readers take a fixed list of fields (`header.Header`), so that the names of people, which most
headers hold, are neither kept nor logged. A broken header says nothing; it never raises.
"""

from __future__ import annotations

from dataclasses import replace

from lotwise.core.instrument_files import fei, generic, orion, tescan, zeiss
from lotwise.core.instrument_files.header import MAX_HEADER_BYTES, Header
from lotwise.core.tiff_structure import Directory
from lotwise.core.tile import InstrumentTags


def read_page(page: Directory, width: int) -> Header | None:
    """What the tags of a TIFF's page say; None where they say nothing.

    A vendor's scale goes before one by other software. Where a vendor's was refused, no other
    takes its place: it would be of the same picture.

    Args:
        page: The page.
        width: Of its picture.
    """
    vendor = _vendor(page)
    if vendor is not None:
        vendor = vendor.for_picture(width)
        if vendor.um_per_px is not None or vendor.doubt:
            return vendor
    other = generic.read(page)
    if vendor is None or other is None:
        return vendor or other
    return replace(vendor, source=other.source, um_per_px=other.um_per_px, doubt=other.doubt)


def merge(stated: InstrumentTags, found: InstrumentTags) -> InstrumentTags:
    """Field by field, what was stated or else what was found."""
    return InstrumentTags(
        **{
            name: value if value is not None else getattr(found, name)
            for name, value in vars(stated).items()
        }
    )


def _vendor(page: Directory) -> Header | None:
    def tag(code: int) -> bytes:
        return page.text(code, MAX_HEADER_BYTES)

    for code in fei.TAGS:
        if code in page:
            found = fei.read(tag(code), f"FEI/Thermo tag {code}", tag(fei.XML_TAG))
            if found is not None:
                return found
    if fei.XML_TAG in page:
        found = fei.read(b"", f"FEI/Thermo tag {fei.XML_TAG}", tag(fei.XML_TAG))
        if found is not None:
            return found
    readers = (
        (orion.FIBICS_TAG, orion.read_fibics),
        (orion.ORION_TAG, orion.read_orion),  # before Zeiss, whose tag is a copy of its numbers
        (zeiss.TAG, zeiss.read),
        (tescan.TAG, tescan.read),
    )
    for code, read in readers:
        found = read(tag(code)) if code in page else None
        if found is not None:
            return found
    return None
