"""Streams of tiles: several in work at once, answers in the order of arrival, none lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from lotwise.core.errors import LotwiseError
from lotwise.runtime import tracing
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.request import current_request
from lotwise.runtime.status import tile_error, unexpected

logger = logging.getLogger(__name__)

Incoming = TypeVar("Incoming")
Answer = TypeVar("Answer")


async def answer_in_order(
    messages: AsyncIterator[Incoming],
    handle: Callable[[Incoming], Awaitable[Answer]],
    *,
    window: int,
    is_tile: Callable[[Incoming], bool] = lambda _: True,
) -> AsyncGenerator[tuple[Incoming, Answer | LotwiseError], None]:
    """Handle up to `window` messages at once and yield outcomes in the order of arrival.

    A message that fails yields its error in its place; the stream goes on. No more than
    `window` messages are taken before their answers are read, so a slow reader slows the
    sender (backpressure) and memory stays bounded.

    Args:
        messages: What the caller sends.
        handle: Answers one message.
        window: Messages in work at once.
        is_tile: Whether a message brings a tile, which counts as one in traces.
    """
    # The permit of a message is given back only after its answer has been taken.
    permits = asyncio.Semaphore(window)
    pending: asyncio.Queue[tuple[Incoming, asyncio.Task[Answer | LotwiseError]] | None] = (
        asyncio.Queue()
    )

    stream, tiles, failed = tracing.around(), 0, 0

    async def attempt(message: Incoming) -> Answer | LotwiseError:
        try:
            if not is_tile(message):
                return await handle(message)
            with tracing.span(tracing.TILE):
                return await handle(message)
        except LotwiseError as error:
            return error
        except Exception:
            logger.exception("unexpected failure on one message of a stream")
            return unexpected(current_request().trace.trace_id)

    async def take() -> None:
        try:
            await permits.acquire()
            async for message in messages:
                pending.put_nowait((message, asyncio.create_task(attempt(message))))
                await permits.acquire()
        finally:
            pending.put_nowait(None)

    taker = asyncio.create_task(take())
    try:
        while (item := await pending.get()) is not None:
            message, task = item
            try:
                outcome = await task
            except asyncio.CancelledError:
                task.cancel()
                raise
            tiles += is_tile(message)
            if isinstance(outcome, LotwiseError):
                failed += 1
                # The SDK keeps the last 128 events of a span.
                stream.event("tile failed", {"lotwise.number": tiles, "error.type": outcome.reason})
            yield message, outcome
            permits.release()
        await taker
    finally:
        stream.set("lotwise.tiles", tiles)
        stream.set("lotwise.tiles.failed", failed)
        taker.cancel()
        while not pending.empty():
            if (item := pending.get_nowait()) is not None:
                item[1].cancel()


async def stream_responses(
    messages: AsyncIterator[Any],
    handle: Callable[[Any], Awaitable[Any]],
    response_type: Callable[..., Answer],
    *,
    window: int,
    metrics: RpcMetrics,
) -> AsyncIterator[Answer]:
    """The streams that all services have: one response a tile, its result or its error.

    Args:
        messages: Stream requests, each with a `request` for one tile.
        handle: The unary method behind the stream.
        response_type: Stream response with `tile_id` and the outcomes `result` and `error`.
        window: Tiles in work at once.
        metrics: Counts the tiles.
    """
    async for message, outcome in answer_in_order(
        messages, lambda message: handle(message.request), window=window
    ):
        response: Any = response_type(tile_id=message.request.tile.tile_id)
        metrics.count_tile(outcome if isinstance(outcome, LotwiseError) else None)
        if isinstance(outcome, LotwiseError):
            response.error.CopyFrom(tile_error(outcome))
        else:
            response.result.CopyFrom(outcome)
        yield response
