"""The tiles of one lot on their way: what is left to send, and where a broken stream goes on."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from lotwise.client import convert
from lotwise.client.answers import Decision, LotVerdict, TileFailure
from lotwise.client.failures import error_of_tile
from lotwise.client.tiles import Prepared, TileLike
from lotwise.core.errors import EngineUnavailable, InferenceFailed
from lotwise.v1 import referral_pb2, tile_pb2

FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 5.0


class LotSending:
    """Sends a lot's tiles until the service has enough, or all; goes on after an outage.

    Args:
        tiles: Of the lot.
        policy: Its version, empty for the service's own.
        stop_early: Whether to send no more once the verdict is settled.
        retries: How often a stream is opened again without a tile being answered in between.
        timeout: For the whole lot, in seconds; None for no limit.
    """

    service = "referral"
    stream = "DecideLot"

    def __init__(
        self,
        tiles: Sequence[TileLike],
        policy: str,
        *,
        stop_early: bool,
        retries: int,
        timeout: float | None,
    ) -> None:
        self.counted = 0
        """So many tiles are in the token, and are not sent again."""
        self._tiles, self._policy, self._stop_early = tiles, policy, stop_early
        self._retries, self._failures = retries, 0
        self._until = None if timeout is None else time.monotonic() + timeout
        self._decisions: list[Decision | TileFailure] = []
        self._told = 0
        self._token, self._enough = b"", False
        self._verdict: referral_pb2.LotVerdict | None = None

    @property
    def timeout(self) -> float | None:
        """Seconds that are left."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def opened(self) -> Sent:
        """What one stream sends: all that is left."""
        return Sent(self._rest(), self._policy, self._token, bool(self._tiles))

    def _rest(self) -> Iterator[TileLike]:
        for tile in self._tiles[self.counted :]:
            if self._enough:
                return
            yield tile

    def receive(self, tile: Prepared | None, response: Any) -> Decision | TileFailure | None:
        """Take a response.

        Args:
            tile: That it answers; None for the verdict.
            response: Of the service.

        Returns:
            The decision on the tile; None for the verdict, and for a tile that was told before.
        """
        if tile is None:
            self._verdict = response.verdict
            return None
        self._failures = 0
        acknowledged = response.acknowledged
        decided = _outcome(tile, acknowledged)
        self._decisions.append(decided)
        self._enough |= self._stop_early and acknowledged.running.settled
        if acknowledged.resume_token:
            self._token, self.counted = acknowledged.resume_token, len(self._decisions)
        if len(self._decisions) <= self._told:
            return None
        self._told = len(self._decisions)
        return decided

    def again(self, failure: EngineUnavailable) -> float:
        """Prepare to open the stream once more.

        Args:
            failure: What broke it.

        Returns:
            Seconds to wait before.

        Raises:
            EngineUnavailable: The failure, where it has been tried often enough.
        """
        if self._failures >= self._retries:
            raise failure
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**self._failures) * random.uniform(0.5, 1.0)
        self._failures += 1
        del self._decisions[self.counted :]
        left = self.timeout
        if left is not None and left <= wait:
            raise failure
        return wait

    def verdict(self, simulated: bool) -> LotVerdict:
        """The verdict that came last.

        Args:
            simulated: Whether the lot is known to be.

        Raises:
            InferenceFailed: None came.
        """
        if self._verdict is None:
            raise InferenceFailed("The referral service gave no verdict. Screen the lot again.")
        return convert.verdict(self._verdict, self._decisions, simulated)


class Sent:
    """The messages of one stream. Each has its own: the thread of one that broke may still ask.

    Args:
        tiles: To be sent.
        policy: Its version.
        token: From which the stream goes on; empty for a lot's first.
        complete: Whether there is a lot to be called complete.
    """

    def __init__(
        self, tiles: Iterator[TileLike], policy: str, token: bytes, complete: bool
    ) -> None:
        self.tiles = tiles
        self._policy, self._token, self._complete = policy, token, complete

    def message(self, tile: Prepared) -> Any:
        """One message of the stream. A tile that cannot be read goes empty, so it is counted."""
        content = tile.message or tile_pb2.Tile(tile_id=tile.tile_id, lot_id=tile.lot_id)
        return referral_pb2.DecideLotRequest(
            tile=content, policy=self._policy, resume_token=self._opening()
        )

    def closing(self) -> Any:
        """The message after the last tile; None where there was none at all."""
        if not self._complete:
            return None
        return referral_pb2.DecideLotRequest(complete=True, resume_token=self._opening())

    def _opening(self) -> bytes:
        token, self._token = self._token, b""
        return token


def _outcome(tile: Prepared, acknowledged: referral_pb2.TileAcknowledged) -> Decision | TileFailure:
    if acknowledged.WhichOneof("outcome") == "decision":
        return convert.decision(acknowledged.decision, tile.simulated)
    error = tile.error or error_of_tile(acknowledged.error)
    return TileFailure(tile.tile_id, tile.lot_id, error)
