"""The domain's errors <-> gRPC statuses. The only place that knows both.

A status carries google.rpc.ErrorInfo with the stable reason, under the standard key
`grpc-status-details-bin`, so any client library can read it.
"""

from __future__ import annotations

from typing import Final, NoReturn

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from lotwise.core import errors
from lotwise.v1 import tile_pb2

DOMAIN: Final = "lotwise"
DETAILS_KEY: Final = "grpc-status-details-bin"
# A message may quote what the caller sent. gRPC carries it twice, escaped, in 8 KiB of metadata.
MAX_MESSAGE_BYTES: Final = 1500

_CODES: Final[tuple[tuple[type[errors.LotwiseError], grpc.StatusCode], ...]] = (
    (errors.InvalidTile, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.InvalidRequest, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.Contradiction, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.EngineUnavailable, grpc.StatusCode.UNAVAILABLE),
    (errors.EngineOverloaded, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.DeadlineExceeded, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.InferenceFailed, grpc.StatusCode.UNKNOWN),
)


def status_code(error: errors.LotwiseError) -> grpc.StatusCode:
    """The status that a call with this error ends with."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return grpc.StatusCode.UNKNOWN


def unexpected(request_id: str) -> errors.LotwiseError:
    """What a caller is told of a fault in our code: nothing of its inside, all to find it."""
    return errors.LotwiseError(
        "UNEXPECTED",
        f"The service failed on this request. Its log holds the cause under request {request_id}.",
    )


def tile_error(error: errors.LotwiseError) -> tile_pb2.TileError:
    """The same error as one message of a stream."""
    return tile_pb2.TileError(
        reason=error.reason, message=error.message, status_code=status_code(error).value[0]
    )


def error_details(error: errors.LotwiseError) -> bytes:
    """google.rpc.Status with ErrorInfo, serialised for the trailing metadata."""
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN))
    status = status_pb2.Status(
        code=status_code(error).value[0], message=_shortened(error.message), details=[info]
    )
    return bytes(status.SerializeToString())


def _shortened(message: str) -> str:
    encoded = message.encode()
    if len(encoded) <= MAX_MESSAGE_BYTES:
        return message
    return encoded[:MAX_MESSAGE_BYTES].decode(errors="ignore") + " ..."


async def abort(
    context: grpc.aio.ServicerContext[object, object], error: errors.LotwiseError
) -> NoReturn:
    """End a call with the error's status and reason."""
    await context.abort(
        status_code(error),
        _shortened(error.message),
        trailing_metadata=((DETAILS_KEY, error_details(error)),),
    )
    raise AssertionError("abort does not return")


def reason_of(call_error: grpc.aio.AioRpcError) -> str | None:
    """The stable reason that a service of ours gave; None where it is from elsewhere."""
    for key, value in call_error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            try:
                status = status_pb2.Status.FromString(
                    value if isinstance(value, bytes) else value.encode()
                )
            except DecodeError:
                return None
            for detail in status.details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info) and info.domain == DOMAIN:
                    return str(info.reason)
    return None


def broke_off(call_error: grpc.aio.AioRpcError) -> bool:
    """Whether the server went away in the middle of the call.

    Our services send their first headers at once, and from then on gRPC itself repeats nothing.
    """
    gone = call_error.code() == grpc.StatusCode.UNAVAILABLE and reason_of(call_error) is None
    return gone and bool(call_error.initial_metadata())


def error_from_call(call_error: grpc.aio.AioRpcError, peer: str) -> errors.LotwiseError:
    """What a call to another service of ours ended with, as a domain error again.

    Args:
        call_error: From the stub.
        peer: The called service, for the message.
    """
    reason, code = reason_of(call_error), call_error.code()
    message = call_error.details() or ""
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.DeadlineExceeded(f"{peer} did not answer within the deadline.")
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in message:
        return errors.InvalidTile(
            "TILE_TOO_LARGE", "The tile is larger than any message. Crop it to one field of view."
        )
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
        return errors.EngineOverloaded(message or f"{peer} is overloaded. Try again later.")
    if reason is None or code == grpc.StatusCode.UNAVAILABLE:
        return errors.EngineUnavailable(
            message if reason else f"{peer} is not reachable. Try again in a moment."
        )
    if reason == "WRONG_MAGNIFICATION":
        return errors.WrongMagnification(message)
    if reason == "INFERENCE_FAILED":
        return errors.InferenceFailed(message)
    for kind, mapped in _CODES:
        if mapped == code and not issubclass(kind, errors.InferenceError):
            return kind(reason, message)
    return errors.LotwiseError(reason, message)
