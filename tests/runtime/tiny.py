"""A real service around a handler of a test's choice; `python -m tests.runtime.tiny` is one."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from prometheus_client import CollectorRegistry
from pydantic_settings import SettingsConfigDict

from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.server import RunningService, Service, run
from lotwise.runtime.settings import ServiceSettings
from lotwise.runtime.streaming import stream_responses
from lotwise.v1 import predict_pb2, predict_pb2_grpc, tile_pb2

NAME = "lotwise.v1.PredictService"
Handle = Callable[[predict_pb2.PredictRequest], Awaitable[predict_pb2.PredictResponse]]


class TinySettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="LOTWISE_TINY_")


class _Servicer(predict_pb2_grpc.PredictServiceServicer):
    def __init__(self, handle: Handle, metrics: RpcMetrics) -> None:
        self.handle = handle
        self.metrics = metrics

    async def Predict(self, request, context):
        return await self.handle(request)

    async def PredictStream(self, request_iterator, context):
        async for response in stream_responses(
            request_iterator,
            self.handle,
            predict_pb2.PredictStreamResponse,
            window=4,
            metrics=self.metrics,
        ):
            yield response


async def always() -> bool:
    return True


def service(handle: Handle, ready: Callable[[], Awaitable[bool]] = always) -> Service:
    registry = CollectorRegistry()
    metrics = RpcMetrics(registry)

    async def close() -> None:
        pass

    return Service(
        name="tiny",
        full_name=NAME,
        register=lambda server: predict_pb2_grpc.add_PredictServiceServicer_to_server(
            _Servicer(handle, metrics), server
        ),
        asks="something",
        ready=ready,
        close=close,
        registry=registry,
        rpc_metrics=metrics,
    )


@dataclass
class Tiny:
    running: RunningService
    channel: Any
    stub: Any


@asynccontextmanager
async def tiny(handle: Handle, ready=always, **settings: Any) -> AsyncIterator[Tiny]:
    chosen = TinySettings(**{"drain_s": 0.0, "health_interval_s": 0.005, **settings})
    async with (
        RunningService(service(handle, ready), chosen) as running,
        grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        yield Tiny(running, channel, predict_pb2_grpc.PredictServiceStub(channel))


def request(name: str, **tile: Any) -> predict_pb2.PredictRequest:
    return predict_pb2.PredictRequest(tile=tile_pb2.Tile(tile_id=name, **tile))


if __name__ == "__main__":
    gate = Path(sys.argv[1])

    async def wait_for_gate(asked: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        logging.getLogger("tiny").warning("working", extra={"tile": asked.tile.tile_id})
        while not gate.exists():
            await asyncio.sleep(0.01)
        return predict_pb2.PredictResponse(tile_id=asked.tile.tile_id)

    run("tiny", TinySettings(), lambda: service(wait_for_gate))
