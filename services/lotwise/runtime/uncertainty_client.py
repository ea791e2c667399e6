"""Asks the uncertainty service over gRPC."""

from __future__ import annotations

import json
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lotwise.runtime import tracing
from lotwise.runtime.request import PRIORITY, TRACEPARENT, current_request
from lotwise.runtime.status import error_from_call
from lotwise.v1 import tile_pb2, uncertainty_pb2, uncertainty_pb2_grpc

_SERVICE: Final = "lotwise.v1.UncertaintyService"
# Assess changes nothing, so it may be asked again while the service comes back.
_SERVICE_CONFIG: Final = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{"service": _SERVICE, "method": "Assess"}],
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
    }
)
DEFAULT_TIMEOUT_S: Final = 30.0
_PROBE_TIMEOUT_S: Final = 2.0


class UncertaintyClient:
    """The uncertainty service, as the services ask it that rest on it.

    Args:
        address: Of the service.
        max_message_bytes: Largest tile with what surrounds it.
    """

    def __init__(self, address: str, max_message_bytes: int) -> None:
        self._channel = grpc.aio.insecure_channel(
            address,
            options=[
                ("grpc.service_config", _SERVICE_CONFIG),
                ("grpc.max_send_message_length", max_message_bytes),
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ],
        )
        self._stub: Any = uncertainty_pb2_grpc.UncertaintyServiceStub(self._channel)
        self._health: Any = health_pb2_grpc.HealthStub(self._channel)

    async def assess(
        self, tile: tile_pb2.Tile, *, cascade: bool = False
    ) -> uncertainty_pb2.AssessResponse:
        """What it says of a tile. The deadline and the trace are those of the present request.

        Args:
            tile: To be looked at.
            cascade: Whether few members are asked first.

        Raises:
            LotwiseError: As that service does; EngineUnavailable where it cannot be reached.
        """
        with tracing.calling(_SERVICE, "Assess"):
            return await self._assess(tile, cascade)

    async def _assess(self, tile: tile_pb2.Tile, cascade: bool) -> uncertainty_pb2.AssessResponse:
        request = current_request()
        remaining = request.remaining_s()
        try:
            answer: uncertainty_pb2.AssessResponse = await self._stub.Assess(
                uncertainty_pb2.AssessRequest(tile=tile, top_k=1, cascade=cascade),
                timeout=DEFAULT_TIMEOUT_S if remaining is None else remaining,
                metadata=(
                    (TRACEPARENT, request.trace.traceparent),
                    (PRIORITY, str(request.priority)),
                ),
            )
        except grpc.aio.AioRpcError as error:
            raise error_from_call(error, "The uncertainty service") from None
        return answer

    async def ready(self) -> bool:
        """Whether it can be asked now. Does not raise."""
        try:
            status = await self._health.Check(
                health_pb2.HealthCheckRequest(service=_SERVICE), timeout=_PROBE_TIMEOUT_S
            )
        except grpc.aio.AioRpcError:
            return False
        return bool(status.status == health_pb2.HealthCheckResponse.SERVING)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
