"""One trace from the application through the services to a real Triton, at a real endpoint."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass

import grpc
import pytest
import pytest_asyncio

from lotwise.platform.launcher import Platform
from lotwise.platform.ports import SERVICES, PlatformPorts
from lotwise.runtime import tracing
from lotwise.v1 import predict_pb2, referral_pb2
from tests.support.otlp import OtlpEndpoint, Received
from tests.support.stubs import Stubs
from tests.support.tiles import png
from tests.support.triton import ROOT, triton_home

APPLICATION = """
import asyncio, json, sys
from opentelemetry import trace
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from lotwise import AsyncClient, Client
from lotwise.core.errors import InvalidTile

uncertainty, referral, good, bad = sys.argv[1:]
provider = TracerProvider(resource=Resource.create({"service.name": "laboratory"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("application")
addresses = {"uncertainty": uncertainty, "referral": referral}
told = {}

def note(name, span, answer):
    told[name] = [trace.format_trace_id(span.get_span_context().trace_id), answer]

with Client(**addresses) as lotwise:
    for number in range(5):
        with tracer.start_as_current_span("measure") as span:
            note(f"sync {number}", span, lotwise.refer(good).provenance.request_id)
    with tracer.start_as_current_span("measure") as span:
        try:
            lotwise.refer(bad)
        except InvalidTile as error:
            note("bad", span, error.reason)
    with tracer.start_as_current_span("measure") as span:
        tiles = [good] * 49 + [bad]
        answers = list(lotwise.refer_many(tiles, lot_id="R20-of-a-customer"))
        note("stream", span, [getattr(each, "reason", None) for each in answers])

async def main():
    async with AsyncClient(**addresses) as lotwise:
        for number in range(5):
            with tracer.start_as_current_span("measure") as span:
                answer = await lotwise.refer(good)
                note(f"async {number}", span, answer.provenance.request_id)
        with tracer.start_as_current_span("measure") as span:
            tiles = [good] * 2
            answers = [each async for each in lotwise.refer_many(tiles)]
            note("stream of async", span, len(answers))

asyncio.run(main())
provider.shutdown()
print(json.dumps(told))
"""
TRITON_SPANS = {"InferRequest", "committee", "compute"}


@dataclass
class Traced:
    platform: Platform
    endpoint: OtlpEndpoint
    stubs: Stubs


@pytest.fixture(scope="module")
def endpoint():
    with OtlpEndpoint() as listening:
        yield listening


@pytest_asyncio.fixture(scope="module")
async def traced(repository, tmp_path_factory, endpoint):
    state = tmp_path_factory.mktemp("platform")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with Platform(repository, state, PlatformPorts.free(), triton_home(), "triton") as up:
            stubs = Stubs({name: up.ports.address(name) for name in SERVICES})
            yield Traced(up, endpoint, stubs)
            await stubs.close()


@pytest.fixture(scope="module")
def told(traced, pictures, tmp_path_factory):
    """What an application that uses OpenTelemetry and the shipped clients was told, and where."""
    folder = tmp_path_factory.mktemp("tiles of a customer")
    good, bad = folder / "R20-of-a-customer.png", folder / "broken-of-a-customer.png"
    content = png(pictures[0])
    good.write_bytes(content)
    bad.write_bytes(content[: len(content) // 2])
    (folder / "lot.json").write_text('{"lot_id": "R20-of-a-customer", "um_per_px": 1.0}')
    address = traced.platform.ports.address
    ended = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-c", APPLICATION),
            *(address("uncertainty"), address("referral"), str(good), str(bad)),
        ],
        check=True,
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": traced.endpoint.url},
    )
    return json.loads(ended.stdout)


def complete(*names: str):
    """Whether as many spans of these names as are given have come."""

    def check(spans: list[Received]) -> bool:
        have = [each.name for each in spans]
        return all(have.count(name) >= names.count(name) for name in names)

    return check


def path(spans: list[Received], leaf: str) -> list[tuple[str, str, str]]:
    """Service, name and kind from the root to the one span of that name of a service."""
    by_id = {each.span_id: each for each in spans}
    (at,) = [each for each in spans if each.name == leaf]
    steps = [(at.service, at.name, at.kind)]
    while at.parent_id:
        at = by_id[at.parent_id]
        steps.insert(0, (at.service, at.name, at.kind))
    return steps


@pytest.mark.parametrize("client", ["sync", "async"])
def test_one_call_is_one_trace_from_the_application_to_triton(traced, told, client):
    asked = [each for name, each in told.items() if name.startswith(client)]
    assert [trace_id for trace_id, _ in asked] == [request_id for _, request_id in asked]
    spans = traced.endpoint.wait_for_one(
        [trace_id for trace_id, _ in asked], complete("measure", *TRITON_SPANS, "decode")
    )
    assert traced.endpoint.refused == []
    assert path(spans, "compute") == [
        ("laboratory", "measure", "INTERNAL"),
        ("laboratory", "lotwise.v1.ReferralService/Decide", "CLIENT"),
        ("lotwise-referral", "lotwise.v1.ReferralService/Decide", "SERVER"),
        ("lotwise-referral", "lotwise.v1.UncertaintyService/Assess", "CLIENT"),
        ("lotwise-uncertainty", "lotwise.v1.UncertaintyService/Assess", "SERVER"),
        ("lotwise-uncertainty", "infer", "CLIENT"),
        ("triton", "InferRequest", "SERVER"),
        ("triton", "committee", "SERVER"),
        ("triton", "compute", "SERVER"),
    ]
    assert path(spans, "decode")[-2:] == [
        ("lotwise-uncertainty", "lotwise.v1.UncertaintyService/Assess", "SERVER"),
        ("lotwise-uncertainty", "decode", "INTERNAL"),
    ]
    assert len(spans) == 10
    assert not any(each.failed for each in spans)
    said = {(each.service, each.name): each.attributes for each in spans}
    assert said["lotwise-referral", "lotwise.v1.ReferralService/Decide"] == {
        "rpc.system": "grpc",
        "rpc.service": "lotwise.v1.ReferralService",
        "rpc.method": "Decide",
        "rpc.grpc.status_code": 0,
    }
    inferred = said["lotwise-uncertainty", "infer"]
    assert (inferred["lotwise.model"], inferred["lotwise.batch"]) == ("committee", 1)


def test_a_bad_tile_leaves_an_error_with_its_reason_wherever_it_went(traced, told):
    trace_id, reason = told["bad"]
    assert reason == "TILE_TRUNCATED"
    spans = traced.endpoint.wait_for(trace_id, complete("measure", "decode"))
    failed = {(each.service, each.name, each.kind) for each in spans if each.failed}
    calls = {each.name for each in spans if each.kind == "SERVER"}
    assert calls == {"lotwise.v1.ReferralService/Decide", "lotwise.v1.UncertaintyService/Assess"}
    assert failed == {
        ("laboratory", "lotwise.v1.ReferralService/Decide", "CLIENT"),
        ("lotwise-referral", "lotwise.v1.ReferralService/Decide", "SERVER"),
        ("lotwise-referral", "lotwise.v1.UncertaintyService/Assess", "CLIENT"),
        ("lotwise-uncertainty", "lotwise.v1.UncertaintyService/Assess", "SERVER"),
        ("lotwise-uncertainty", "decode", "INTERNAL"),
    }
    for each in spans:
        if each.failed:
            assert each.attributes["error.type"] == each.span.status.message == reason
        if each.kind == "SERVER":
            code = grpc.StatusCode.INVALID_ARGUMENT.value[0]
            assert each.attributes["rpc.grpc.status_code"] == code


def test_a_stream_is_one_span_with_a_bounded_number_below_it(traced, told):
    trace_id, reasons = told["stream"]
    assert reasons == [None] * 49 + ["TILE_TRUNCATED"]
    kept = tracing.KEPT + 1  # and number 32
    names = ["lotwise.v1.ReferralService/DecideStream"] * 2 + ["infer"] * kept
    spans = traced.endpoint.wait_for(trace_id, complete("measure", *names))
    ours = [each for each in spans if each.service != "triton"]
    tiles = [each for each in spans if each.name == "tile"]
    assert sorted(each.attributes["lotwise.number"] for each in tiles) == [*range(1, 17), 32]
    # The application's and two of the call; of a tile: itself, two of Assess, and two below.
    assert len(ours) == 3 + kept * (1 + 2 + 2)
    assert len(spans) - len(ours) <= kept * len(TRITON_SPANS)
    inferences = {each.span_id for each in ours if each.name == "infer"}
    asked = [each for each in spans if each.name == "InferRequest"]
    assert asked  # Triton loses some
    assert {each.parent_id for each in asked} <= inferences
    (stream,) = [each for each in spans if "DecideStream" in each.name and each.kind == "SERVER"]
    assert not stream.failed
    assert stream.attributes["lotwise.tiles"] == 50
    assert stream.attributes["lotwise.tiles.failed"] == 1
    (event,) = stream.span.events
    assert event.name == "tile failed"
    said = {each.key: each.value for each in event.attributes}
    assert said["lotwise.number"].int_value == 50
    assert said["error.type"].string_value == "TILE_TRUNCATED"


def test_traces_say_nothing_of_names_and_pictures(traced, told):
    for trace_id, _ in told.values():
        traced.endpoint.wait_for(trace_id, complete("measure"))
    everything = "\n".join(f"{each.resource} {each.span}" for each in traced.endpoint.spans)
    assert "TILE_TRUNCATED" in everything
    for private in ("customer", "R20", "broken", ".png"):
        assert private not in everything


def test_an_asynchronous_stream_is_one_trace(traced, told):
    trace_id, answers = told["stream of async"]
    assert answers == 2
    spans = traced.endpoint.wait_for(trace_id, complete("measure", "infer", "infer"))
    assert {"laboratory", "lotwise-referral", "lotwise-uncertainty"} <= {
        each.service for each in spans
    }
    assert [each.name for each in spans if not each.parent_id] == ["measure"]


async def test_the_callers_sampled_flag_is_honoured_by_all(traced, make_tile):
    answered = {"00": [], "01": []}
    for number in range(10):
        flags = f"{number % 2:02d}"
        answer = await traced.stubs.referral.Decide(
            referral_pb2.DecideRequest(tile=make_tile()),
            metadata=(("traceparent", f"00-{0xABC0 + number:032x}-{'1' * 16}-{flags}"),),
        )
        answered[flags].append(answer.provenance.request_id)
    assert answered["00"] == [f"{0xABC0 + number:032x}" for number in range(0, 10, 2)]
    # What was asked later has come, so what is to come of the others would have, too.
    assert traced.endpoint.wait_for_one(answered["01"][2:], complete("decode", *TRITON_SPANS))
    assert [traced.endpoint.trace(trace_id) for trace_id in answered["00"]] == [[]] * 5


async def test_an_endpoint_that_hangs_holds_nothing_up_and_gets_its_spans_later(traced, make_tile):
    request = predict_pb2.PredictRequest(tile=make_tile())
    before = await traced.stubs.predict.Predict(request)
    traced.endpoint.answering.clear()
    try:
        answers = [await traced.stubs.predict.Predict(request, timeout=5) for _ in range(20)]
    finally:
        traced.endpoint.answering.set()
    assert [each.value for each in answers] == pytest.approx([before.value] * 20)
    last = answers[-1].provenance.request_id
    names = {"lotwise.v1.PredictService/Predict", "decode", "infer"}
    assert {each.name for each in traced.endpoint.wait_for(last, complete(*names))} >= names


def test_logs_say_in_which_span_a_line_was_written(traced, told):
    trace_id, _ = told["sync 0"]
    spans = traced.endpoint.wait_for(trace_id, complete("lotwise.v1.ReferralService/Decide"))
    log = traced.platform.log_path("referral").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in log.splitlines() if trace_id in line]
    (finished,) = [line for line in lines if line["message"] == "call finished"]
    assert finished["trace_id"] == finished["request_id"] == trace_id
    (served,) = [each for each in spans if each.kind == "SERVER" and "Decide" in each.name]
    assert finished["span_id"] == served.span_id


def test_the_document_lists_the_spans_that_there_are(traced, told):
    documented = (ROOT / "docs/tracing.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([^`]+)` \|", documented, re.MULTILINE))
    calls = {"lotwise.v1.<Service>/<Method>"}
    assert rows == {tracing.DECODE, tracing.INFER, tracing.TILE, *calls, "InferRequest", "compute"}
    models = set(traced.platform.triton.models)
    for each in traced.endpoint.spans:
        if each.service.startswith("lotwise-"):
            assert each.name in rows or re.fullmatch(r"lotwise\.v1\.\w+Service/\w+", each.name)
        elif each.service == "triton":
            assert each.name in rows | models
