"""What a call or a tile of a stream ended with -> the domain's errors."""

from __future__ import annotations

from typing import Final, cast

import grpc

from lotwise.core import errors
from lotwise.runtime.status import error_from_call, reason_of
from lotwise.v1 import tile_pb2

_BY_REASON: Final[dict[str, type[errors.LotwiseError]]] = {
    "WRONG_MAGNIFICATION": errors.WrongMagnification,
    "ENGINE_UNAVAILABLE": errors.EngineUnavailable,
    "ENGINE_OVERLOADED": errors.EngineOverloaded,
    "DEADLINE_EXCEEDED": errors.DeadlineExceeded,
    "INFERENCE_FAILED": errors.InferenceFailed,
}
_BY_STATUS: Final[dict[int, type[errors.LotwiseError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT.value[0]: errors.InvalidRequest,
    grpc.StatusCode.NOT_FOUND.value[0]: errors.NotFound,
    grpc.StatusCode.FAILED_PRECONDITION.value[0]: errors.Contradiction,
}


def error_of_call(call: grpc.RpcError, service: str, address: str) -> errors.LotwiseError:
    """What a call ended with.

    Args:
        call: From a stub, with an event loop or without.
        service: Who was asked.
        address: Its host:port.
    """
    # The two kinds of calls answer alike, but have no base in common that says so.
    ended = cast(grpc.aio.AioRpcError, call)
    reason = reason_of(ended)
    if reason is None and ended.code() == grpc.StatusCode.UNAVAILABLE:
        error: errors.LotwiseError = errors.EngineUnavailable(
            f"The {service} service at {address} is not reachable. Start the platform with "
            "`lotwise up`, or name the host where it runs."
        )
        error.add_note(f"gRPC says: {ended.details()}")
        return error
    error = error_from_call(ended, f"The {service} service at {address}")
    if isinstance(error, errors.InvalidTile) and not _is_of_tile(error.reason):
        return _make(errors.InvalidRequest, error.reason, error.message)
    return error


def error_of_tile(error: tile_pb2.TileError) -> errors.LotwiseError:
    """Why one tile of a stream got no answer."""
    kind = _BY_REASON.get(error.reason) or _BY_STATUS.get(error.status_code, errors.LotwiseError)
    if kind is errors.InvalidRequest and _is_of_tile(error.reason):
        kind = errors.InvalidTile
    return _make(kind, error.reason, error.message)


def _is_of_tile(reason: str) -> bool:
    return reason.startswith("TILE_") or reason == "WRONG_MAGNIFICATION"


def _make(kind: type[errors.LotwiseError], reason: str, message: str) -> errors.LotwiseError:
    # The classes of one reason alone take no reason.
    return _BY_REASON[reason](message) if reason in _BY_REASON else kind(reason, message)  # type: ignore[call-arg]
