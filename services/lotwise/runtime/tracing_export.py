"""Spans as OpenTelemetry's SDK records them, sent to a collector from a thread of its own.

Calls are never held up: a finished span goes into a queue of bounded size, and is dropped where
that is full. The SDK logs what it could not send; the metrics count it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Final

from opentelemetry import trace as api
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

from lotwise.runtime.request import Trace
from lotwise.runtime.tracing import Attributes, Kind

logger = logging.getLogger(__name__)

_KINDS: Final[dict[Kind, api.SpanKind]] = {
    "internal": api.SpanKind.INTERNAL,
    "client": api.SpanKind.CLIENT,
    "server": api.SpanKind.SERVER,
}


class OpenTelemetryRecorder:
    """Records spans; endpoint, sampler, limits and queue are what the environment says.

    Args:
        service: Name of the process where OTEL_SERVICE_NAME gives none.

    Raises:
        ValueError: A variable makes no sense.
    """

    def __init__(self, service: str) -> None:
        self._counts = SpanCounts()
        resource = Resource.create({"service.version": version("lotwise")})
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": service}))
        self._exporter = _Counted(OTLPSpanExporter(), self._counts)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(_Counting(self._exporter, self._counts))
        self._tracer = self._provider.get_tracer("lotwise", version("lotwise"))

    def begin(
        self, name: str, kind: Kind, parent: Trace | None, attributes: Attributes
    ) -> OpenTelemetrySpan:
        """See `Recorder`."""
        above = api.INVALID_SPAN if parent is None else api.NonRecordingSpan(_context(parent))
        return OpenTelemetrySpan(
            self._tracer.start_span(
                name, api.set_span_in_context(above), _KINDS[kind], dict(attributes)
            )
        )

    def register(self, registry: CollectorRegistry) -> None:
        """See `Recorder`."""
        registry.register(self._counts)

    def close(self, timeout_s: float) -> None:
        """See `Recorder`."""
        until = time.monotonic() + timeout_s
        # The SDK waits up to 30 s; it goes on in a thread that ends with the process.
        flushing = threading.Thread(target=self._provider.shutdown, daemon=True)
        flushing.start()
        flushing.join(timeout_s)
        if flushing.is_alive():
            self._exporter.shutdown()
            flushing.join(max(0.0, until + 0.5 - time.monotonic()))
        if lost := self._counts.ended - self._counts.exported:
            logger.warning("spans were lost", extra={"spans": lost})


class OpenTelemetrySpan:
    """A span of OpenTelemetry's as `Recorded`."""

    def __init__(self, span: api.Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.trace = Trace(
            api.format_trace_id(context.trace_id),
            api.format_span_id(context.span_id),
            f"{int(context.trace_flags) & 1:02x}",
        )

    def set(self, name: str, value: str | int) -> None:
        """See `Recorded`."""
        self._span.set_attribute(name, value)

    def event(self, name: str, attributes: Attributes) -> None:
        """See `Recorded`."""
        self._span.add_event(name, dict(attributes))

    def fail(self, reason: str) -> None:
        """See `Recorded`."""
        self._span.set_attribute("error.type", reason)
        self._span.set_status(api.StatusCode.ERROR, reason)

    def end(self) -> None:
        """See `Recorded`."""
        self._span.end()


class SpanCounts(Collector):
    """How many spans ended here, and how many the endpoint has taken."""

    def __init__(self) -> None:
        self.ended = 0
        self.exported = 0

    def collect(self) -> Iterable[CounterMetricFamily]:
        """See `Collector`."""
        yield CounterMetricFamily(
            "lotwise_spans_ended", "Spans that were to be exported.", self.ended
        )
        yield CounterMetricFamily(
            "lotwise_spans_exported",
            "Those that the endpoint has taken. Others wait, for seconds, or were lost.",
            self.exported,
        )


class _Counting(BatchSpanProcessor):
    def __init__(self, exporter: SpanExporter, counts: SpanCounts) -> None:
        super().__init__(exporter)
        self._counts = counts

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            self._counts.ended += 1
        super().on_end(span)


class _Counted(SpanExporter):
    def __init__(self, exporter: SpanExporter, counts: SpanCounts) -> None:
        self._exporter = exporter
        self._counts = counts
        self._over = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._counts.exported += len(spans)
        return result

    def shutdown(self) -> None:
        if not self._over:
            self._over = True
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _context(place: Trace) -> api.SpanContext:
    return api.SpanContext(
        int(place.trace_id, 16),
        int(place.span_id, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(int(place.flags, 16) & 1),
    )
