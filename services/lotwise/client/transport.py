"""How questions reach the services: channels, stubs, deadlines, failures."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import grpc

from lotwise.client.answers import TileFailure
from lotwise.client.attempts import Attempts
from lotwise.client.connection import (
    IN_FLIGHT,
    LOCAL,
    MAX_MESSAGE_BYTES,
    RETRIES,
    STUBS,
    TIMEOUT_S,
    connection,
)
from lotwise.client.exchange import (
    Exchanged,
    exchange,
    exchange_async,
    send_all,
    send_all_async,
    watch_all,
    watch_all_async,
)
from lotwise.client.failures import error_of_call
from lotwise.client.lot_answers import LotProgress
from lotwise.client.lot_convert import progress as lot_progress
from lotwise.client.lot_questions import LotExplainQuestion
from lotwise.client.lot_sending import LotSending
from lotwise.client.questions import LotIntervalQuestion, OtherUnit, Question
from lotwise.client.tiles import Prepared, TileLike, TileReader
from lotwise.client.tracing import traced
from lotwise.core.errors import InvalidRequest, LotwiseError

AnswerType = TypeVar("AnswerType")


class Reach:
    """What both kinds of clients are told, and share."""

    def __init__(
        self,
        host: str = LOCAL,
        *,
        predict: str | None = None,
        uncertainty: str | None = None,
        referral: str | None = None,
        explain: str | None = None,
        timeout: float = TIMEOUT_S,
        retries: int = RETRIES,
        tls: bool | str | Path = False,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._connection = connection(
            host,
            {
                "predict": predict,
                "uncertainty": uncertainty,
                "referral": referral,
                "explain": explain,
            },
            timeout=timeout,
            retries=retries,
            tls=tls,
            max_message_bytes=max_message_bytes,
        )
        self._lock = threading.Lock()
        self._channels: dict[str, Any] = {}
        self._stubs: dict[str, Any] = {}
        self._model_unit = "psi"

    def _failed(self, service: str, error: grpc.RpcError) -> LotwiseError:
        return error_of_call(error, service, self._connection.addresses[service])

    def _reader(self, lot_id: str, um_per_px: float | None) -> TileReader:
        return TileReader(self._connection.max_file_bytes, lot_id, um_per_px)

    def _sending(
        self, tiles: Sequence[TileLike], policy: str, *, stop_early: bool, timeout: float | None
    ) -> LotSending:
        retries = self._connection.retries
        return LotSending(tiles, policy, stop_early=stop_early, retries=retries, timeout=timeout)

    def _attempts(self, timeout: float | None) -> Attempts:
        own = self._connection.timeout
        return Attempts(self._connection.retries, own if timeout is None else timeout)

    def _open(self, library: Any, service: str) -> Any:
        """The service's stub over a channel of `library`, grpc or grpc.aio; made once."""
        if service not in self._stubs:
            credentials = self._connection.credentials
            target, options = self._connection.channel(service)
            self._channels[service] = (
                library.secure_channel(target, credentials, options=options)
                if credentials
                else library.insecure_channel(target, options=options)
            )
            self._stubs[service] = STUBS[service](self._channels[service])
        return self._stubs[service]

    def _learn(self, other: OtherUnit) -> InvalidRequest:
        self._model_unit = other.unit
        return InvalidRequest("TARGET_INVALID", f"{other} Ask again: the client knows it now.")


class Transport(Reach):
    """Asks and waits, without an event loop."""

    def close(self) -> None:
        """Let go of the connections. The client cannot be used any more."""
        with self._lock:
            for channel in self._channels.values():
                channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stub(self, service: str) -> Any:
        with self._lock:
            return self._open(grpc, service)

    def _ask(
        self,
        question: Question[AnswerType],
        tile: TileLike,
        lot_id: str,
        um_per_px: float | None,
        timeout: float | None,
    ) -> AnswerType:
        prepared = self._reader(lot_id, um_per_px).read(tile)
        with traced(self._stub(question.service), question.service, question.method) as call:
            attempts = self._attempts(timeout)
            while True:
                try:
                    response = call(question.request(prepared), timeout=attempts.timeout)
                except grpc.RpcError as error:
                    if not attempts.again(error):
                        raise self._failed(question.service, error) from None
                else:
                    return question.read(response, prepared.simulated)

    def _exchange(
        self,
        question: Question[Any],
        tiles: Iterable[TileLike],
        lot_id: str,
        um_per_px: float | None,
        in_flight: int,
        timeout: float | None,
    ) -> Iterator[Exchanged]:
        with traced(self._stub(question.service), question.service, question.stream) as call:
            yield from exchange(
                call,
                tiles,
                self._reader(lot_id, um_per_px).read_or_say,
                question.message,
                lambda error: self._failed(question.service, error),
                in_flight=in_flight,
                timeout=timeout,
            )

    def _exchange_lot(
        self, sending: LotSending, lot_id: str, um_per_px: float | None
    ) -> Iterator[Exchanged]:
        reader = self._reader(lot_id, um_per_px)
        first, sent = sending.counted, sending.opened()
        with traced(self._stub(sending.service), sending.service, sending.stream) as call:
            yield from exchange(
                call,
                sent.tiles,
                lambda tile, index: reader.read_or_say(tile, first + index),
                sent.message,
                lambda error: self._failed(sending.service, error),
                in_flight=IN_FLIGHT,
                timeout=sending.timeout,
                closing=sent.closing,
            )

    def _send_all(
        self,
        question: LotIntervalQuestion,
        tiles: Iterable[TileLike],
        lot_id: str,
        um_per_px: float | None,
        timeout: float | None,
    ) -> tuple[list[Prepared], Any]:
        with traced(self._stub(question.service), question.service, question.method) as call:
            return send_all(
                call,
                tiles,
                self._reader(lot_id, um_per_px).read_or_say,
                question.message,
                lambda error: self._failed(question.service, error),
                timeout=timeout,
            )

    def _watch_all(
        self,
        question: LotExplainQuestion[Any],
        tiles: Iterable[TileLike],
        lot_id: str,
        um_per_px: float | None,
        on_progress: Callable[[LotProgress], None] | None,
        timeout: float | None,
    ) -> tuple[list[Prepared], Any]:
        with traced(self._stub("explain"), "explain", question.method) as call:
            return watch_all(
                call,
                tiles,
                self._reader(lot_id, um_per_px).read_or_say,
                question.message,
                lambda error: self._failed("explain", error),
                on_progress=lambda said: on_progress(lot_progress(said)) if on_progress else None,
                timeout=timeout,
            )

    def _ask_many(
        self,
        question: Question[AnswerType],
        tiles: Iterable[TileLike],
        lot_id: str,
        um_per_px: float | None,
        in_flight: int,
        timeout: float | None,
    ) -> Iterator[AnswerType | TileFailure]:
        exchanged = self._exchange(question, tiles, lot_id, um_per_px, in_flight, timeout)
        try:
            for tile, response in exchanged:
                if tile is not None:
                    yield question.outcome(tile, response)
        except OtherUnit as other:
            raise self._learn(other) from None


class AsyncTransport(Reach):
    """Asks in an event loop: that of the first call, in which all others must be."""

    async def close(self) -> None:
        """Let go of the connections. The client cannot be used any more."""
        for channel in self._channels.values():
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _stub(self, service: str) -> Any:
        # Made at the first call, because a channel belongs to the loop that it is made in.
        return self._open(grpc.aio, service)

    async def _ask(
        self,
        question: Question[AnswerType],
        tile: TileLike,
        lot_id: str,
        um_per_px: float | None,
        timeout: float | None,
    ) -> AnswerType:
        prepared = await asyncio.to_thread(self._reader(lot_id, um_per_px).read, tile)
        with traced(self._stub(question.service), question.service, question.method) as call:
            attempts = self._attempts(timeout)
            while True:
                try:
                    response = await call(question.request(prepared), timeout=attempts.timeout)
                except grpc.RpcError as error:
                    if not attempts.again(error):
                        raise self._failed(question.service, error) from None
                else:
                    return question.read(response, prepared.simulated)

    async def _exchange(
        self,
        question: Question[Any],
        tiles: Iterable[TileLike] | AsyncIterable[TileLike],
        lot_id: str,
        um_per_px: float | None,
        in_flight: int,
        timeout: float | None,
    ) -> AsyncGenerator[Exchanged, None]:
        with traced(self._stub(question.service), question.service, question.stream) as call:
            exchanged = exchange_async(
                call,
                tiles,
                self._reader(lot_id, um_per_px).read_or_say,
                question.message,
                lambda error: self._failed(question.service, error),
                in_flight=in_flight,
                timeout=timeout,
            )
            async with contextlib.aclosing(exchanged):
                async for each in exchanged:
                    yield each

    async def _exchange_lot(
        self, sending: LotSending, lot_id: str, um_per_px: float | None
    ) -> AsyncGenerator[Exchanged, None]:
        reader = self._reader(lot_id, um_per_px)
        first, sent = sending.counted, sending.opened()
        with traced(self._stub(sending.service), sending.service, sending.stream) as call:
            exchanged = exchange_async(
                call,
                sent.tiles,
                lambda tile, index: reader.read_or_say(tile, first + index),
                sent.message,
                lambda error: self._failed(sending.service, error),
                in_flight=IN_FLIGHT,
                timeout=sending.timeout,
                closing=sent.closing,
            )
            async with contextlib.aclosing(exchanged):
                async for each in exchanged:
                    yield each

    async def _send_all(
        self,
        question: LotIntervalQuestion,
        tiles: Iterable[TileLike] | AsyncIterable[TileLike],
        lot_id: str,
        um_per_px: float | None,
        timeout: float | None,
    ) -> tuple[list[Prepared], Any]:
        with traced(self._stub(question.service), question.service, question.method) as call:
            return await send_all_async(
                call,
                tiles,
                self._reader(lot_id, um_per_px).read_or_say,
                question.message,
                lambda error: self._failed(question.service, error),
                timeout=timeout,
            )

    async def _watch_all(
        self,
        question: LotExplainQuestion[Any],
        tiles: Iterable[TileLike] | AsyncIterable[TileLike],
        lot_id: str,
        um_per_px: float | None,
        on_progress: Callable[[LotProgress], None] | None,
        timeout: float | None,
    ) -> tuple[list[Prepared], Any]:
        with traced(self._stub("explain"), "explain", question.method) as call:
            return await watch_all_async(
                call,
                tiles,
                self._reader(lot_id, um_per_px).read_or_say,
                question.message,
                lambda error: self._failed("explain", error),
                on_progress=lambda said: on_progress(lot_progress(said)) if on_progress else None,
                timeout=timeout,
            )

    async def _ask_many(
        self,
        question: Question[AnswerType],
        tiles: Iterable[TileLike] | AsyncIterable[TileLike],
        lot_id: str,
        um_per_px: float | None,
        in_flight: int,
        timeout: float | None,
    ) -> AsyncGenerator[AnswerType | TileFailure, None]:
        exchanged = self._exchange(question, tiles, lot_id, um_per_px, in_flight, timeout)
        try:
            # Closed at once where the caller stops early, not when the garbage is collected.
            async with contextlib.aclosing(exchanged):
                async for tile, response in exchanged:
                    if tile is not None:
                        yield question.outcome(tile, response)
        except OtherUnit as other:
            raise self._learn(other) from None
