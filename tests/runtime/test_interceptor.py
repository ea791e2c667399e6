import asyncio
import logging

import grpc
import pytest
import pytest_asyncio

from lotwise.core import errors
from lotwise.runtime.request import current_request
from lotwise.runtime.status import reason_of
from lotwise.v1 import predict_pb2
from tests.runtime.tiny import request, tiny

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = (("traceparent", f"00-{TRACE}-{SPAN}-01"),)
FAILURES = {
    "bad": errors.InvalidTile("TILE_EMPTY", "The tile is empty."),
    "unknown": errors.NotFound("MODEL_UNKNOWN", "No model is named 'größer'."),
    "overloaded": errors.EngineOverloaded("The queue is full."),
    "failed": errors.InferenceFailed("The engine refused it."),
}
CRASHES = (RuntimeError, KeyError, TimeoutError, AssertionError, StopIteration, OSError)


class Handler:
    """Does what the tile's name says; a result's value is the time that was left."""

    def __init__(self):
        self.waiting, self.cancelled = asyncio.Event(), asyncio.Event()

    async def __call__(self, asked):
        name = asked.tile.tile_id
        if name in FAILURES:
            raise FAILURES[name]
        for kind in CRASHES:
            if name == kind.__name__:
                raise kind("secret of the inside")
        if name == "wait":
            self.waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        current = current_request()
        remaining = current.remaining_s()
        response = predict_pb2.PredictResponse(
            tile_id=name, value=-1 if remaining is None else remaining
        )
        response.provenance.request_id = current.trace.trace_id
        response.lot_id = f"priority {current.priority}"
        return response


@pytest_asyncio.fixture(scope="module")
async def served():
    async with tiny(Handler()) as made:
        yield made


@pytest.fixture
def metrics(served):
    registry = served.running._service.registry  # what /metrics shows, without the page

    def value(name, **labels):
        return registry.get_sample_value(name, labels) or 0

    return value


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


async def test_a_request_carries_the_callers_trace_and_its_answer_a_new_span_of_it(served):
    call = served.stub.Predict(request("a"), metadata=HEADER)
    assert (await call).provenance.request_id == TRACE
    version, trace, span, flags = dict(await call.initial_metadata())["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert span != SPAN


@pytest.mark.parametrize("header", [None, "garbage", f"00-{'0' * 32}-{SPAN}-01"])
async def test_without_a_valid_trace_a_request_gets_its_own(served, header):
    metadata = () if header is None else (("traceparent", header),)
    call = served.stub.Predict(request("a"), metadata=metadata)
    trace = (await call).provenance.request_id
    assert len(trace) == 32
    assert set(trace) != {"0"}
    assert trace in dict(await call.initial_metadata())["traceparent"]


async def test_requests_at_once_keep_their_traces_apart(served):
    traces = [f"{number:032x}" for number in range(1, 21)]
    answers = await asyncio.gather(
        *(
            served.stub.Predict(request("a"), metadata=(("traceparent", f"00-{t}-{SPAN}-01"),))
            for t in traces
        )
    )
    assert [answer.provenance.request_id for answer in answers] == traces


async def test_the_deadline_of_the_caller_is_that_of_the_request(served):
    assert (await served.stub.Predict(request("a"))).value == -1
    # gRPC rounds it up a little on the wire.
    assert 30 < (await served.stub.Predict(request("a"), timeout=50)).value < 60


@pytest.mark.parametrize("name", FAILURES)
async def test_a_domain_error_becomes_its_status_with_reason_and_trace(served, name):
    call = served.stub.Predict(request(name), metadata=HEADER)
    refused = await refusal(call)
    code = {
        "bad": grpc.StatusCode.INVALID_ARGUMENT,
        "unknown": grpc.StatusCode.NOT_FOUND,
        "overloaded": grpc.StatusCode.RESOURCE_EXHAUSTED,
        "failed": grpc.StatusCode.UNKNOWN,
    }[name]
    assert (refused.code(), reason_of(refused)) == (code, FAILURES[name].reason)
    assert refused.details() == FAILURES[name].message
    assert TRACE in dict(await call.initial_metadata())["traceparent"]


@pytest.mark.parametrize("name", [kind.__name__ for kind in CRASHES])
async def test_an_unexpected_failure_tells_the_request_id_and_nothing_of_its_inside(
    served, caplog, name
):
    refused = await refusal(served.stub.Predict(request(name), metadata=HEADER))
    assert (refused.code(), reason_of(refused)) == (grpc.StatusCode.UNKNOWN, "UNEXPECTED")
    assert TRACE in refused.details()
    told = f"{refused.details()} {refused.trailing_metadata()}"
    for inside in ("secret", "Traceback", name, ".py"):
        assert inside not in told
    assert any(record.exc_info for record in caplog.records)  # the log has the cause


async def test_calls_are_counted_under_the_status_that_they_ended_with(served, metrics):
    def counted(code):
        return metrics("lotwise_rpc_requests_total", method="Predict", code=code)

    names = {"a": "OK", "bad": "INVALID_ARGUMENT", "overloaded": "RESOURCE_EXHAUSTED"}
    names["KeyError"] = "UNKNOWN"
    before = {code: counted(code) for code in names.values()}
    for name, code in names.items():
        if code == "OK":
            await served.stub.Predict(request(name))
        else:
            await refusal(served.stub.Predict(request(name)))
    assert {code: counted(code) - before[code] for code in before} == dict.fromkeys(before, 1)
    assert metrics("lotwise_rpc_in_flight", method="Predict") == 0


async def test_every_call_leaves_one_log_line(served, caplog):
    with caplog.at_level(logging.INFO, logger="lotwise"):
        await served.stub.Predict(request("a"))
        await refusal(served.stub.Predict(request("bad")))
    lines = [record for record in caplog.records if record.message == "call finished"]
    assert [(line.method, line.code, line.reason) for line in lines] == [
        ("Predict", "OK", None),
        ("Predict", "INVALID_ARGUMENT", "TILE_EMPTY"),
    ]


async def stream(served, *names, **options):
    call = served.stub.PredictStream(
        (predict_pb2.PredictStreamRequest(request=request(name)) for name in names), **options
    )
    return [answer async for answer in call]


async def test_in_a_stream_errors_stay_with_their_tiles_and_the_stream_ends_well(served, metrics):
    before = metrics("lotwise_rpc_requests_total", method="PredictStream", code="OK")
    names = ("a", "bad", "KeyError", "b")
    answers = await stream(served, *names, metadata=HEADER)
    assert [answer.tile_id for answer in answers] == list(names)
    assert [a.error.reason for a in answers] == ["", "TILE_EMPTY", "UNEXPECTED", ""]
    assert TRACE in answers[2].error.message
    assert "secret" not in answers[2].error.message
    assert {answers[i].result.provenance.request_id for i in (0, 3)} == {TRACE}
    assert metrics("lotwise_rpc_requests_total", method="PredictStream", code="OK") == before + 1
    assert metrics("lotwise_tile_errors_total", reason="TILE_EMPTY") >= 1


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("method", ["Predict", "PredictStream"])
async def test_work_for_a_caller_who_left_is_called_off_and_counted(method):
    handler = Handler()
    async with tiny(handler) as served:
        value = served.running._service.registry.get_sample_value
        if method == "Predict":
            call = asyncio.ensure_future(served.stub.Predict(request("wait")))
        else:
            call = asyncio.create_task(stream(served, "a", "wait", "b"))
        await asyncio.wait_for(handler.waiting.wait(), 20)
        assert value("lotwise_rpc_in_flight", {"method": method}) == 1
        call.cancel()
        await asyncio.wait_for(handler.cancelled.wait(), 20)
        labels = {"method": method, "code": "CANCELLED"}
        await until(lambda: value("lotwise_rpc_requests_total", labels) == 1)
        assert value("lotwise_rpc_in_flight", {"method": method}) == 0


async def test_a_reader_who_stops_reading_a_long_stream_does_not_hold_its_work(caplog):
    handler = Handler()
    async with tiny(handler) as served:
        value = served.running._service.registry.get_sample_value

        async def endless():
            while True:
                yield predict_pb2.PredictStreamRequest(request=request("a"))

        call = served.stub.PredictStream(endless())
        for _ in range(3):
            assert (await call.read()).tile_id == "a"
        call.cancel()
        labels = {"method": "PredictStream", "code": "CANCELLED"}
        await until(lambda: value("lotwise_rpc_requests_total", labels) == 1)
        assert value("lotwise_rpc_in_flight", {"method": "PredictStream"}) == 0
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("metadata", "priority"),
    [((), 1), ((("lotwise-priority", "2"),), 2), ((("lotwise-priority", "0"),), 1)],
)
async def test_a_caller_may_say_that_it_can_wait(served, metadata, priority):
    answer = await served.stub.Predict(request("good"), metadata=metadata)
    assert answer.lot_id == f"priority {priority}"
