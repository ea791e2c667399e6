"""The gRPC edge of the referral service: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from lotwise.core.errors import (
    Contradiction,
    InvalidRequest,
    InvalidTile,
    LotwiseError,
    NotFound,
)
from lotwise.core.verdict import Decision, LotTally
from lotwise.referral import messages
from lotwise.referral.handler import ReferralHandler, TileDecision
from lotwise.referral.metrics import ReferralMetrics
from lotwise.referral.settings import ReferralSettings
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.status import tile_error
from lotwise.runtime.streaming import answer_in_order, stream_responses
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
        lot_id = ""
        tally: LotTally | None = None
        policy_version = ""
        last: TileDecision | None = None
        first: referral_pb2.DecideLotRequest | None = None

        async def decide(message: referral_pb2.DecideLotRequest) -> TileDecision:
            nonlocal first
            if first is None:
                first = message
                if not message.tile.lot_id:
                    raise InvalidRequest(
                        "LOT_MISSING", "The first tile must name its lot in tile.lot_id."
                    )
            elif message.tile.lot_id not in ("", first.tile.lot_id):
                raise InvalidRequest(
                    "LOT_CONTRADICTORY",
                    f"This stream is of lot '{first.tile.lot_id}', the tile of lot "
                    f"'{message.tile.lot_id}'. Open a stream for each lot.",
                )
            return await self._handler.decide(message.tile, first.policy)

        async for message, outcome in answer_in_order(
            request_iterator, decide, window=self._settings.stream_window
        ):
            if tally is None:
                lot_id, policy_version = message.tile.lot_id, message.policy
                if not lot_id and isinstance(outcome, LotwiseError):
                    raise outcome
                tally = self._handler.tally(policy_version)
            if tally.tiles >= self._settings.max_lot_tiles:
                raise InvalidRequest(
                    "LOT_TOO_LARGE",
                    f"A lot may have {self._settings.max_lot_tiles} tiles in one stream.",
                )
            acknowledged = referral_pb2.TileAcknowledged(tile_id=message.tile.tile_id)
            if isinstance(outcome, LotwiseError):
                self._rpc_metrics.tile_errors.labels(outcome.reason).inc()
                acknowledged.error.CopyFrom(tile_error(outcome))
                if isinstance(outcome, InvalidTile):
                    tally.add_failure()
                elif isinstance(outcome, NotFound | Contradiction):
                    raise outcome  # no tile of this lot can be decided
                # A tile of another lot, or one that met an outage, says nothing about this lot:
                # it is not counted, and the caller may send it again.
            else:
                last = outcome
                self._count(outcome, tally)
                acknowledged.decision.CopyFrom(
                    messages.decision(outcome, message.tile.tile_id, lot_id)
                )
            acknowledged.running.CopyFrom(messages.verdict(lot_id, tally, last, self._handler))
            yield referral_pb2.DecideLotResponse(acknowledged=acknowledged)
        if tally is None:
            raise InvalidRequest("LOT_EMPTY", "The stream ended without a tile. Send at least one.")
        self._metrics.verdicts.labels(tally.verdict().value).inc()
        yield referral_pb2.DecideLotResponse(
            verdict=messages.verdict(lot_id, tally, last, self._handler)
        )

    async def _decide(self, request: referral_pb2.DecideRequest) -> referral_pb2.DecideResponse:
        tile: tile_pb2.Tile = request.tile
        decided = await self._handler.decide(tile, request.policy)
        self._count(decided)
        return messages.decision(decided, tile.tile_id, tile.lot_id)

    def _count(self, decided: TileDecision, tally: LotTally | None = None) -> None:
        reason = decided.reasons[0].value if decided.reasons else ""
        seen = decided.assessed
        score = None if seen is None else seen.error_probability
        self._metrics.count(decided.decision.value, reason, score)
        if tally is not None:
            tally.add(
                decided.decision,
                decided.reasons if decided.decision is Decision.REFER else (),
                seen.looks_like if seen is not None else "",
            )
