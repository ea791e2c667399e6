"""An OTLP/HTTP endpoint: traces as a collector takes them, in the protocol's own messages."""

import base64
import gzip
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

_IDS = ("traceId", "spanId", "parentSpanId")


@dataclass(frozen=True)
class Received:
    """A span and the resource that it came from."""

    service: str
    resource: dict[str, Any]
    span: trace_pb2.Span

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()

    @property
    def span_id(self) -> str:
        return self.span.span_id.hex()

    @property
    def parent_id(self) -> str:
        """Empty for a root."""
        return self.span.parent_span_id.hex()

    @property
    def kind(self) -> str:
        return trace_pb2.Span.SpanKind.Name(self.span.kind).removeprefix("SPAN_KIND_")

    @property
    def failed(self) -> bool:
        return self.span.status.code == trace_pb2.Status.STATUS_CODE_ERROR

    @property
    def attributes(self) -> dict[str, Any]:
        return values(self.span.attributes)


class OtlpEndpoint:
    """Listens on a free port of 127.0.0.1; keeps all spans that it gets."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        """Content types, a request each."""
        self.refused: list[str] = []
        """What was wrong with requests that are not OTLP."""
        self.spans: list[Received] = []
        self.answering = threading.Event()
        """Cleared, requests wait."""
        self.answering.set()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.answering.wait(60)
                kind = self.headers["Content-Type"].partition(";")[0]
                try:
                    if self.path != "/v1/traces":
                        raise ValueError(f"no traces go to {self.path}")
                    if self.headers["Content-Encoding"] == "gzip":
                        content = gzip.decompress(content)
                    endpoint._take(_read(kind, content), kind)
                    status = 200
                except Exception as error:
                    endpoint.refused.append(repr(error))
                    status = 400
                answer = ExportTraceServiceResponse()
                said = b"{}" if kind == "application/json" else answer.SerializeToString()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> "OtlpEndpoint":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answering.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def trace(self, trace_id: str) -> list[Received]:
        """What has come of a trace."""
        return [each for each in list(self.spans) if each.trace_id == trace_id]

    def wait_for(
        self, trace_id: str, complete: Callable[[list[Received]], bool], timeout_s: float = 20.0
    ) -> list[Received]:
        """The spans of a trace once they are complete; those that came when time is up."""
        until = time.monotonic() + timeout_s
        while not complete(self.trace(trace_id)) and time.monotonic() < until:
            time.sleep(0.02)
        return self.trace(trace_id)

    def wait_for_one(
        self,
        trace_ids: list[str],
        complete: Callable[[list[Received]], bool],
        timeout_s: float = 20.0,
    ) -> list[Received]:
        """The spans of the first trace that is complete; none when time is up.

        Triton 2.51 loses all its spans of some requests.
        """
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            for trace_id in trace_ids:
                if complete(self.trace(trace_id)):
                    return self.trace(trace_id)
            time.sleep(0.02)
        return []

    def _take(self, request: ExportTraceServiceRequest, kind: str) -> None:
        self.requests.append(kind)
        for group in request.resource_spans:
            resource = values(group.resource.attributes)
            for scope in group.scope_spans:
                for span in scope.spans:
                    self.spans.append(Received(resource.get("service.name", ""), resource, span))


def values(attributes: Any) -> dict[str, Any]:
    """Attributes by name."""
    return {each.key: _value(each) for each in attributes}


def _value(attribute: KeyValue) -> Any:
    kind = attribute.value.WhichOneof("value")
    value = getattr(attribute.value, kind) if kind else None
    if kind == "array_value":
        return [getattr(each, each.WhichOneof("value")) for each in value.values]
    return value


def _read(kind: str, content: bytes) -> ExportTraceServiceRequest:
    if kind == "application/x-protobuf":
        return ExportTraceServiceRequest.FromString(content)
    if kind != "application/json":
        raise ValueError(f"{kind} is not OTLP")
    said = json.loads(content)
    _ids_as_bytes(said)
    return json_format.ParseDict(said, ExportTraceServiceRequest())


def _ids_as_bytes(said: Any) -> None:
    """OTLP writes ids in hexadecimal where JSON of protocol buffers has base64."""
    if isinstance(said, list):
        for each in said:
            _ids_as_bytes(each)
    elif isinstance(said, dict):
        for key, value in said.items():
            if key in _IDS:
                said[key] = base64.b64encode(bytes.fromhex(value)).decode()
            else:
                _ids_as_bytes(value)
