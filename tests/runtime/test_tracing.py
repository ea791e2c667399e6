"""Spans of a small service in this process, at a real endpoint."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import grpc
import pytest
from prometheus_client import CollectorRegistry

from lotwise.core.errors import Contradiction, InvalidTile
from lotwise.runtime import tracing
from lotwise.runtime.request import current_request
from lotwise.runtime.triton.installation import TritonInstallation
from lotwise.runtime.triton.supervisor import TritonServer
from lotwise.v1 import predict_pb2, predict_pb2_grpc
from tests.runtime.tiny import request, tiny
from tests.support.otlp import OtlpEndpoint
from tests.support.ports import free_port
from tests.support.triton import ROOT

PREDICT = "lotwise.v1.PredictService/Predict"
NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens
CALLER = "0af7651916cd43dd8448eb211c80319c"
QUIET = """
import sys
import lotwise.explain.__main__, lotwise.predict.__main__
import lotwise.referral.__main__, lotwise.uncertainty.__main__
from lotwise import Client
from lotwise.runtime import tracing

tracing.start("quiet")
assert not tracing.is_on()
Client().close()
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch):
    for name in ("ENDPOINT", "TRACES_ENDPOINT", "PROTOCOL", "TRACES_PROTOCOL"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)


@pytest.fixture
def endpoint():
    with OtlpEndpoint() as listening:
        yield listening


class Recording:
    """Traces are on in this process; `counts` is what a service's metrics say of them."""

    def __init__(self):
        self.registry = CollectorRegistry()
        tracing.register(self.registry)

    def count(self, what):
        return self.registry.get_sample_value(f"lotwise_spans_{what}_total")


@pytest.fixture
def record(monkeypatch):
    @asynccontextmanager
    async def recording(url, flush_s=20.0, **environment):
        # Sent at the end alone, unless a test says otherwise.
        environment = {"OTEL_BSP_SCHEDULE_DELAY": "600000", **environment}
        for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": url, **environment}.items():
            monkeypatch.setenv(name, value)
        tracing.start("lotwise-tiny")
        try:
            yield Recording()
        finally:
            await tracing.stop(flush_s)

    return recording


async def answer(asked):
    name = asked.tile.tile_id
    if name == "bad":
        raise InvalidTile("TILE_EMPTY", "The tile secret.png is empty.")
    if name == "broken":
        raise KeyError("secret of the inside")
    if name == "many":
        for _ in range(40):
            with tracing.span(tracing.INFER), tracing.span(tracing.DECODE):
                pass
    response = predict_pb2.PredictResponse(tile_id=name)
    response.provenance.request_id = current_request().trace.trace_id
    return response


async def ask(served, name, *metadata):
    """The request id; of a call that failed None."""
    try:
        answered = await served.stub.Predict(request(name), metadata=metadata)
    except grpc.aio.AioRpcError:
        return None
    return answered.provenance.request_id


def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded():
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUIET], check=True, capture_output=True, text=True
    )
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "http://c:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c/otlp/"}, "http://c/otlp/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/here"}, "http://c/here"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, None),
    ],
)
def test_traces_go_where_the_standard_variables_say(environment, url):
    assert tracing.traces_url(environment) == url


def test_another_protocol_is_refused_at_the_start(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(Contradiction, match="4318") as refused:
        tracing.start("tiny")
    assert refused.value.reason == "TRACING_INVALID"
    assert not tracing.is_on()


def test_a_missing_extra_is_named_at_the_start(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", NOBODY)
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "lotwise.runtime.tracing_export", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(Contradiction, match="extra `tracing`") as refused:
        tracing.start("tiny")
    assert refused.value.reason == "TRACING_MISSING"


async def test_what_is_left_is_sent_at_the_end_and_counted(endpoint, record):
    async with record(endpoint.url) as recording:
        async with tiny(answer) as served:
            trace_id = await ask(served, "good")
        assert endpoint.spans == []
        assert (recording.count("ended"), recording.count("exported")) == (1, 0)
    (span,) = endpoint.spans
    assert (span.trace_id, span.name, span.service) == (trace_id, PREDICT, "lotwise-tiny")
    assert endpoint.requests == ["application/json"]
    assert recording.count("exported") == 1


async def test_a_service_that_is_told_to_stop_sends_what_is_left(endpoint, tmp_path):
    gate = tmp_path / "gate"
    gate.touch()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "tests.runtime.tiny", str(gate)),
        cwd=ROOT,
        env={
            **os.environ,
            "LOTWISE_TINY_PORT": str(port := free_port()),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.url,
            "OTEL_BSP_SCHEDULE_DELAY": "600000",
        },
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = predict_pb2_grpc.PredictServiceStub(channel)
            await stub.Predict(request("any"), wait_for_ready=True, timeout=60)
        assert endpoint.spans == []
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert [(each.service, each.name) for each in endpoint.spans] == [("lotwise-tiny", PREDICT)]


async def test_an_endpoint_that_is_down_changes_no_answer_and_is_logged(record, caplog):
    async with tiny(answer) as served:
        without = [await ask(served, name) is None for name in ("good", "bad", "many")]
        async with record(NOBODY, 1.0, OTEL_EXPORTER_OTLP_TIMEOUT="1") as recording:
            asked = [await ask(served, name) is None for name in ("good", "bad", "many")]
    assert asked == without == [False, True, False]
    assert recording.count("ended") > recording.count("exported") == 0
    (line,) = [each for each in caplog.records if each.message == "spans were lost"]
    assert line.spans == recording.count("ended")
    assert line.levelno == logging.WARNING


async def test_spans_that_do_not_fit_into_the_queue_are_dropped_and_counted(
    endpoint, record, caplog
):
    queue = {"OTEL_BSP_MAX_QUEUE_SIZE": "4", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4"}
    endpoint.answering.clear()
    async with record(endpoint.url, **queue) as recording:
        async with tiny(answer) as served:
            assert None not in [await ask(served, "good") for _ in range(20)]
        endpoint.answering.set()
    assert recording.count("ended") == 20
    assert 0 < recording.count("exported") == len(endpoint.spans) < 20
    assert any("dropping" in each.message for each in caplog.records)


async def test_of_many_spans_of_one_name_the_first_and_a_few_later_are_recorded(endpoint, record):
    async with record(endpoint.url), tiny(answer) as served:
        await ask(served, "many")
    kept = [*range(1, tracing.KEPT + 1), 32]
    inner = [each for each in endpoint.spans if each.name == tracing.INFER]
    assert [each.attributes["lotwise.number"] for each in inner] == kept
    # Below what is left out nothing is recorded, either.
    below = [each for each in endpoint.spans if each.name == tracing.DECODE]
    assert [each.parent_id for each in below] == [each.span_id for each in inner]
    assert len(endpoint.spans) == 1 + 2 * len(kept)


@pytest.mark.parametrize(("name", "reason"), [("bad", "TILE_EMPTY"), ("broken", "UNEXPECTED")])
async def test_a_failure_leaves_its_reason_and_nothing_of_its_message(
    endpoint, record, name, reason
):
    async with record(endpoint.url), tiny(answer) as served:
        assert await ask(served, name) is None
    (span,) = endpoint.spans
    assert span.failed
    assert span.attributes["error.type"] == span.span.status.message == reason
    assert "secret" not in str(span.span)


async def test_a_call_that_its_caller_left_is_cancelled_not_failed(endpoint, record):
    waiting = asyncio.Event()

    async def wait(_):
        with tracing.span(tracing.INFER):
            waiting.set()
            await asyncio.Event().wait()

    async with record(endpoint.url), tiny(wait) as served:
        call = asyncio.ensure_future(served.stub.Predict(request("any")))
        await asyncio.wait_for(waiting.wait(), 20)
        call.cancel()
    below, span = endpoint.spans
    assert span.attributes["rpc.grpc.status_code"] == grpc.StatusCode.CANCELLED.value[0]
    assert [each.name for each in below.span.events] == ["cancelled"]
    assert not span.failed
    assert not below.failed


@pytest.mark.parametrize(("flags", "spans"), [(None, 0), ("00", 0), ("01", 1)])
async def test_the_sampler_decides_where_the_caller_does_not(endpoint, record, flags, spans):
    header = [("traceparent", f"00-{CALLER}-{'1' * 16}-{flags}")] if flags else []
    recording = record(endpoint.url, OTEL_TRACES_SAMPLER="parentbased_always_off")
    async with recording, tiny(answer) as served:
        trace_id = await ask(served, "many", *header)
    assert len(trace_id) == 32
    assert len([each for each in endpoint.spans if each.name == PREDICT]) == spans
    assert bool(endpoint.spans) == bool(spans)
    if flags:
        assert trace_id == CALLER
    for each in endpoint.spans:
        assert each.trace_id == CALLER
        assert each.name != PREDICT or each.parent_id == "1" * 16


@pytest.mark.parametrize("url", [None, "http://collector:4318"])
def test_triton_is_told_where_traces_go(monkeypatch, tmp_path, url):
    if url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "token=t")
    installation = TritonInstallation(tmp_path, tmp_path / "tritonserver", (), tmp_path, tmp_path)
    server = TritonServer(installation, tmp_path, tmp_path)
    told = [word for word in server.command() if word.startswith("--trace-config")]
    if url is None:
        assert told == []
    else:
        assert f"--trace-config=opentelemetry,url={url}/v1/traces" in told
        assert "--trace-config=rate=0" in told
        assert installation.environment()["OTEL_EXPORTER_OTLP_HEADERS"] == "token=t"
