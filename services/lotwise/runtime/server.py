"""Runs one service: gRPC with health and reflection, /metrics, drain on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry, start_http_server

from lotwise.runtime.interceptor import RequestInterceptor
from lotwise.runtime.logging import configure_logging
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.settings import ServiceSettings

logger = logging.getLogger(__name__)


def message_limit(max_tile_bytes: int) -> int:
    """Largest message that is received, in bytes.

    gRPC breaks off a whole stream on a larger one, without a reason of ours. So there is room
    above the size limit, in which a tile is refused with TILE_TOO_LARGE and the stream goes on.
    """
    return 2 * max_tile_bytes + 2**20


@dataclass(frozen=True)
class Service:
    """What `serve` needs to know of a service.

    Attributes:
        name: "predict".
        full_name: As in its proto file, "lotwise.v1.PredictService".
        register: Adds the servicer to a server.
        asks: What it depends on, "triton".
        ready: Whether that can be asked now; must not raise.
        close: Lets go of what it holds.
        registry: Its metrics.
        rpc_metrics: Those that every service has, in the same registry.
    """

    name: str
    full_name: str
    register: Callable[[grpc.aio.Server], None]
    asks: str
    ready: Callable[[], Awaitable[bool]]
    close: Callable[[], Awaitable[None]]
    registry: CollectorRegistry
    rpc_metrics: RpcMetrics


class RunningService:
    """A service that listens. `port` and `metrics_port` are the actual ones."""

    def __init__(self, service: Service, settings: ServiceSettings) -> None:
        self._service = service
        self._settings = settings
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # absent in stubs
        limit = message_limit(settings.max_tile_bytes)
        self._server = grpc.aio.server(
            interceptors=[RequestInterceptor(service.rpc_metrics)],
            options=[
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", limit),
                # A second server on the port is a mistake, unless it is asked for.
                ("grpc.so_reuseport", 0),
            ],
        )
        self._monitor: asyncio.Task[None] | None = None
        self._metrics_server: Any = None
        self.port = 0
        self.metrics_port = 0

    async def start(self) -> None:
        """Listen. Health is NOT_SERVING until the first look at the dependencies."""
        settings, service = self._settings, self._service
        service.register(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (service.full_name, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        self.port = self._server.add_insecure_port(f"{settings.host}:{settings.port}")
        await self._set_health(False)
        await self._server.start()
        self._metrics_server, _ = start_http_server(
            settings.metrics_port, settings.host, service.registry
        )
        self.metrics_port = self._metrics_server.server_port
        self._monitor = asyncio.create_task(self._watch_dependencies())
        logger.info("listening", extra={"port": self.port, "metrics_port": self.metrics_port})

    async def stop(self) -> None:
        """Say NOT_SERVING, let calls in flight finish, then close."""
        if self._monitor is not None:
            self._monitor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._monitor
        await self._set_health(False)
        logger.info("draining", extra={"at_most_s": self._settings.drain_s})
        await self._server.stop(self._settings.drain_s)
        await self._service.close()
        if self._metrics_server is not None:
            self._metrics_server.shutdown()
            self._metrics_server.server_close()
        logger.info("stopped")

    async def __aenter__(self) -> RunningService:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _watch_dependencies(self) -> None:
        serving = False
        while True:
            now = await self._service.ready()
            self._service.rpc_metrics.dependency_up.labels(self._service.asks).set(now)
            if now != serving:
                serving = now
                await self._set_health(serving)
                logger.info("health changed", extra={"serving": serving})
            await asyncio.sleep(self._settings.health_interval_s)

    async def _set_health(self, serving: bool) -> None:
        status = (
            health_pb2.HealthCheckResponse.SERVING
            if serving
            else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        self._service.rpc_metrics.ready.set(serving)
        for name in ("", self._service.full_name):
            await self._health.set(name, status)


def run(name: str, settings: ServiceSettings, build: Callable[[], Service]) -> None:
    """Serve until SIGTERM or SIGINT, then drain. The body of every `__main__`.

    Args:
        name: Of the service, for its logs.
        settings: Of the service.
        build: Makes the service; called inside the event loop.
    """
    configure_logging(name, settings.log_level)
    asyncio.run(_serve(settings, build))


async def _serve(settings: ServiceSettings, build: Callable[[], Service]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with RunningService(build(), settings):
        await stop.wait()
