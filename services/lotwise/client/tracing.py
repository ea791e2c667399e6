"""Spans of calls, where the application that uses the client has set OpenTelemetry up."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator
from typing import Any

from lotwise.core.errors import LotwiseError


@contextlib.contextmanager
def traced(stub: Any, service: str, method: str) -> Iterator[Any]:
    """A method of a service, in a span below the application's own.

    An application that uses OpenTelemetry has loaded it. Elsewhere nothing is recorded or sent:
    the service begins a trace and decides whether it records it.

    Args:
        stub: Of the service.
        service: "predict".
        method: "Predict".

    Yields:
        The stub's method, to be called within the block.
    """
    call = getattr(stub, method)
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is None:
        yield call
        return
    full_name = f"lotwise.v1.{service.capitalize()}Service"
    # Not made the current one: blocks in generators are left in other contexts than entered.
    span = api.get_tracer("lotwise.client").start_span(
        f"{full_name}/{method}",
        kind=api.SpanKind.CLIENT,
        attributes={"rpc.system": "grpc", "rpc.service": full_name, "rpc.method": method},
    )
    context = span.get_span_context()
    try:
        if context.is_valid:
            trace_id = api.format_trace_id(context.trace_id)
            span_id = api.format_span_id(context.span_id)
            traceparent = f"00-{trace_id}-{span_id}-{context.trace_flags & 1:02x}"
            call = functools.partial(call, metadata=(("traceparent", traceparent),))
        yield call
    except LotwiseError as error:
        # Not its message, which may quote a file's name.
        span.set_attribute("error.type", error.reason)
        span.set_status(api.StatusCode.ERROR, error.reason)
        raise
    finally:
        span.end()
