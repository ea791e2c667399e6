"""Sends the tiles of a lot to the services and gathers what they say."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc

from lotwise.core.sidecars import read_sidecar
from lotwise.runtime.addresses import channel
from lotwise.runtime.request import TRACEPARENT, continue_trace
from lotwise.runtime.status import error_from_call
from lotwise.runtime.tiles import instrument_message
from lotwise.screening.concurrency import run_both
from lotwise.screening.folder import LotFolder
from lotwise.v1 import (
    predict_pb2,
    predict_pb2_grpc,
    referral_pb2,
    referral_pb2_grpc,
    tile_pb2,
)

_MESSAGES: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)
# A large file need not be read to the end to be refused by the services.
MAX_READ_BYTES: Final = 33 * 2**20


@dataclass(frozen=True)
class TileFailure:
    """A tile that a service could not answer for."""

    tile_id: str
    reason: str
    message: str


@dataclass
class LotScreening:
    """What is known of a lot after screening.

    Attributes:
        folder: The lot.
        verdict: Of the referral service.
        values: The predicted property of each tile that could be read.
        property_name, unit: What `values` are.
        failures: Tiles without a decision.
        enough: Whether no more tiles are sent, because enough have come for the verdict.
        summary: Mean and standard deviation where the values themselves are in a store.
    """

    folder: LotFolder
    verdict: referral_pb2.LotVerdict = field(default_factory=referral_pb2.LotVerdict)
    values: list[float] = field(default_factory=list)
    property_name: str = ""
    unit: str = ""
    failures: list[TileFailure] = field(default_factory=list)
    enough: bool = False
    summary: tuple[float | None, float | None] | None = None
    models: dict[str, tile_pb2.ModelVersion] = field(default_factory=dict)
    engine: str = ""

    @property
    def mean(self) -> float | None:
        """Mean of the tiles' predictions."""
        if self.summary is not None:
            return self.summary[0]
        return statistics.fmean(self.values) if self.values else None

    @property
    def spread(self) -> float | None:
        """Standard deviation of the tiles' predictions."""
        if self.summary is not None:
            return self.summary[1]
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def trained_on_simulated_lots(self) -> bool:
        """Whether any model behind the answers learned from simulated lots alone."""
        return any(model.trained_on_simulated_lots for model in self.models.values())


async def screen_lot(
    folder: LotFolder,
    *,
    predict_address: str,
    referral_address: str,
    policy: str = "",
    stop_early: bool = False,
    on_tile: Callable[[], None] = lambda: None,
) -> LotScreening:
    """Screen one lot: a verdict from referral, the property from predict.

    Args:
        folder: The lot.
        predict_address: Of the predict service; see `lotwise.runtime.addresses`.
        referral_address: Of the referral service.
        policy: Version of the policy that decides, "full" or "cascade"; empty for the service's.
        stop_early: Whether to send no more tiles once enough have come for the verdict.
        on_tile: Called once a tile has its decision.

    Raises:
        LotwiseError: A service is down or refuses the whole lot.
    """
    screening = LotScreening(folder)
    trace = continue_trace(None).traceparent
    async with (
        _channel(predict_address) as predict,
        _channel(referral_address) as referral,
    ):
        await run_both(
            _decide(screening, referral, trace, on_tile, policy=policy, stop_early=stop_early),
            _predict(screening, predict, trace),
        )
    return screening


def _channel(address: str) -> grpc.aio.Channel:
    target, options = channel(address)
    return grpc.aio.insecure_channel(target, options=(*_MESSAGES, *options))


async def _decide(
    screening: LotScreening,
    channel: grpc.aio.Channel,
    trace: str,
    on_tile: Callable[[], None],
    *,
    policy: str,
    stop_early: bool,
) -> None:
    async def messages() -> AsyncIterator[referral_pb2.DecideLotRequest]:
        async for tile in tiles_of(screening.folder):
            if screening.enough:
                break
            yield referral_pb2.DecideLotRequest(tile=tile, policy=policy)
        if screening.folder.tiles:
            yield referral_pb2.DecideLotRequest(complete=True)

    stub: Any = referral_pb2_grpc.ReferralServiceStub(channel)
    try:
        async for event in stub.DecideLot(messages(), metadata=((TRACEPARENT, trace),)):
            if event.WhichOneof("event") == "verdict":
                screening.verdict = event.verdict
                _note_models(screening, event.verdict.provenance)
                continue
            acknowledged = event.acknowledged
            screening.enough |= stop_early and acknowledged.running.settled
            if acknowledged.WhichOneof("outcome") == "error":
                error = acknowledged.error
                screening.failures.append(
                    TileFailure(acknowledged.tile_id, error.reason, error.message)
                )
            on_tile()
    except grpc.aio.AioRpcError as error:
        raise error_from_call(error, "The referral service") from None


async def _predict(screening: LotScreening, channel: grpc.aio.Channel, trace: str) -> None:
    async def messages() -> AsyncIterator[predict_pb2.PredictStreamRequest]:
        async for tile in tiles_of(screening.folder):
            if screening.enough:
                break
            yield predict_pb2.PredictStreamRequest(request=predict_pb2.PredictRequest(tile=tile))

    stub: Any = predict_pb2_grpc.PredictServiceStub(channel)
    try:
        async for answer in stub.PredictStream(messages(), metadata=((TRACEPARENT, trace),)):
            # Failures are listed by the referral service, which sees the same tiles.
            if answer.WhichOneof("outcome") == "result":
                result = answer.result
                screening.values.append(result.value)
                screening.property_name, screening.unit = result.property, result.unit
                _note_models(screening, result.provenance)
    except grpc.aio.AioRpcError as error:
        raise error_from_call(error, "The predict service") from None


def _note_models(screening: LotScreening, provenance: tile_pb2.Provenance) -> None:
    screening.engine = provenance.engine or screening.engine
    for model in provenance.models:
        screening.models[model.name] = model


async def tiles_of(folder: LotFolder) -> AsyncIterator[tile_pb2.Tile]:
    """The lot's tiles as they are sent, with what the files beside them say."""
    for path in folder.tiles:
        yield await asyncio.to_thread(_tile, path, folder)


def _tile(path: Path, folder: LotFolder) -> tile_pb2.Tile:
    """A file with what is known of it here; the services read what the file itself says."""
    beside = read_sidecar(path)
    um_per_px = folder.um_per_px
    if um_per_px is None and beside is not None:
        um_per_px = beside.um_per_px
    return tile_pb2.Tile(
        tile_id=path.name,
        lot_id=folder.lot_id,
        file=_read(path),
        um_per_px=um_per_px,
        instrument=None if beside is None else instrument_message(beside.instrument),
    )


def _read(path: Path) -> bytes:
    # An unreadable file goes as an empty tile, so that it is listed and nothing is lost.
    try:
        with path.open("rb") as file:
            return file.read(MAX_READ_BYTES)
    except OSError:
        return b""
