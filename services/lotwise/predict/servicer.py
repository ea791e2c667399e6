"""The gRPC edge of the predict service: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from lotwise.predict.handler import PredictHandler
from lotwise.predict.metrics import PredictMetrics
from lotwise.predict.settings import PredictSettings
from lotwise.runtime import tiles
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.streaming import stream_responses
from lotwise.v1 import predict_pb2, predict_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class PredictServicer(predict_pb2_grpc.PredictServiceServicer):
    """lotwise.v1.PredictService."""

    def __init__(
        self,
        handler: PredictHandler,
        settings: PredictSettings,
        metrics: PredictMetrics,
        rpc_metrics: RpcMetrics,
    ) -> None:
        self._handler = handler
        self._settings = settings
        self._metrics = metrics
        self._rpc_metrics = rpc_metrics

    async def Predict(
        self, request: predict_pb2.PredictRequest, context: Context
    ) -> predict_pb2.PredictResponse:
        """One tile."""
        return await self._predict(request)

    async def PredictStream(
        self, request_iterator: AsyncIterator[predict_pb2.PredictStreamRequest], context: Context
    ) -> AsyncIterator[predict_pb2.PredictStreamResponse]:
        """Tiles as they are scanned."""
        async for response in stream_responses(
            request_iterator,
            self._predict,
            predict_pb2.PredictStreamResponse,
            window=self._settings.stream_window,
            metrics=self._rpc_metrics,
        ):
            yield response

    async def _predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        tile = await tiles.decode(request.tile, self._settings)
        prediction = await self._handler.predict(tile, request.model)
        learned = prediction.specification
        self._metrics.value.labels(prediction.model.signature.name).observe(
            (prediction.value - learned.minimum) / (learned.maximum - learned.minimum)
        )
        self._metrics.quality.labels(prediction.quality.verdict.value).inc()
        for fault in prediction.quality.faults:
            self._metrics.faults.labels(fault.value).inc()
        return predict_pb2.PredictResponse(
            tile_id=request.tile.tile_id,
            lot_id=request.tile.lot_id,
            property=learned.name,
            unit=learned.unit,
            value=prediction.value,
            quality=tiles.quality_message(prediction.quality),
            provenance=tiles.provenance(self._handler.inference.engine, prediction.model),
            reading=tiles.reading_message(tile),
        )
