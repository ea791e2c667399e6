"""Asks the uncertainty service over gRPC."""

from __future__ import annotations

from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lotwise.runtime import tracing
from lotwise.runtime.addresses import channel
from lotwise.runtime.request import PRIORITY, TRACEPARENT, current_request
from lotwise.runtime.status import broke_off, error_from_call
from lotwise.v1 import tile_pb2, uncertainty_pb2, uncertainty_pb2_grpc

_SERVICE: Final = "lotwise.v1.UncertaintyService"
# Assess changes nothing, so it may be asked again while the service comes back.
_REPEATABLE: Final = [{"service": _SERVICE, "method": "Assess"}]
DEFAULT_TIMEOUT_S: Final = 30.0
_PROBE_TIMEOUT_S: Final = 2.0


class UncertaintyClient:
    """The uncertainty service, as the services ask it that rest on it.

    Args:
        address: Of the service; see `addresses`.
        max_message_bytes: Largest tile with what surrounds it.
    """

    def __init__(self, address: str, max_message_bytes: int) -> None:
        target, options = channel(address, repeatable=_REPEATABLE)
        self._channel = grpc.aio.insecure_channel(
            target,
            options=[
                ("grpc.max_send_message_length", max_message_bytes),
                ("grpc.max_receive_message_length", max_message_bytes),
                # A tile can be sent to another replica as long as it fits into this buffer.
                ("grpc.per_rpc_retry_buffer_size", max_message_bytes),
                *options,
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
        asked = uncertainty_pb2.AssessRequest(tile=tile, top_k=1, cascade=cascade)
        with tracing.calling(_SERVICE, "Assess"):
            for last in (False, True):
                try:
                    return await self._assess(asked)
                except grpc.aio.AioRpcError as error:
                    if last or not broke_off(error):
                        raise error_from_call(error, "The uncertainty service") from None
        raise AssertionError("the last attempt returns or raises")

    async def _assess(self, asked: uncertainty_pb2.AssessRequest) -> uncertainty_pb2.AssessResponse:
        request = current_request()
        remaining = request.remaining_s()
        answer: uncertainty_pb2.AssessResponse = await self._stub.Assess(
            asked,
            timeout=DEFAULT_TIMEOUT_S if remaining is None else remaining,
            metadata=(
                (TRACEPARENT, request.trace.traceparent),
                (PRIORITY, str(request.priority)),
            ),
        )
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
