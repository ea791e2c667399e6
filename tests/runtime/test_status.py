import asyncio
import contextlib

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from lotwise.core import errors
from lotwise.runtime.members import AssemblyError
from lotwise.runtime.status import (
    DETAILS_KEY,
    abort,
    error_details,
    error_from_call,
    reason_of,
    status_code,
    tile_error,
    unexpected,
)
from lotwise.v1 import predict_pb2, predict_pb2_grpc, tile_pb2

CODES = [
    (errors.InvalidTile("TILE_EMPTY", "Send bytes."), "INVALID_ARGUMENT"),
    (errors.WrongMagnification("Scan at a higher magnification."), "INVALID_ARGUMENT"),
    (errors.InvalidRequest("LOT_MISSING", "Name the lot."), "INVALID_ARGUMENT"),
    (errors.NotFound("MODEL_UNKNOWN", "There is no such model."), "NOT_FOUND"),
    (errors.Contradiction("POLICY_MISMATCH", "Fit it again."), "FAILED_PRECONDITION"),
    (AssemblyError("A part is missing."), "FAILED_PRECONDITION"),
    (errors.EngineUnavailable("The engine is down."), "UNAVAILABLE"),
    (errors.EngineOverloaded("The queue is full."), "RESOURCE_EXHAUSTED"),
    (errors.DeadlineExceeded("Too late."), "DEADLINE_EXCEEDED"),
    (errors.InferenceFailed("The engine refused it."), "UNKNOWN"),
    (errors.LotwiseError("UNEXPECTED", "The log holds the cause."), "UNKNOWN"),
]
BY_REASON = {error.reason: error for error, _ in CODES}


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


def test_the_table_of_these_tests_has_every_kind_of_error():
    bases = {errors.LotwiseError, errors.InferenceError}
    assert set(KINDS) - bases <= {type(error) for error, _ in CODES}


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda v: getattr(v, "reason", v))
def test_every_error_has_its_status_and_carries_its_reason(error, code):
    assert status_code(error).name == code
    status = status_pb2.Status.FromString(error_details(error))
    assert (status.code, status.message) == (status_code(error).value[0], error.message)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (error.reason, "lotwise")


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_error_is_internal(kind):
    error = kind.__new__(kind)  # constructors differ; the class alone decides
    assert status_code(error) not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.OK)


def test_an_error_of_one_tile_says_the_same_as_that_of_a_call():
    error = tile_error(errors.EngineOverloaded("The queue is full."))
    assert (error.reason, error.message) == ("ENGINE_OVERLOADED", "The queue is full.")
    assert error.status_code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


def test_an_unexpected_fault_tells_where_to_look():
    error = unexpected("ab" * 16)
    assert error.reason == "UNEXPECTED"
    assert "ab" * 16 in error.message


class Failing(predict_pb2_grpc.PredictServiceServicer):
    """Ends the call as the tile's name says."""

    async def Predict(self, request, context):
        name = request.tile.tile_id
        if name in BY_REASON:
            await abort(context, BY_REASON[name])
        match name:
            case "long":
                await abort(context, errors.NotFound("MODEL_UNKNOWN", "模" * 100_000))
            case "never":
                await asyncio.Event().wait()
            case "foreign":
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not ours")
            case "foreign unavailable":
                await context.abort(grpc.StatusCode.UNAVAILABLE, "proxy says no")
            case "foreign details":
                detail = error_details_pb2.ErrorInfo(reason="QUOTA", domain="googleapis.com")
                status = status_pb2.Status(code=3)
                status.details.add().Pack(detail)
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    "not ours",
                    ((DETAILS_KEY, status.SerializeToString()),),
                )
            case "garbage":
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT, "?", ((DETAILS_KEY, b"\xff\xff\xff"),)
                )


@contextlib.asynccontextmanager
async def failing_server():
    server = grpc.aio.server()
    predict_pb2_grpc.add_PredictServiceServicer_to_server(Failing(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield predict_pb2_grpc.PredictServiceStub(channel)
    await server.stop(None)


async def ended(stub, name, **options):
    request = predict_pb2.PredictRequest(tile=tile_pb2.Tile(tile_id=name))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Predict(request, **options)
    return refused.value


async def test_an_error_that_crosses_a_call_is_the_same_error_again():
    async with failing_server() as stub:
        for reason, error in BY_REASON.items():
            call_error = await ended(stub, reason)
            assert call_error.code() == status_code(error)
            assert reason_of(call_error) == reason
            again = error_from_call(call_error, "predict")
            assert (again.reason, status_code(again)) == (reason, status_code(error))
            if reason != "DEADLINE_EXCEEDED":
                assert again.message == error.message


async def test_the_classes_that_services_tell_apart_survive_a_call():
    kinds = ["TILE_EMPTY", "WRONG_MAGNIFICATION", "MODEL_UNKNOWN", "POLICY_MISMATCH"]
    kinds += ["ENGINE_UNAVAILABLE", "ENGINE_OVERLOADED", "DEADLINE_EXCEEDED", "INFERENCE_FAILED"]
    async with failing_server() as stub:
        for reason in kinds:
            again = error_from_call(await ended(stub, reason), "predict")
            assert type(again) is type(BY_REASON[reason])


async def test_a_very_long_message_reaches_the_caller_with_its_reason():
    async with failing_server() as stub:
        call_error = await ended(stub, "long")
    assert call_error.code() == grpc.StatusCode.NOT_FOUND
    assert reason_of(call_error) == "MODEL_UNKNOWN"
    assert call_error.details().startswith("模模模")


async def test_an_error_from_elsewhere_has_no_reason_of_ours():
    async with failing_server() as stub:
        for name in ("foreign", "foreign unavailable", "foreign details", "garbage"):
            call_error = await ended(stub, name)
            assert reason_of(call_error) is None
            error = error_from_call(call_error, "predict")
            assert error.reason == "ENGINE_UNAVAILABLE"
            assert error.message.startswith("predict is not reachable")


async def test_a_peer_that_is_down_is_unavailable_and_named():
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        call_error = await ended(predict_pb2_grpc.PredictServiceStub(channel), "x")
    error = error_from_call(call_error, "uncertainty")
    assert isinstance(error, errors.EngineUnavailable)
    assert "uncertainty" in error.message


async def test_a_deadline_that_passed_on_our_side_is_a_deadline():
    async with failing_server() as stub:
        error = error_from_call(await ended(stub, "never", timeout=0.02), "predict")
    assert isinstance(error, errors.DeadlineExceeded)
    assert "predict" in error.message
