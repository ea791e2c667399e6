"""Tiles of the protocol <-> tiles of the domain, the same for every service."""

from __future__ import annotations

import asyncio
from typing import Final

from lotwise.core import decoding, quality
from lotwise.core.errors import InvalidTile
from lotwise.core.tile import DecodedTile
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

    Raises:
        InvalidTile: As `lotwise.core.decoding`; TILE_EMPTY without content.
    """
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
    stated = tile.um_per_px if tile.HasField("um_per_px") else decoded.um_per_px
    return DecodedTile(decoded.grey, stated)


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
