"""One interceptor around every call: trace, deadline, errors, metrics and a log line."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from lotwise.core.errors import LotwiseError
from lotwise.runtime import tracing
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.request import (
    PRIORITY,
    TRACEPARENT,
    Request,
    priority_of,
    set_request,
)
from lotwise.runtime.status import abort, status_code, unexpected

logger = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]


class RequestInterceptor(grpc.aio.ServerInterceptor):
    """Serves our services' calls inside a `Request`; leaves health and reflection alone.

    A domain error becomes its status; any other exception is logged with its trace and told
    to the caller as UNKNOWN with the request id alone. Never INTERNAL, never a trace.
    """

    def __init__(self, metrics: RpcMetrics) -> None:
        self._metrics = metrics

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the method's behaviour."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith("/lotwise."):
            return handler
        if handler.request_streaming and not handler.response_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._unary(method, handler.stream_unary),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._stream(method, handler.stream_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, handler.unary_unary, tiles=1),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _unary(
        self, method: str, behaviour: Callable[[Any, Context], Awaitable[Any]], tiles: int = 0
    ) -> Any:
        async def serve(message: Any, context: Context) -> Any:
            async with _Call(method, context, self._metrics, tiles) as call:
                return await behaviour(message, context)
            return await call.abort()

        return serve

    def _stream(
        self, method: str, behaviour: Callable[[AsyncIterator[Any], Context], AsyncIterator[Any]]
    ) -> Any:
        async def serve(messages: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
            async with _Call(method, context, self._metrics) as call:
                async for answer in behaviour(messages, context):
                    yield answer
                return
            await call.abort()

        return serve


class _Call:
    """Bookkeeping of one call; swallows a failure so that `abort` can tell it afterwards.

    `tiles` is 1 where the call is a tile's; of streams, whoever takes their tiles counts them.
    """

    def __init__(self, method: str, context: Context, metrics: RpcMetrics, tiles: int = 0) -> None:
        self._tiles = tiles
        self._service, self._method = method.removeprefix("/").split("/")
        self._context = context
        self._metrics = metrics
        self._error: LotwiseError | None = None
        self._started = time.monotonic()
        self._request_id = ""

    async def __aenter__(self) -> _Call:
        metadata = dict(self._context.invocation_metadata() or ())
        given = metadata.get(TRACEPARENT)
        self._span, trace = tracing.serve(
            self._service, self._method, given if isinstance(given, str) else None
        )
        remaining = self._context.time_remaining()
        deadline = None if remaining is None else time.monotonic() + remaining
        set_request(Request(trace, deadline, priority_of(metadata.get(PRIORITY))))
        self._request_id = trace.trace_id
        await self._context.send_initial_metadata(((TRACEPARENT, trace.traceparent),))
        self._metrics.in_flight.labels(self._method).inc()
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> bool:
        code = grpc.StatusCode.OK
        if isinstance(error, LotwiseError):
            self._error = error
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):
            code = grpc.StatusCode.CANCELLED
        elif isinstance(error, Exception) and not _aborted(error):
            logger.exception("unexpected failure in %s", self._method)
            self._error = unexpected(self._request_id)
        if self._error is not None:
            code = status_code(self._error)
        reason = self._error.reason if self._error else None
        self._span.set("rpc.grpc.status_code", code.value[0])
        self._span.end(reason)
        seconds = time.monotonic() - self._started
        self._metrics.in_flight.labels(self._method).dec()
        self._metrics.requests.labels(self._method, code.name).inc()
        if self._tiles and code is not grpc.StatusCode.CANCELLED:
            self._metrics.count_tile(self._error)  # else nobody waits for what became of it
        self._metrics.seconds.labels(self._method).observe(seconds)
        logger.info(
            "call finished",
            extra={
                "method": self._method,
                "code": code.name,
                "reason": reason,
                "seconds": round(seconds, 4),
            },
        )
        return self._error is not None

    async def abort(self) -> None:
        """Tell the caller what went wrong."""
        if self._error is not None:
            await abort(self._context, self._error)


def _aborted(error: Exception) -> bool:
    return isinstance(error, grpc.aio.AbortError)
