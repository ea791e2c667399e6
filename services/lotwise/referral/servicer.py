"""The gRPC edge of the referral service: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from lotwise.referral import messages
from lotwise.referral.handler import ReferralHandler
from lotwise.referral.lots import LotStream
from lotwise.referral.metrics import ReferralMetrics
from lotwise.referral.settings import ReferralSettings
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.streaming import stream_responses
from lotwise.v1 import referral_pb2, referral_pb2_grpc, tile_pb2

Context = grpc.aio.ServicerContext[Any, Any]


class ReferralServicer(referral_pb2_grpc.ReferralServiceServicer):
    """lotwise.v1.ReferralService."""

    def __init__(
        self,
        handler: ReferralHandler,
        settings: ReferralSettings,
        metrics: ReferralMetrics,
        rpc_metrics: RpcMetrics,
    ) -> None:
        self._handler = handler
        self._settings = settings
        self._metrics = metrics
        self._rpc_metrics = rpc_metrics

    async def Decide(
        self, request: referral_pb2.DecideRequest, context: Context
    ) -> referral_pb2.DecideResponse:
        """One tile."""
        return await self._decide(request)

    async def DecideStream(
        self, request_iterator: AsyncIterator[referral_pb2.DecideStreamRequest], context: Context
    ) -> AsyncIterator[referral_pb2.DecideStreamResponse]:
        """Tiles as they are scanned."""
        async for response in stream_responses(
            request_iterator,
            self._decide,
            referral_pb2.DecideStreamResponse,
            window=self._settings.stream_window,
            metrics=self._rpc_metrics,
        ):
            yield response

    async def DecideLot(
        self, request_iterator: AsyncIterator[referral_pb2.DecideLotRequest], context: Context
    ) -> AsyncIterator[referral_pb2.DecideLotResponse]:
        """Tiles of one lot: an acknowledgement each, the verdict at the end."""
        stream = LotStream(self._handler, self._settings, self._metrics, self._rpc_metrics)
        async for response in stream.responses(request_iterator):
            yield response

    async def _decide(self, request: referral_pb2.DecideRequest) -> referral_pb2.DecideResponse:
        tile: tile_pb2.Tile = request.tile
        decided = await self._handler.decide(tile, request.policy)
        self._metrics.count_decided(decided)
        return messages.decision(decided, tile.tile_id, tile.lot_id)
