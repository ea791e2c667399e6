"""The gRPC edge of the uncertainty service: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import grpc

from lotwise.runtime import tiles
from lotwise.runtime.calibration_messages import calibration_message
from lotwise.runtime.diagnosis_messages import diagnosis_message
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.streaming import stream_responses
from lotwise.uncertainty.handler import UncertaintyHandler
from lotwise.uncertainty.interval_servicer import IntervalServicer
from lotwise.uncertainty.metrics import UncertaintyMetrics
from lotwise.uncertainty.settings import UncertaintySettings
from lotwise.v1 import interval_pb2, uncertainty_pb2, uncertainty_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]
DEFAULT_TOP_K: Final = 3


class UncertaintyServicer(uncertainty_pb2_grpc.UncertaintyServiceServicer):
    """lotwise.v1.UncertaintyService."""

    def __init__(
        self,
        handler: UncertaintyHandler,
        settings: UncertaintySettings,
        metrics: UncertaintyMetrics,
        rpc_metrics: RpcMetrics,
        intervals: IntervalServicer,
    ) -> None:
        self._handler = handler
        self._settings = settings
        self._metrics = metrics
        self._rpc_metrics = rpc_metrics
        self._intervals = intervals

    async def Assess(
        self, request: uncertainty_pb2.AssessRequest, context: Context
    ) -> uncertainty_pb2.AssessResponse:
        """One tile."""
        return await self._assess(request)

    async def AssessStream(
        self,
        request_iterator: AsyncIterator[uncertainty_pb2.AssessStreamRequest],
        context: Context,
    ) -> AsyncIterator[uncertainty_pb2.AssessStreamResponse]:
        """Tiles as they are scanned."""
        async for response in stream_responses(
            request_iterator,
            self._assess,
            uncertainty_pb2.AssessStreamResponse,
            window=self._settings.stream_window,
            metrics=self._rpc_metrics,
        ):
            yield response

    async def Interval(
        self, request: interval_pb2.IntervalRequest, context: Context
    ) -> interval_pb2.IntervalResponse:
        """Where the property of a tile's lot lies."""
        return await self._intervals.tile(request)

    async def IntervalStream(
        self,
        request_iterator: AsyncIterator[interval_pb2.IntervalStreamRequest],
        context: Context,
    ) -> AsyncIterator[interval_pb2.IntervalStreamResponse]:
        """The same for tiles as they are scanned."""
        async for response in self._intervals.stream(request_iterator):
            yield response

    async def LotInterval(
        self, request_iterator: AsyncIterator[interval_pb2.LotIntervalRequest], context: Context
    ) -> interval_pb2.LotIntervalResponse:
        """Where the property of a lot lies, by many of its tiles."""
        return await self._intervals.lot(request_iterator)

    async def _assess(
        self, request: uncertainty_pb2.AssessRequest
    ) -> uncertainty_pb2.AssessResponse:
        tile = await tiles.decode(request.tile, self._settings)
        seen = await self._handler.assess(tile, request.model, cascade=request.cascade)
        name = seen.model.signature.name
        self._metrics.entropy.labels(name).observe(seen.predictive_entropy)
        self._metrics.mutual_information.labels(name).observe(seen.mutual_information)
        self._metrics.familiarity.labels(name).observe(seen.familiarity)
        if seen.diagnosis is not None:
            self._metrics.diagnoses.labels(name, seen.diagnosis.likeliest.value).inc()
        self._metrics.observe_score(name, seen.calibration, seen.error_probability)
        self._metrics.evaluations.labels(name).inc(seen.asked_members)
        ranking = [
            uncertainty_pb2.LotProbability(reference_lot=lot, probability=probability)
            for lot, probability in seen.ranking
        ]
        return uncertainty_pb2.AssessResponse(
            tile_id=request.tile.tile_id,
            lot_id=request.tile.lot_id,
            top=ranking[: request.top_k or DEFAULT_TOP_K],
            confidence=seen.ranking[0][1],
            predictive_entropy_nats=seen.predictive_entropy,
            mean_member_entropy_nats=seen.mean_member_entropy,
            mutual_information_nats=seen.mutual_information,
            probabilities=ranking,
            members=seen.members,
            asked_members=seen.asked_members,
            quality=tiles.quality_message(seen.quality),
            provenance=tiles.provenance(self._handler.inference.engine, seen.model),
            reading=tiles.reading_message(tile),
            familiarity=seen.familiarity,
            error_probability=seen.error_probability,
            calibration=calibration_message(seen.calibration),
            diagnosis=None if seen.diagnosis is None else diagnosis_message(seen.diagnosis),
        )
