"""Spans: what a call spent its time on, told to an OpenTelemetry collector.

A span's place is that of the present request's trace: within a span, what goes on to others
carries the span's own id. OpenTelemetry is loaded only where an endpoint is named in the standard
environment variables (https://opentelemetry.io/docs/specs/otel/protocol/exporter/); without, ids
of requests are as with it, and nothing is recorded.

Bounded: of the children of one span that have the same name, the first `KEPT` are recorded, and
after them those whose number is a power of two. A lot of 10,000 tiles leaves 26 spans of tiles,
spread over its whole length, and nothing below the tiles between.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Literal, Protocol

from prometheus_client import CollectorRegistry

from lotwise.core.errors import Contradiction, LotwiseError
from lotwise.runtime.request import (
    Trace,
    callers_trace,
    continue_trace,
    current_request,
    request_in,
)

DECODE: Final = "decode"
INFER: Final = "infer"
TILE: Final = "tile"
KEPT: Final = 16

PROTOCOL: Final = "http/json"
"""Triton 2.51 speaks no other, so that one endpoint takes the spans of all."""

Kind = Literal["internal", "client", "server"]
Attributes = Mapping[str, str | int]


class Recorded(Protocol):
    """A span that has begun, as what records it gives it."""

    @property
    def trace(self) -> Trace:
        """Its own place, for those below it; `sampled` says whether it is recorded at all."""
        ...

    def set(self, name: str, value: str | int) -> None:
        """Say something of it."""
        ...

    def event(self, name: str, attributes: Attributes) -> None:
        """Something that happened during it."""
        ...

    def fail(self, reason: str) -> None:
        """It ended with an error."""
        ...

    def end(self) -> None:
        """It is over."""
        ...


class Recorder(Protocol):
    """What records spans and sends them away."""

    def begin(
        self, name: str, kind: Kind, parent: Trace | None, attributes: Attributes
    ) -> Recorded:
        """A span below `parent`, or at the root of a new trace."""
        ...

    def register(self, registry: CollectorRegistry) -> None:
        """Show how many spans there were, and how many arrived."""
        ...

    def close(self, timeout_s: float) -> None:
        """Send what is left. Returns when it is sent or time is up; blocks."""
        ...


class Span:
    """A span, or nothing that quietly takes the same calls."""

    def __init__(self, recorded: Recorded | None = None) -> None:
        self._recorded = recorded
        self._children: Counter[str] = Counter()

    def set(self, name: str, value: str | int) -> None:
        """Say something of it: never what a picture shows, nor how a file, tile or lot is named."""
        if self._recorded is not None:
            self._recorded.set(name, value)

    def event(self, name: str, attributes: Attributes = MappingProxyType({})) -> None:
        """Something that happened during it."""
        if self._recorded is not None:
            self._recorded.event(name, attributes)

    def end(self, reason: str | None = None) -> None:
        """It is over.

        Args:
            reason: Why it failed, one of docs/errors.md; None where it did not.
        """
        # What is said of it from now on comes too late, as from a stream that was called off.
        recorded, self._recorded = self._recorded, None
        if recorded is not None:
            if reason is not None:
                recorded.fail(reason)
            recorded.end()

    def keeps(self, child: str) -> int | None:
        """The number of a new child among those of its name; None where it is left out."""
        self._children[child] += 1
        number = self._children[child]
        return number if number <= KEPT or number.bit_count() == 1 else None


_NOTHING: Final = Span()
_around: ContextVar[Span] = ContextVar("lotwise_span", default=_NOTHING)
_recorder: Recorder | None = None


def traces_url(environment: Mapping[str, str] = os.environ) -> str | None:
    """Where traces go, the whole URL; None where nothing is to be recorded."""
    off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if off or environment.get("OTEL_TRACES_EXPORTER", "").strip() == "none":
        return None
    if traces := environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip():
        return traces
    everything = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    return everything.rstrip("/") + "/v1/traces" if everything else None


def start(service: str) -> None:
    """Record spans from now on, if the environment names an endpoint.

    Args:
        service: Name of the process where OTEL_SERVICE_NAME gives none.

    Raises:
        Contradiction: TRACING_MISSING, TRACING_INVALID.
    """
    global _recorder
    url = traces_url()
    if url is None:
        return
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    if (protocol or PROTOCOL) != PROTOCOL:
        raise Contradiction(
            "TRACING_INVALID",
            f"Traces go as {PROTOCOL}, and OTEL_EXPORTER_OTLP_PROTOCOL asks for {protocol}. Unset "
            "it, and name the collector's endpoint for OTLP over HTTP, usually at port 4318.",
        )
    try:
        from lotwise.runtime.tracing_export import OpenTelemetryRecorder
    except ImportError as error:
        raise Contradiction(
            "TRACING_MISSING",
            f"Traces are to go to {url}, but {error.name} is not installed. Install the extra "
            "`tracing`, or unset OTEL_EXPORTER_OTLP_ENDPOINT.",
        ) from None
    try:
        _recorder = OpenTelemetryRecorder(service)
    except ValueError as error:
        raise Contradiction("TRACING_INVALID", f"Traces cannot be set up: {error}.") from None


def is_on() -> bool:
    """Whether spans are recorded in this process."""
    return _recorder is not None


def register(registry: CollectorRegistry) -> None:
    """Show among a service's metrics how many spans there were, and how many arrived."""
    if _recorder is not None:
        _recorder.register(registry)


async def stop(timeout_s: float) -> None:
    """Send what is left, and record no more.

    Args:
        timeout_s: What is not sent by then is lost, which is logged.
    """
    global _recorder
    recorder, _recorder = _recorder, None
    if recorder is not None:
        await asyncio.to_thread(recorder.close, timeout_s)


def serve(service: str, method: str, traceparent: str | None) -> tuple[Span, Trace]:
    """Begin the span of a call that is served; it is around what the present task does.

    Args:
        service: "lotwise.v1.PredictService".
        method: "Predict".
        traceparent: Of the caller, None where it sent none.

    Returns:
        The span, to be ended by the caller, and its place.
    """
    if _recorder is None:
        return _NOTHING, continue_trace(traceparent)
    recorded = _recorder.begin(
        f"{service}/{method}", "server", callers_trace(traceparent), rpc(service, method)
    )
    made = Span(recorded) if recorded.trace.sampled else _NOTHING
    _around.set(made)
    return made, recorded.trace


def around() -> Span:
    """The innermost span that the present task is in."""
    return _around.get()


@contextlib.contextmanager
def span(
    name: str, kind: Kind = "internal", attributes: Attributes = MappingProxyType({})
) -> Iterator[Span]:
    """A span below the present one, around a block; not around one that yields.

    An error that leaves the block gives the span its reason, and nothing of its message: that may
    quote what the caller sent.

    Args:
        name: One of few: neither tiles nor lots have spans of their own name.
        kind: "client" where another process does the work.
        attributes: What to say of it.
    """
    parent, place = _around.get(), current_request().trace
    if _recorder is None or parent is _NOTHING or not place.sampled:
        yield _NOTHING
        return
    number = parent.keeps(name)
    if number is None:
        with request_in(replace(place, flags="00")):
            yield _NOTHING
        return
    recorded = _recorder.begin(name, kind, place, {**attributes, "lotwise.number": number})
    made, reason = Span(recorded), None
    token = _around.set(made)
    try:
        with request_in(recorded.trace):
            yield made
    except LotwiseError as error:
        reason = error.reason
        raise
    except asyncio.CancelledError:
        made.event("cancelled")
        raise
    except Exception:
        reason = "UNEXPECTED"
        raise
    finally:
        _around.reset(token)
        made.end(reason)


def calling(service: str, method: str) -> contextlib.AbstractContextManager[Span]:
    """A span around a call of another service of ours."""
    return span(f"{service}/{method}", "client", rpc(service, method))


def rpc(service: str, method: str) -> Attributes:
    """What is said of a call, in OpenTelemetry's own words."""
    return {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
