"""Many tiles over one stream: sent as they come, answered in order, few of them in memory.

At most `in_flight` tiles have been taken from the caller and not yet been handed back with their
answers. The next is taken only once an answer has been read, so a slow reader slows the sender.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
)
from typing import Any, Final

import grpc

from lotwise.client.tiles import Prepared, TileLike
from lotwise.core.errors import DeadlineExceeded, EngineUnavailable

LATE: Final = "The service did not answer within the deadline."

Prepare = Callable[[TileLike, int], Prepared]
Message = Callable[[Prepared], Any]
Failure = Callable[[grpc.RpcError], Exception]
Exchanged = tuple[Prepared | None, Any]
"""A tile and the response to it, None where it was not sent; or no tile, and what the service
says once all have been answered."""


def exchange(
    call: Callable[..., Any],
    tiles: Iterable[TileLike],
    prepare: Prepare,
    message: Message,
    failure: Failure,
    *,
    in_flight: int,
    timeout: float | None,
    closing: Callable[[], Any] = lambda: None,
) -> Iterator[Exchanged]:
    """Send tiles and read what comes back.

    Args:
        call: The stub's method, a stream both ways with one response for each message.
        tiles: Taken one by one, in a thread of gRPC's.
        prepare: Reads the tile with this number.
        message: The message for a tile; None where none is sent.
        failure: What to raise for a call that failed.
        in_flight: Tiles that may be under way.
        timeout: For the whole stream, in seconds; None for no limit.
        closing: Makes a message after the last tile's, to which no response is due; None for none.

    Raises:
        Exception: What `failure` makes of the stream's end, or what `tiles` raised.
    """
    _check(in_flight)
    waiting: queue.SimpleQueue[tuple[Prepared, bool] | None] = queue.SimpleQueue()
    permits = threading.Semaphore(in_flight)
    over = threading.Event()
    raised: list[Exception] = []

    def messages() -> Iterator[Any]:
        try:
            source = iter(tiles)
            for index in itertools.count():
                permits.acquire()
                if over.is_set():
                    return
                try:
                    given = next(source)
                except StopIteration:
                    last = closing()
                    if last is not None:
                        yield last
                    return
                tile = prepare(given, index)
                del given
                sent = message(tile)
                waiting.put((_without_content(tile), sent is not None))
                if sent is not None:
                    yield sent
        except Exception as error:
            raised.append(error)  # the caller's thread is where it belongs
        finally:
            waiting.put(None)

    responses = call(messages(), timeout=timeout)
    try:
        while (item := waiting.get()) is not None:
            tile, sent = item
            response = None
            if sent:
                try:
                    response = next(responses)
                except StopIteration:
                    raise _broken_off() from None
                except grpc.RpcError as error:
                    raise failure(error) from None
            yield tile, response
            permits.release()
        if raised:
            raise raised[0]
        try:
            for response in responses:
                yield None, response
        except grpc.RpcError as error:
            raise failure(error) from None
    finally:
        over.set()
        permits.release()
        responses.cancel()


async def exchange_async(
    call: Callable[..., Any],
    tiles: Iterable[TileLike] | AsyncIterable[TileLike],
    prepare: Prepare,
    message: Message,
    failure: Failure,
    *,
    in_flight: int,
    timeout: float | None,
    closing: Callable[[], Any] = lambda: None,
) -> AsyncGenerator[Exchanged, None]:
    """As `exchange`, in an event loop. Files are read in threads."""
    _check(in_flight)
    waiting: asyncio.Queue[tuple[Prepared, bool] | None] = asyncio.Queue()
    permits = asyncio.Semaphore(in_flight)
    raised: list[Exception] = []

    async def messages() -> AsyncIterator[Any]:
        try:
            source = _aiter(tiles)
            for index in itertools.count():
                await permits.acquire()
                try:
                    given = await anext(source)
                except StopAsyncIteration:
                    last = closing()
                    if last is not None:
                        yield last
                    return
                tile = await asyncio.to_thread(prepare, given, index)
                del given
                sent = message(tile)
                waiting.put_nowait((_without_content(tile), sent is not None))
                if sent is not None:
                    yield sent
        except Exception as error:
            raised.append(error)
        finally:
            waiting.put_nowait(None)

    stream = call(messages(), timeout=timeout)
    responses = aiter(stream)
    try:
        while (item := await waiting.get()) is not None:
            tile, sent = item
            response = None
            if sent:
                try:
                    response = await anext(responses)
                except StopAsyncIteration:
                    raise _broken_off() from None
                except grpc.RpcError as error:
                    raise failure(error) from None
            yield tile, response
            permits.release()
        if raised:
            raise raised[0]
        try:
            async for response in responses:
                yield None, response
        except grpc.RpcError as error:
            raise failure(error) from None
    finally:
        stream.cancel()


def send_all(
    call: Callable[..., Any],
    tiles: Iterable[TileLike],
    prepare: Prepare,
    message: Message,
    failure: Failure,
    *,
    timeout: float | None,
) -> tuple[list[Prepared], Any]:
    """Send tiles and read the one response to all of them.

    Args:
        call: The stub's method, a stream of messages with one response.
        tiles: Taken one by one, in a thread of gRPC's.
        prepare: Reads the tile with this number.
        message: The message for a tile.
        failure: What to raise for a call that failed.
        timeout: For the whole call, in seconds; None for no limit.

    Returns:
        What was sent, without its pixels; the response.

    Raises:
        Exception: What `failure` makes of the call's end, or what `tiles` raised.
    """
    sent: list[Prepared] = []
    raised: list[Exception] = []

    def messages() -> Iterator[Any]:
        try:
            for index, given in enumerate(tiles):
                tile = prepare(given, index)
                sent.append(_without_content(tile))
                yield message(tile)
        except Exception as error:
            raised.append(error)  # the caller's thread is where it belongs

    try:
        response = call(messages(), timeout=timeout)
    except grpc.RpcError as error:
        raise (raised[0] if raised else failure(error)) from None
    if raised:
        raise raised[0]
    return sent, response


async def send_all_async(
    call: Callable[..., Any],
    tiles: Iterable[TileLike] | AsyncIterable[TileLike],
    prepare: Prepare,
    message: Message,
    failure: Failure,
    *,
    timeout: float | None,
) -> tuple[list[Prepared], Any]:
    """As `send_all`, in an event loop. Files are read in threads."""
    sent: list[Prepared] = []
    raised: list[Exception] = []

    async def messages() -> AsyncIterator[Any]:
        try:
            async for given in _aiter(tiles):
                tile = await asyncio.to_thread(prepare, given, len(sent))
                sent.append(_without_content(tile))
                yield message(tile)
        except Exception as error:
            raised.append(error)

    began = time.monotonic()

    def late() -> bool:
        return timeout is not None and time.monotonic() - began >= timeout

    try:
        response = await call(messages(), timeout=timeout)
    except grpc.RpcError as error:
        told: Exception = raised[0] if raised else failure(error)
        # Where a deadline passes while messages are being sent, grpc.aio may say anything.
        if isinstance(told, EngineUnavailable) and late():
            told = DeadlineExceeded(LATE)
        raise told from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling() or not late():
            raise
        raise DeadlineExceeded(LATE) from None
    if raised:
        raise raised[0]
    return sent, response


def watch_all(
    call: Callable[..., Any],
    tiles: Iterable[TileLike],
    prepare: Prepare,
    message: Message,
    failure: Failure,
    *,
    on_progress: Callable[[Any], None],
    timeout: float | None,
) -> tuple[list[Prepared], Any]:
    """As `send_all`, where responses say how far it is before the last one has the result.

    Args:
        call: The stub's method, a stream of messages with a stream of responses.
        tiles: As in `send_all`.
        prepare: As in `send_all`.
        message: As in `send_all`.
        failure: As in `send_all`.
        on_progress: Called with what each response but the last says.
        timeout: As in `send_all`.

    Returns:
        What was sent, without its pixels; the result.

    Raises:
        Exception: As `send_all`; EngineUnavailable where the stream ends without a result.
    """
    result = None

    def last(messages: Iterator[Any], timeout: float | None) -> Any:
        nonlocal result
        stream = call(messages, timeout=timeout)
        try:
            for response in stream:
                if response.WhichOneof("event") == "result":
                    result = response.result
                else:
                    on_progress(response.progress)
        finally:
            stream.cancel()
        return result

    sent, _ = send_all(last, tiles, prepare, message, failure, timeout=timeout)
    if result is None:
        raise _broken_off()
    return sent, result


async def watch_all_async(
    call: Callable[..., Any],
    tiles: Iterable[TileLike] | AsyncIterable[TileLike],
    prepare: Prepare,
    message: Message,
    failure: Failure,
    *,
    on_progress: Callable[[Any], None],
    timeout: float | None,
) -> tuple[list[Prepared], Any]:
    """As `watch_all`, in an event loop."""
    result = None

    async def last(messages: AsyncIterator[Any], timeout: float | None) -> Any:
        nonlocal result
        stream = call(messages, timeout=timeout)
        try:
            async for response in stream:
                if response.WhichOneof("event") == "result":
                    result = response.result
                else:
                    on_progress(response.progress)
        finally:
            stream.cancel()
        return result

    sent, _ = await send_all_async(last, tiles, prepare, message, failure, timeout=timeout)
    if result is None:
        raise _broken_off()
    return sent, result


async def _aiter(tiles: Iterable[TileLike] | AsyncIterable[TileLike]) -> AsyncIterator[TileLike]:
    if isinstance(tiles, AsyncIterable):
        async for tile in tiles:
            yield tile
    else:
        for tile in tiles:
            yield tile


def _without_content(tile: Prepared) -> Prepared:
    """What must be remembered of a tile until it is answered: not its pixels."""
    return Prepared(None, tile.tile_id, tile.lot_id, tile.simulated, tile.error)


def _check(in_flight: int) -> None:
    if in_flight < 1:
        raise ValueError(f"in_flight must be at least 1, not {in_flight}")


def _broken_off() -> EngineUnavailable:
    return EngineUnavailable(
        "The service ended the stream before all tiles were answered. Send the rest again."
    )
