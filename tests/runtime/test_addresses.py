"""Several replicas behind one address: tests/platform/test_replicas.py has the real platform."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from pydantic import ValidationError

from lotwise.core.errors import EngineUnavailable
from lotwise.predict.settings import PredictSettings
from lotwise.referral.settings import ReferralSettings
from lotwise.runtime.addresses import channel, is_address, is_balanced, on_port
from lotwise.v1 import predict_pb2, predict_pb2_grpc
from tests.runtime.tiny import NAME, always, request, tiny


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("127.0.0.1:8001", "127.0.0.1:8001"),
        ("triton_1.lab:8001", "triton_1.lab:8001"),
        ("[::1]:8001", "[::1]:8001"),
        ("127.0.0.1:1,127.0.0.2:2", "ipv4:127.0.0.1:1,127.0.0.2:2"),
        ("localhost:1,127.0.0.1:2", "ipv4:127.0.0.1:1,127.0.0.1:2"),
        ("[::1]:1,[::2]:2", "ipv6:[::1]:1,[::2]:2"),
        ("dns:///triton-headless:8001", "dns:///triton-headless:8001"),
    ],
)
def test_an_address_becomes_what_grpc_takes(address, target):
    assert channel(address)[0] == target
    assert is_balanced(address) == (address != target or address.startswith("dns:"))


@pytest.mark.parametrize(
    "wrong",
    ["", "host", "host:", ":1", "host:0", "host:65536", "host:http", "a:1,", "a:1,,b:2", "a:1 b:2",
     "http://host:1", "[::1:1", "dns:", "user@host:1"],
)  # fmt: skip
def test_what_is_no_address_is_refused_at_the_start_and_says_what_one_is(monkeypatch, wrong):
    said = "is no address. State host:port, several with commas between them, or dns:///name:port"
    with pytest.raises(ValueError, match=said):
        channel(wrong)
    monkeypatch.setenv("LOTWISE_PREDICT_TRITON_ADDRESS", wrong)
    monkeypatch.setenv("LOTWISE_REFERRAL_UNCERTAINTY_ADDRESS", wrong)
    for settings in (PredictSettings, ReferralSettings):
        with pytest.raises(ValidationError, match=said):
            settings()


def test_a_host_among_several_that_nobody_knows_is_named():
    with pytest.raises(EngineUnavailable, match=r"nowhere\.invalid"):
        channel("127.0.0.1:1,nowhere.invalid:1")


def test_hosts_have_a_service_on_its_standard_port():
    assert on_port("gpu-a,::1", 50051) == "gpu-a:50051,[::1]:50051"
    assert [text for text in ("gpu-a", "gpu-a,gpu-b", "::1") if is_address(text)] == []
    assert is_address("gpu-a:1,gpu-b:2")
    assert is_address("dns:///predict:50051")


@asynccontextmanager
async def two(ready=always):
    """Two replicas and a stub for both; `ready` is of the second."""

    def named(name):
        async def answer(asked):
            return predict_pb2.PredictResponse(tile_id=name)

        return answer

    async with tiny(named("1")) as one, tiny(named("2"), ready) as other:
        target, options = channel(
            f"127.0.0.1:{one.running.port},127.0.0.1:{other.running.port}",
            repeatable=[{"service": NAME}],
        )
        async with grpc.aio.insecure_channel(target, options=options) as both:
            yield predict_pb2_grpc.PredictServiceStub(both)


async def answering(stub, calls=6):
    """Who answers."""
    asked = [stub.Predict(request("a"), timeout=20, wait_for_ready=True) for _ in range(calls)]
    return {answer.tile_id for answer in [await each for each in asked]}


async def until_answering(stub, wanted):
    async with asyncio.timeout(20):
        while await answering(stub) != wanted:
            await asyncio.sleep(0.02)


async def test_replicas_are_asked_in_turn_but_for_those_that_are_not_ready():
    up = True

    async def ready():
        return up

    async with two(ready) as stub:
        await until_answering(stub, {"1", "2"})
        up = False
        await until_answering(stub, {"1"})
        up = True
        await until_answering(stub, {"1", "2"})
