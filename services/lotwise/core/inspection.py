"""What a file is and what it says of itself, without judging it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lotwise.core.decoding import decode_file
from lotwise.core.instrument_files import merge
from lotwise.core.limits import MAX_FILE_BYTES, MAX_PIXELS
from lotwise.core.sidecars import find_sidecar
from lotwise.core.tile import InstrumentTags


@dataclass(frozen=True)
class Inspection:
    """A file as the services read it.

    Attributes:
        format: "TIFF (LZW, 16 bit)".
        width, height: Of the picture in pixels, upright, with its data bar.
        um_per_px: Edge length of a pixel in micrometres; None where nobody said.
        scale_source: Where it comes from: "FEI/Thermo tag 34682"; None where nobody said.
        instrument: State of the microscope.
        data_bar_px: Rows at the bottom that are no picture and are cropped; 0 where there are
            none.
        sidecar: The file beside it that was read; None where there is none.
        stretched: Black and white are the picture's own extremes: pixels of this type have no
            full scale, so grey levels cannot be compared with those of other tiles.
        doubts: Why scales that the file or its sidecar states were not taken; sentences.
    """

    format: str
    width: int
    height: int
    um_per_px: float | None
    scale_source: str | None
    instrument: InstrumentTags
    data_bar_px: int
    sidecar: Path | None
    stretched: bool
    doubts: tuple[str, ...]


def inspect_file(
    path: Path, *, max_bytes: int = MAX_FILE_BYTES, max_pixels: int = MAX_PIXELS
) -> Inspection:
    """Read a tile and the sidecar beside it, as the services and the screener do.

    A sidecar's word goes before the file's own.

    Raises:
        InvalidTile: As `lotwise.core.decoding.decode_file`. A black picture is no error here.
        OSError: The file cannot be opened.
    """
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)  # one more, so that a larger file is refused as such
    tile = decode_file(data, max_bytes=max_bytes, max_pixels=max_pixels)
    um_per_px, source, instrument = tile.um_per_px, tile.scale_source, tile.instrument
    doubts = [tile.doubt]
    found = find_sidecar(path)
    if found is not None:
        said = found[1]
        instrument = merge(said.instrument, instrument)
        doubts.append(said.doubt)
        if said.um_per_px is not None:
            um_per_px, source = said.um_per_px, said.source
    height, width = tile.grey.shape
    return Inspection(
        format=tile.format,
        width=width,
        height=height + tile.data_bar_px,
        um_per_px=um_per_px,
        scale_source=source or None,
        instrument=instrument,
        data_bar_px=tile.data_bar_px,
        sidecar=found[0] if found is not None else None,
        stretched=tile.stretched,
        doubts=tuple(doubt for doubt in doubts if doubt),
    )
