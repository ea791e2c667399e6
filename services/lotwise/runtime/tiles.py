"""Tiles of the protocol <-> tiles of the domain, the same for every service."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from lotwise.core import decoding, quality
from lotwise.core.errors import InvalidTile
from lotwise.core.instrument_files import merge
from lotwise.core.tile import SCALE_STATED, DecodedTile, Grey, InstrumentTags
from lotwise.runtime import tracing
from lotwise.runtime.inference import ServedModel
from lotwise.runtime.request import current_request
from lotwise.runtime.settings import ServiceSettings
from lotwise.v1 import tile_pb2

_PIXEL_TYPES: Final[dict[int, decoding.PixelType]] = {
    tile_pb2.PIXEL_TYPE_UINT8: "uint8",
    tile_pb2.PIXEL_TYPE_UINT16: "uint16",
    tile_pb2.PIXEL_TYPE_FLOAT32: "float32",
}
_VERDICTS: Final = {
    quality.QualityVerdict.GOOD: tile_pb2.QUALITY_VERDICT_GOOD,
    quality.QualityVerdict.MARGINAL: tile_pb2.QUALITY_VERDICT_MARGINAL,
    quality.QualityVerdict.POOR: tile_pb2.QUALITY_VERDICT_POOR,
}
_FAULTS: Final = {
    quality.Fault.BLACK: tile_pb2.QUALITY_FAULT_BLACK,
    quality.Fault.BLACK_MARGIN: tile_pb2.QUALITY_FAULT_BLACK_MARGIN,
    quality.Fault.SATURATED: tile_pb2.QUALITY_FAULT_SATURATED,
    quality.Fault.LOW_CONTRAST: tile_pb2.QUALITY_FAULT_LOW_CONTRAST,
}


async def decode(tile: tile_pb2.Tile, settings: ServiceSettings) -> DecodedTile:
    """Pixels and scale of a tile, unpacked in a thread: the loop goes on serving.

    What the request states of scale and instrument goes before what the file says.

    Raises:
        InvalidTile: As `lotwise.core.decoding`; TILE_EMPTY without content.
    """
    with tracing.span(tracing.DECODE):
        return await asyncio.to_thread(_decode, tile, settings)


def _decode(tile: tile_pb2.Tile, settings: ServiceSettings) -> DecodedTile:
    match tile.WhichOneof("content"):
        case "file":
            decoded = decoding.decode_file(
                tile.file, max_bytes=settings.max_tile_bytes, max_pixels=settings.max_tile_pixels
            )
        case "raw":
            raw = tile.raw
            if raw.pixel_type not in _PIXEL_TYPES:
                raise InvalidTile(
                    "TILE_UNSUPPORTED_FORMAT",
                    "The raw image does not say its pixel_type. State UINT8, UINT16 or FLOAT32.",
                )
            decoded = decoding.decode_raw(
                raw.data,
                raw.width,
                raw.height,
                _PIXEL_TYPES[raw.pixel_type],
                max_bytes=settings.max_tile_bytes,
                max_pixels=settings.max_tile_pixels,
            )
        case _:
            raise InvalidTile("TILE_EMPTY", "The tile has no content. Send a file or raw pixels.")
    stated = replace(decoded, instrument=merge(_tags(tile.instrument), decoded.instrument))
    if tile.HasField("um_per_px"):
        stated = replace(stated, um_per_px=tile.um_per_px, scale_source=SCALE_STATED)
    return stated


def of_pixels(image: Grey, um_per_px: float) -> tile_pb2.Tile:
    """A picture that was made here, as a tile for another service.

    Args:
        image: uint8 [height, width].
        um_per_px: Edge length of a pixel.
    """
    height, width = image.shape
    raw = tile_pb2.RawImage(
        data=image.tobytes(), width=width, height=height, pixel_type=tile_pb2.PIXEL_TYPE_UINT8
    )
    return tile_pb2.Tile(raw=raw, um_per_px=um_per_px)


def reading_message(tile: DecodedTile) -> tile_pb2.Reading:
    """How a tile was read, as the protocol says it."""
    source = tile_pb2.SCALE_SOURCE_UNSPECIFIED
    if tile.um_per_px is not None:
        stated = tile.scale_source == SCALE_STATED
        source = tile_pb2.SCALE_SOURCE_STATED if stated else tile_pb2.SCALE_SOURCE_FILE
    return tile_pb2.Reading(
        um_per_px=tile.um_per_px or 0.0,
        scale_source=source,
        data_bar_px=tile.data_bar_px,
        instrument=instrument_message(tile.instrument),
        grey_levels_stretched=tile.stretched,
    )


def instrument_message(tags: InstrumentTags) -> tile_pb2.Instrument:
    """The state of a microscope as the protocol says it; what is unknown stays absent."""
    known = {name: value for name, value in vars(tags).items() if value is not None}
    return tile_pb2.Instrument(**known)


def _tags(stated: tile_pb2.Instrument) -> InstrumentTags:
    return InstrumentTags(**{field.name: value for field, value in stated.ListFields()})


def quality_message(assessed: quality.Quality) -> tile_pb2.Quality:
    """A quality verdict as the protocol says it."""
    return tile_pb2.Quality(
        verdict=_VERDICTS[assessed.verdict],
        faults=[_FAULTS[fault] for fault in assessed.faults],
        black_share=assessed.black_share,
        saturated_share=assessed.saturated_share,
    )


def provenance(engine: str, *models: ServedModel) -> tile_pb2.Provenance:
    """Which models gave an answer to the present request."""
    return tile_pb2.Provenance(
        engine=engine,
        request_id=current_request().trace.trace_id,
        models=[
            tile_pb2.ModelVersion(
                name=model.signature.name,
                version=model.version,
                weights_sha256=model.signature.metadata.weights_sha256,
                trained_on_simulated_lots=model.signature.metadata.trained_on_simulated_lots,
            )
            for model in models
        ],
    )
