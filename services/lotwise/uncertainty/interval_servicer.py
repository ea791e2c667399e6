"""The gRPC edge of intervals: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from lotwise.core.errors import InvalidRequest, InvalidTile, LotwiseError
from lotwise.core.intervals import IntervalKind, PropertyInterval
from lotwise.core.quality import QualityVerdict
from lotwise.core.signature import PropertySpec
from lotwise.runtime import tiles
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.status import tile_error
from lotwise.runtime.streaming import answer_in_order, stream_responses
from lotwise.uncertainty.interval_metrics import IntervalMetrics
from lotwise.uncertainty.intervals import FoldAnswers, IntervalHandler
from lotwise.uncertainty.settings import UncertaintySettings
from lotwise.v1 import interval_pb2

_KINDS: Final = {
    IntervalKind.TILE: interval_pb2.INTERVAL_KIND_TILE,
    IntervalKind.LOT: interval_pb2.INTERVAL_KIND_LOT,
}


class IntervalServicer:
    """The calls of lotwise.v1.UncertaintyService that are about intervals."""

    def __init__(
        self,
        handler: IntervalHandler,
        settings: UncertaintySettings,
        metrics: IntervalMetrics,
        rpc_metrics: RpcMetrics,
    ) -> None:
        self._handler = handler
        self._settings = settings
        self._metrics = metrics
        self._rpc_metrics = rpc_metrics

    async def tile(self, request: interval_pb2.IntervalRequest) -> interval_pb2.IntervalResponse:
        """One tile."""
        coverage = _coverage(request)
        self._handler.check(coverage)
        tile = await tiles.decode(request.tile, self._settings)
        answers = await self._handler.ask(tile)
        interval = self._handler.tile_interval(answers, coverage)
        return interval_pb2.IntervalResponse(
            tile_id=request.tile.tile_id,
            lot_id=request.tile.lot_id,
            interval=self._message(interval, answers.specification),
            quality=tiles.quality_message(answers.quality),
            provenance=tiles.provenance(self._handler.inference.engine, answers.model),
            reading=tiles.reading_message(tile),
        )

    def stream(
        self, messages: AsyncIterator[interval_pb2.IntervalStreamRequest]
    ) -> AsyncIterator[interval_pb2.IntervalStreamResponse]:
        """Tiles as they are scanned."""
        return stream_responses(
            messages,
            self.tile,
            interval_pb2.IntervalStreamResponse,
            window=self._settings.stream_window,
            metrics=self._rpc_metrics,
        )

    async def lot(
        self, messages: AsyncIterator[interval_pb2.LotIntervalRequest]
    ) -> interval_pb2.LotIntervalResponse:
        """The tiles of one lot; a tile that cannot be used is named in the answer."""
        first: interval_pb2.LotIntervalRequest | None = None
        # What ends the call is kept until the caller has sent all: where a call ends under a
        # sender, gRPC's asynchronous clients report INTERNAL instead of its status.
        refusal: LotwiseError | None = None

        async def ask(message: interval_pb2.LotIntervalRequest) -> FoldAnswers:
            nonlocal first
            if refusal is not None:
                raise refusal
            if first is None:
                first = message
                if not message.tile.lot_id:
                    raise InvalidRequest(
                        "LOT_MISSING", "The first tile must name its lot in tile.lot_id."
                    )
                self._handler.check(_coverage(message))
            elif message.tile.lot_id not in ("", first.tile.lot_id):
                raise InvalidRequest(
                    "LOT_CONTRADICTORY",
                    f"This stream is of lot '{first.tile.lot_id}', the tile of lot "
                    f"'{message.tile.lot_id}'. Open a stream for each lot.",
                )
            return await self._handler.ask(await tiles.decode(message.tile, self._settings))

        usable: list[FoldAnswers] = []
        failed: list[interval_pb2.FailedTile] = []
        received = 0
        async for message, outcome in answer_in_order(
            messages, ask, window=self._settings.stream_window
        ):
            received += 1
            if received > self._settings.max_lot_tiles:
                raise InvalidRequest(
                    "LOT_TOO_LARGE",
                    f"A lot may have {self._settings.max_lot_tiles} tiles in one stream.",
                )
            if refusal is not None:
                continue
            self._rpc_metrics.count_tile(outcome if isinstance(outcome, LotwiseError) else None)
            if isinstance(outcome, InvalidTile):
                error = tile_error(outcome)
                failed.append(interval_pb2.FailedTile(tile_id=message.tile.tile_id, error=error))
            elif isinstance(outcome, LotwiseError):
                refusal = outcome  # nothing can be said of a lot of which tiles are missing
            else:
                usable.append(outcome)
        if refusal is not None:
            raise refusal
        if first is None:
            raise InvalidRequest("LOT_EMPTY", "The stream ended without a tile. Send at least one.")
        interval = self._handler.lot_interval(usable, _coverage(first))
        return interval_pb2.LotIntervalResponse(
            lot_id=first.tile.lot_id,
            interval=self._message(interval, usable[0].specification),
            tiles=len(usable),
            poor_tiles=sum(each.quality.verdict is QualityVerdict.POOR for each in usable),
            failed=failed,
            provenance=tiles.provenance(self._handler.inference.engine, usable[0].model),
        )

    def _message(
        self, interval: PropertyInterval, specification: PropertySpec
    ) -> interval_pb2.PropertyInterval:
        self._metrics.observe(interval)
        return interval_pb2.PropertyInterval(
            kind=_KINDS[interval.kind],
            property=specification.name,
            unit=specification.unit,
            point=interval.point,
            lower=interval.lower,
            upper=interval.upper,
            coverage=interval.coverage,
            guaranteed_coverage=interval.guaranteed,
            calibration_lots=interval.lots,
            calibration_recipes=interval.recipes,
            guarantee=interval.guarantee,
            calibration_version=self._handler.calibration.calibration_version,
        )


def _coverage(
    request: interval_pb2.IntervalRequest | interval_pb2.LotIntervalRequest,
) -> float | None:
    return request.coverage if request.HasField("coverage") else None
