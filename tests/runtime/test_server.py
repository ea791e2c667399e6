import asyncio
import json
import os
import signal
import sys
import urllib.request

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from lotwise.core.errors import InvalidTile
from lotwise.runtime.server import LIVE
from lotwise.runtime.status import error_from_call
from lotwise.v1 import predict_pb2, predict_pb2_grpc
from tests.runtime.tiny import NAME, request, tiny
from tests.support.triton import ROOT

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
TRACE = "0af7651916cd43dd8448eb211c80319c"


async def answer(asked):
    if asked.tile.tile_id == "bad":
        raise InvalidTile("TILE_EMPTY", "The tile is empty.")
    return predict_pb2.PredictResponse(tile_id=asked.tile.tile_id)


@pytest_asyncio.fixture(scope="module")
async def served():
    async with tiny(answer, max_tile_bytes=1000) as made:
        yield made


async def metrics(running):
    """Samples of /metrics: (name, labels) -> value."""

    def read():
        url = f"http://127.0.0.1:{running.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as page:
            return page.read().decode()

    families = text_string_to_metric_families(await asyncio.to_thread(read))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.parametrize("asked", ["", NAME])
async def test_health_follows_what_the_service_depends_on(asked):
    up = False

    async def ready():
        return up

    async with tiny(answer, ready) as served:
        stub = health_pb2_grpc.HealthStub(served.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=asked), timeout=20)
        assert (await watch.read()).status == NOT_SERVING
        assert (await metrics(served.running))["lotwise_ready", ()] == 0
        for up, status in ((True, SERVING), (False, NOT_SERVING), (True, SERVING)):
            assert (await watch.read()).status == status
            seen = await metrics(served.running)
            assert seen["lotwise_ready", ()] == up
            assert seen["lotwise_dependency_up", (("dependency", "something"),)] == up
        # Health tells; it does not keep calls from being tried.
        assert (await served.stub.Predict(request("a"))).tile_id == "a"


async def test_a_port_of_its_own_tells_health_and_nothing_else():
    up = True

    async def ready():
        return up

    async with tiny(answer, ready, health_port=0) as served:
        where = f"127.0.0.1:{served.running.health_port}"
        async with grpc.aio.insecure_channel(where) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(service=NAME), timeout=20
            )
            while (await watch.read()).status != SERVING:
                pass
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await predict_pb2_grpc.PredictServiceStub(channel).Predict(request("a"))
            assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
            up = False
            assert (await watch.read()).status == NOT_SERVING
            watch.cancel()


async def test_a_health_port_that_is_taken_does_not_start(served):
    with pytest.raises(RuntimeError):
        async with tiny(answer, health_port=served.running.port):
            pass


async def test_a_service_that_waits_for_another_is_alive_and_so_is_one_that_drains():
    async def never():
        return False

    gate = Gate()
    async with tiny(gate, never, drain_s=20, health_port=0) as served:
        where = f"127.0.0.1:{served.running.health_port}"
        async with grpc.aio.insecure_channel(where) as channel:
            stub = health_pb2_grpc.HealthStub(channel)

            async def status(name):
                return (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status

            told = [await status(name) for name in ("", NAME, LIVE)]
            assert told == [NOT_SERVING, NOT_SERVING, SERVING]
            slow = asyncio.ensure_future(served.stub.Predict(request("slow")))
            await asyncio.wait_for(gate.entered.wait(), 20)
            stopping = asyncio.create_task(served.running.stop())
            await asyncio.wait_for(until_refused(served.running.port), 20)
            assert (await status(NAME), await status(LIVE)) == (NOT_SERVING, SERVING)
            gate.opened.set()
            await slow
            await stopping


async def test_health_of_a_service_that_is_not_here_is_unknown(served):
    stub = health_pb2_grpc.HealthStub(served.channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Check(health_pb2.HealthCheckRequest(service="lotwise.v1.Other"))
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_service_and_describes_its_messages(served):
    stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=NAME),
    ]
    listed, described = [a async for a in stub.ServerReflectionInfo(iter(questions))]
    names = {service.name for service in listed.list_services_response.service}
    assert {NAME, "grpc.health.v1.Health"} <= names
    assert any(
        b"PredictRequest" in file
        for file in described.file_descriptor_response.file_descriptor_proto
    )


async def test_metrics_count_calls_by_method_and_status():
    async with tiny(answer) as served:
        await served.stub.Predict(request("a"))
        with pytest.raises(grpc.aio.AioRpcError):
            await served.stub.Predict(request("bad"))
        await served.stub.Predict(request("b"))
        seen = await metrics(served.running)

    def requests(code):
        return seen["lotwise_rpc_requests_total", (("code", code), ("method", "Predict"))]

    assert (requests("OK"), requests("INVALID_ARGUMENT")) == (2, 1)
    assert seen["lotwise_rpc_duration_seconds_count", (("method", "Predict"),)] == 3
    assert seen["lotwise_rpc_in_flight", (("method", "Predict"),)] == 0


async def test_a_message_beyond_the_limit_is_refused_and_never_internal(served):
    # max_tile_bytes is checked with a reason, so its message must come through.
    fitting = await served.stub.Predict(request("a", file=bytes(1001)))
    assert fitting.tile_id == "a"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.stub.Predict(request("b", file=bytes(3 * 2**20)))
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert isinstance(error_from_call(refused.value, "tiny"), InvalidTile)
    assert (await served.stub.Predict(request("c"))).tile_id == "c"


async def test_a_second_service_on_the_same_port_does_not_start(served):
    with pytest.raises(RuntimeError):
        async with tiny(answer, port=served.running.port):
            pass
    assert (await served.stub.Predict(request("a"))).tile_id == "a"


class Gate:
    """Lets the call "slow" through once it is opened."""

    def __init__(self):
        self.entered, self.opened = asyncio.Event(), asyncio.Event()
        self.left = False

    async def __call__(self, asked):
        if asked.tile.tile_id == "slow":
            self.entered.set()
            try:
                await self.opened.wait()
            finally:
                self.left = True
        return await answer(asked)


async def until_refused(port):
    """Returns once a new call ends with UNAVAILABLE.

    One that comes in the moment in which gRPC closes may end with CANCELLED, or lie there.
    """
    code = None
    while code != grpc.StatusCode.UNAVAILABLE:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = predict_pb2_grpc.PredictServiceStub(channel)
            try:
                await stub.Predict(request("new"), timeout=2)
            except grpc.aio.AioRpcError as refused:
                code = refused.code()


async def test_a_service_that_stops_finishes_calls_in_flight_and_takes_no_new_ones():
    gate = Gate()
    async with tiny(gate, drain_s=20) as served:
        health = health_pb2_grpc.HealthStub(served.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=NAME), timeout=20)
        while (await watch.read()).status != SERVING:
            pass
        slow = asyncio.ensure_future(served.stub.Predict(request("slow")))
        await asyncio.wait_for(gate.entered.wait(), 20)

        stopping = asyncio.create_task(served.running.stop())
        assert (await watch.read()).status == NOT_SERVING
        watch.cancel()
        await asyncio.wait_for(until_refused(served.running.port), 20)
        assert not slow.done()
        assert not stopping.done()
        gate.opened.set()
        assert (await slow).tile_id == "slow"
        await stopping


async def test_calls_are_taken_for_a_moment_after_health_said_that_it_ends():
    async with tiny(answer, drain_delay_s=1.0) as served:
        health = health_pb2_grpc.HealthStub(served.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=NAME), timeout=20)
        while (await watch.read()).status != SERVING:
            pass
        stopping = asyncio.create_task(served.running.stop())
        assert (await watch.read()).status == NOT_SERVING
        assert (await served.stub.Predict(request("a"))).tile_id == "a"
        watch.cancel()
        await stopping


async def until_aged(channel):
    """Returns once the server wants no more calls over the channel's connection."""
    ready = grpc.ChannelConnectivity.READY
    while channel.get_state() == ready:
        await channel.wait_for_state_change(ready)


async def test_a_stream_that_is_older_than_a_connection_may_be_is_finished():
    async with tiny(answer, max_connection_age_s=0.2) as served:
        stream = served.stub.PredictStream(timeout=20)
        for name in ("before", "after"):
            await stream.write(predict_pb2.PredictStreamRequest(request=request(name)))
            assert (await stream.read()).tile_id == name
            await until_aged(served.channel)
        await stream.done_writing()
        assert await stream.read() == grpc.aio.EOF
        assert (await served.stub.Predict(request("over a new one"))).tile_id == "over a new one"


async def test_a_grace_cuts_off_what_outlasts_it():
    async with tiny(answer, max_connection_age_s=0.2, max_connection_age_grace_s=0.2) as served:
        stream = served.stub.PredictStream(timeout=20)
        with pytest.raises(grpc.aio.AioRpcError) as cut:
            await stream.read()
    assert cut.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_call_that_outlasts_the_drain_is_called_off():
    gate = Gate()
    async with tiny(gate, drain_s=0.05) as served:
        slow = asyncio.ensure_future(served.stub.Predict(request("slow")))
        await asyncio.wait_for(gate.entered.wait(), 20)
        await served.running.stop()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await slow
    assert ended.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    assert gate.left


async def test_a_process_drains_on_sigterm_and_logs_json_lines_with_the_request_id(tmp_path):
    gate = tmp_path / "gate"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "tests.runtime.tiny", str(gate)),
        cwd=ROOT,
        env={**os.environ, "LOTWISE_TINY_DRAIN_S": "20", "LOTWISE_TINY_LOG_LEVEL": "INFO"},
        stderr=asyncio.subprocess.PIPE,
    )
    lines = []

    async def until(message):
        while True:
            line = await asyncio.wait_for(process.stderr.readline(), 20)
            lines.append(json.loads(line))
            if lines[-1]["message"] == message:
                return lines[-1]

    try:
        port = (await until("listening"))["port"]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = predict_pb2_grpc.PredictServiceStub(channel)
            header = (("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),)
            call = asyncio.ensure_future(stub.Predict(request("slow"), metadata=header))
            assert (await until("working"))["tile"] == "slow"
            process.send_signal(signal.SIGTERM)
            await until("draining")
            gate.touch()
            assert (await call).tile_id == "slow"
        await until("stopped")
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    rest = (await process.stderr.read()).decode()
    assert rest == ""
    for line in lines:
        assert {"time", "level", "logger", "message", "request_id", "service"} <= set(line)
        assert line["service"] == "tiny"
    own = {line["message"]: line for line in lines if line["request_id"] == TRACE}
    assert set(own) == {"working", "call finished"}
    finished = own["call finished"]
    assert (finished["method"], finished["code"], finished["reason"]) == ("Predict", "OK", None)
    assert own["working"]["level"] == "WARNING"
