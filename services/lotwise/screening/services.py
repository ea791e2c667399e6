"""Asks predict and referral about one tile after another, for as long as it takes.

An outage or a full queue is waited for, with pauses that grow and vary, so that many screeners do
not come back all at once. What cannot be mended by waiting is said.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from lotwise.core.errors import (
    Contradiction,
    DeadlineExceeded,
    EngineOverloaded,
    EngineUnavailable,
    InferenceFailed,
    LotwiseError,
    NotFound,
)
from lotwise.runtime.addresses import channel
from lotwise.runtime.request import PRIORITY, TRACEPARENT, continue_trace
from lotwise.runtime.status import error_from_call
from lotwise.screening.concurrency import run_both
from lotwise.v1 import (
    explain_pb2,
    explain_pb2_grpc,
    interval_pb2,
    predict_pb2,
    predict_pb2_grpc,
    referral_pb2,
    referral_pb2_grpc,
    tile_pb2,
    uncertainty_pb2_grpc,
)

FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 30.0
CALL_S: Final = 60.0
"""Time that a call may take before it is tried again."""
CHANGE_S: Final = 180.0
"""Time that a search for a change may take: it ends with what it has found by then."""
PATIENCE_S: Final = 30.0
"""For what a verdict does not wait for."""
WORTH_WAITING: Final = (EngineUnavailable, EngineOverloaded, DeadlineExceeded)
_MESSAGES: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)

Answer = Any
Waiting = Callable[[str, float], None]
"""Is told why one waits and for how long; with an empty reason once it goes on."""


@dataclass(frozen=True)
class Answered:
    """What the services say of a tile.

    Attributes:
        decision: Of referral; the error where it could not decide.
        prediction: Of predict; the error likewise.
    """

    decision: referral_pb2.DecideResponse | LotwiseError
    prediction: predict_pb2.PredictResponse | LotwiseError


@dataclass
class Services:
    """Channels to the services; use it as an async context.

    Attributes:
        addresses: Of predict and referral; of uncertainty and explain for what they say of a lot at
            its end. See `lotwise.runtime.addresses`.
        policy: Version of the policy that decides, "full" or "cascade"; empty for the service's.
        waiting: Told of pauses.
        batch: Whether all of this may wait while instruments do not.
    """

    addresses: Mapping[str, str]
    policy: str = ""
    waiting: Waiting = lambda why, seconds: None
    batch: bool = True
    _channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)
    _trace: str = field(default_factory=lambda: continue_trace(None).traceparent)

    async def __aenter__(self) -> Services:
        for name, address in self.addresses.items():
            target, options = channel(address)
            self._channels[name] = grpc.aio.insecure_channel(target, options=(*_MESSAGES, *options))
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._channels.values():
            await each.close()

    async def ask(self, tile: tile_pb2.Tile) -> Answered:
        """What both services say of a tile; waits out outages.

        Args:
            tile: As it is sent.

        Raises:
            NotFound, Contradiction: No tile can be answered.
        """
        referral: Any = referral_pb2_grpc.ReferralServiceStub(self._channels["referral"])
        predict: Any = predict_pb2_grpc.PredictServiceStub(self._channels["predict"])
        decide = referral_pb2.DecideRequest(tile=tile, policy=self.policy)
        decision, prediction = await run_both(
            self._answer(lambda: referral.Decide(decide, **self._how()), "The referral service"),
            self._answer(
                lambda: predict.Predict(predict_pb2.PredictRequest(tile=tile), **self._how()),
                "The predict service",
            ),
        )
        return Answered(decision, prediction)

    async def conclude(
        self, messages: list[referral_pb2.DecideLotRequest]
    ) -> referral_pb2.LotVerdict:
        """The verdict at the end of a stream of one lot; waits out outages.

        Args:
            messages: Of the stream.

        Raises:
            LotwiseError: As the service says.
        """
        referral: Any = referral_pb2_grpc.ReferralServiceStub(self._channels["referral"])

        async def stream() -> referral_pb2.LotVerdict:
            verdict: referral_pb2.LotVerdict | None = None
            async for event in referral.DecideLot(_each(messages), **self._how()):
                if event.WhichOneof("event") == "verdict":
                    verdict = event.verdict
            if verdict is None:
                raise InferenceFailed("The referral service gave no verdict.")
            return verdict

        found = await self._answer(stream, "The referral service")
        if isinstance(found, LotwiseError):
            raise found
        verdict: referral_pb2.LotVerdict = found
        return verdict

    async def interval(
        self, tiles: Sequence[tile_pb2.Tile]
    ) -> interval_pb2.LotIntervalResponse | LotwiseError:
        """Where the property of a lot lies, by some of its tiles. No verdict waits long for it.

        Args:
            tiles: As they are sent.

        Raises:
            NotFound, Contradiction: See the service.
        """
        stub: Any = uncertainty_pb2_grpc.UncertaintyServiceStub(self._channels["uncertainty"])
        requests = [interval_pb2.LotIntervalRequest(tile=tile) for tile in tiles]
        found: interval_pb2.LotIntervalResponse | LotwiseError = await self._answer(
            lambda: stub.LotInterval(_each(requests), **self._how()),
            "The uncertainty service",
            patience_s=PATIENCE_S,
        )
        return found

    async def change(
        self, requests: Sequence[explain_pb2.BackwardLotRequest]
    ) -> explain_pb2.BackwardLotResult | LotwiseError:
        """What would have to change for a lot to reach a target, by some of its tiles.

        Args:
            requests: A tile each.

        Raises:
            NotFound, Contradiction: See the service.
        """
        if "explain" not in self._channels:
            return EngineUnavailable("No explain service was named.")
        stub: Any = explain_pb2_grpc.ExplainServiceStub(self._channels["explain"])

        async def stream() -> explain_pb2.BackwardLotResult:
            result: explain_pb2.BackwardLotResult | None = None
            async for event in stub.BackwardLot(_each(requests), **self._how(CHANGE_S)):
                if event.WhichOneof("event") == "result":
                    result = event.result
            if result is None:
                raise InferenceFailed("The explain service gave no result.")
            return result

        found: explain_pb2.BackwardLotResult | LotwiseError = await self._answer(
            stream, "The explain service", patience_s=PATIENCE_S
        )
        return found

    def _how(self, seconds: float = CALL_S) -> dict[str, Any]:
        metadata = ((TRACEPARENT, self._trace), (PRIORITY, "2" if self.batch else "1"))
        return {"timeout": seconds, "metadata": metadata}

    async def _answer(
        self,
        call: Callable[[], Awaitable[Answer]],
        peer: str,
        *,
        patience_s: float = math.inf,
    ) -> Answer | LotwiseError:
        failures, began = 0, time.monotonic()
        while True:
            try:
                answer = await call()
            except grpc.aio.AioRpcError as broken:
                error = error_from_call(broken, peer)
            else:
                if failures:
                    self.waiting("", 0.0)
                return answer
            if isinstance(error, NotFound | Contradiction):
                raise error
            patient = time.monotonic() - began < patience_s
            if not (isinstance(error, WORTH_WAITING) and patient):
                return error
            # Full jitter: screeners that were cut off together come back apart.
            longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**failures)
            pause = random.uniform(0.1 * longest, longest)
            self.waiting(error.message, pause)
            failures += 1
            await asyncio.sleep(pause)


async def _each(messages: Sequence[Any]) -> Any:
    for message in messages:
        yield message
