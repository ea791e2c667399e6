"""The stream of one lot: tiles in, acknowledgements with the running verdict out."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np

from lotwise.core.errors import (
    Contradiction,
    InvalidRequest,
    InvalidTile,
    LotwiseError,
    NotFound,
)
from lotwise.core.lot_diagnosis import LotPlaces
from lotwise.core.verdict import Decision
from lotwise.referral import messages
from lotwise.referral.handler import ReferralHandler, TileDecision
from lotwise.referral.lot_so_far import SAME_SCALE, LotSoFar
from lotwise.referral.metrics import ReferralMetrics
from lotwise.referral.settings import ReferralSettings
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.status import tile_error
from lotwise.runtime.streaming import answer_in_order
from lotwise.v1 import referral_pb2, tile_pb2

Requests = AsyncIterator[referral_pb2.DecideLotRequest]
Responses = AsyncIterator[referral_pb2.DecideLotResponse]


@dataclass
class LotStream:
    """One call of DecideLot."""

    handler: ReferralHandler
    settings: ReferralSettings
    metrics: ReferralMetrics
    rpc_metrics: RpcMetrics
    _lot: LotSoFar | None = None
    _last: TileDecision | None = None
    _refusal: LotwiseError | None = None

    async def responses(self, requests: Requests) -> Responses:
        """An acknowledgement for each tile in the order of arrival, and the verdict at the end.

        Raises:
            InvalidRequest: LOT_MISSING, LOT_EMPTY, LOT_TOO_LARGE, RESUME_INVALID.
            NotFound, Contradiction: No tile of this lot can be decided.
        """
        complete = False
        answers = answer_in_order(
            requests,
            self._decided,
            window=self.settings.stream_window,
            is_tile=lambda message: not _is_word(message),
        )
        # Closed at once where the lot is complete: what comes after is not worked on.
        async with contextlib.aclosing(answers):
            # Counted here, in the order of arrival; decided on above, several at once.
            async for message, outcome in answers:
                if self._refusal is not None:
                    raise self._refusal
                if isinstance(outcome, NotFound | Contradiction):
                    raise outcome  # no tile of this lot can be decided
                if not _is_word(message):
                    acknowledged = self._acknowledged(message.tile, outcome)
                    yield referral_pb2.DecideLotResponse(acknowledged=acknowledged)
                if message.complete:
                    complete = True
                    break
        lot = self._lot
        if lot is None:
            raise InvalidRequest("LOT_EMPTY", "The stream ended without a tile. Send at least one.")
        verdict = messages.verdict(lot, self._last, self.handler, concluded=True)
        verdict.complete = complete
        self.metrics.verdicts.labels(messages.VERDICT_NAMES[verdict.verdict]).inc()
        yield referral_pb2.DecideLotResponse(verdict=verdict)

    async def _decided(self, message: referral_pb2.DecideLotRequest) -> TileDecision | None:
        """The decision on a message's tile; None where it has none, or an old one."""
        if self._refusal is not None:
            raise self._refusal
        if self._lot is None:
            try:
                self._lot = self._begun(message)
            except LotwiseError as refusal:
                self._refusal = refusal
                raise
        lot, tile = self._lot, message.tile
        if _is_word(message):
            return None
        if tile.lot_id not in ("", lot.lot_id):
            raise InvalidRequest(
                "LOT_CONTRADICTORY",
                f"This stream is of lot '{lot.lot_id}', the tile of lot '{tile.lot_id}'. Open a "
                "stream for each lot.",
            )
        if lot.was_sent(tile):
            return None
        return await self.handler.decide(tile, lot.policy_version)

    def _begun(self, message: referral_pb2.DecideLotRequest) -> LotSoFar:
        if message.resume_token:
            lot = LotSoFar.resumed(message.resume_token)
            try:
                self.handler.select(lot.policy_version)
            except NotFound:
                raise Contradiction(
                    "RESUME_MISMATCH",
                    "The lot was begun under another policy than the one that is served now. Send "
                    "it from its beginning.",
                ) from None
            return lot
        lot_id = message.tile.lot_id
        if not message.HasField("tile"):
            raise InvalidRequest("LOT_EMPTY", "The lot was called complete without a tile.")
        if not lot_id:
            raise InvalidRequest("LOT_MISSING", "The first tile must name its lot in tile.lot_id.")
        policy = self.handler.select(message.policy).policy
        return LotSoFar(lot_id, policy.policy_version, self.handler.tally(message.policy))

    def _acknowledged(
        self, tile: tile_pb2.Tile, outcome: TileDecision | LotwiseError | None
    ) -> referral_pb2.TileAcknowledged:
        lot = self._lot
        assert lot is not None
        if lot.tally.tiles >= self.settings.max_lot_tiles:
            raise InvalidRequest(
                "LOT_TOO_LARGE",
                f"A lot may have {self.settings.max_lot_tiles} tiles in one stream.",
            )
        acknowledged = referral_pb2.TileAcknowledged(tile_id=tile.tile_id)
        if isinstance(outcome, TileDecision):
            outcome = self._misfit(outcome) or outcome
        self.rpc_metrics.count_tile(outcome if isinstance(outcome, LotwiseError) else None)
        if isinstance(outcome, LotwiseError):
            acknowledged.error.CopyFrom(tile_error(outcome))
            if isinstance(outcome, InvalidTile) and not lot.was_sent(tile):
                lot.note(tile, seen=False)
                lot.tally.add_failure()
            # A tile of another lot, or one that met an outage, says nothing about this lot: it is
            # not counted, and the caller may send it again.
        elif outcome is None or lot.was_sent(tile) or self._twice(tile, outcome):
            lot.repeated += 1
            acknowledged.repeated = True
        else:
            self._count(tile, outcome)
        if isinstance(outcome, TileDecision):
            acknowledged.decision.CopyFrom(messages.decision(outcome, tile.tile_id, lot.lot_id))
        acknowledged.running.CopyFrom(messages.verdict(lot, self._last, self.handler))
        if lot.token_due():
            acknowledged.resume_token = lot.token()
        return acknowledged

    def _misfit(self, decided: TileDecision) -> InvalidRequest | None:
        """Why a tile cannot be counted with those before it."""
        lot, seen = self._lot, decided.assessed
        assert lot is not None
        if seen is None or not seen.reading.um_per_px or lot.fits_scale(seen.reading.um_per_px):
            return None
        return InvalidRequest(
            "LOT_SCALE_DIFFERS",
            f"A pixel of this tile is {seen.reading.um_per_px:g} um wide, one of the lot's first "
            f"tile {lot.um_per_px:g} um; they may differ by {SAME_SCALE:.0%}. Send tiles of one "
            "scale, each scale as a lot of its own.",
        )

    def _twice(self, tile: tile_pb2.Tile, decided: TileDecision) -> bool:
        assert self._lot is not None
        return decided.assessed is not None and self._lot.was_seen(tile)

    def _count(self, tile: tile_pb2.Tile, decided: TileDecision) -> None:
        lot, seen = self._lot, decided.assessed
        assert lot is not None
        self._last = decided
        self.metrics.count_decided(decided)
        lot.note(tile, seen=seen is not None)
        lot.tally.add(
            decided.decision,
            decided.reasons if decided.decision is Decision.REFER else (),
            seen.looks_like if seen is not None else "",
        )
        if seen is None or seen.diagnosis is None:
            return
        place = np.array(seen.diagnosis.place, dtype=np.float64)
        if lot.places is None:
            lot.places = LotPlaces.none(len(place))
        lot.places.add(np.array(seen.diagnosis.log_probabilities), place)


def _is_word(message: referral_pb2.DecideLotRequest) -> bool:
    """Whether a message brings no tile, but says that the lot goes on or is complete."""
    return not message.HasField("tile") and bool(message.complete or message.resume_token)
