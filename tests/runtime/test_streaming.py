import asyncio
import contextlib
import logging

import pytest
from prometheus_client import CollectorRegistry

from lotwise.core.errors import InvalidTile, LotwiseError
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.request import Request, Trace, set_request
from lotwise.runtime.streaming import answer_in_order, stream_responses
from lotwise.v1 import predict_pb2, tile_pb2

ROUNDS = 20  # turns of the loop, more than anything here needs to settle


class Source:
    """Messages 0, 1, 2, ... that count how many were taken."""

    def __init__(self, count):
        self.count = count
        self.taken = 0

    async def __aiter__(self):
        for number in range(self.count):
            self.taken += 1
            yield number


async def settle():
    for _ in range(ROUNDS):
        await asyncio.sleep(0)


async def collect(answers):
    return [answer async for answer in answers]


async def double(number):
    return 2 * number


async def test_answers_come_in_the_order_of_arrival_whatever_their_delay():
    gates = [asyncio.Event() for _ in range(6)]

    async def handle(number):
        await gates[number].wait()
        return 2 * number

    answers = asyncio.create_task(collect(answer_in_order(Source(6), handle, window=6)))
    for gate in reversed(gates):
        await settle()
        gate.set()
    assert await answers == [(number, 2 * number) for number in range(6)]


@pytest.mark.parametrize("window", [1, 3, 8])
async def test_no_more_than_the_window_is_in_work_at_once_and_all_of_it_is_used(window):
    working, most = 0, 0

    async def handle(number):
        nonlocal working, most
        working += 1
        most = max(most, working)
        await settle()
        working -= 1

    assert len(await collect(answer_in_order(Source(20), handle, window=window))) == 20
    assert most == window


@pytest.mark.parametrize("window", [1, 4])
async def test_messages_are_not_taken_faster_than_answers_are_read(window):
    source = Source(30)
    answers = answer_in_order(source, double, window=window)
    for read in range(1, 11):
        await anext(answers)
        await settle()
        # The answer in the reader's hands still holds its place.
        assert source.taken <= read + window - 1
    await answers.aclose()


async def test_a_stream_without_messages_has_no_answers():
    assert await collect(answer_in_order(Source(0), double, window=4)) == []


async def test_a_message_that_fails_has_its_error_in_its_place_and_the_stream_goes_on():
    async def handle(number):
        if number % 3 == 1:
            raise InvalidTile("TILE_EMPTY", f"Tile {number} is empty.")
        return number

    outcomes = [answer for _, answer in await collect(answer_in_order(Source(7), handle, window=2))]
    assert [outcomes[i] for i in (0, 2, 3, 5, 6)] == [0, 2, 3, 5, 6]
    assert [outcomes[i].message for i in (1, 4)] == ["Tile 1 is empty.", "Tile 4 is empty."]


async def test_an_unexpected_failure_tells_the_request_id_and_nothing_of_its_inside(caplog):
    async def handle(number):
        if number == 1:
            raise ZeroDivisionError("secret of the inside")
        return number

    set_request(Request(Trace("ab" * 16, "cd" * 8)))
    with caplog.at_level(logging.ERROR):
        outcomes = [o for _, o in await collect(answer_in_order(Source(3), handle, window=2))]
    assert (outcomes[0], outcomes[2]) == (0, 2)
    assert outcomes[1].reason == "UNEXPECTED"
    assert "ab" * 16 in outcomes[1].message
    assert "secret" not in outcomes[1].message
    assert "secret of the inside" in caplog.text  # the log has the cause


async def test_a_failing_sender_ends_the_stream_after_the_answers_to_what_came():
    async def messages():
        yield 1
        yield 2
        raise ConnectionError("the sender went away")

    seen = []

    async def read():
        async for _, answer in answer_in_order(messages(), double, window=4):
            seen.append(answer)

    with pytest.raises(ConnectionError):
        await read()
    assert seen == [2, 4]


class Blocked:
    """A handler that never ends by itself, and knows how often it was called off."""

    def __init__(self, free=0):
        self.free = free
        self.started = self.cancelled = 0

    async def __call__(self, number):
        if number < self.free:
            return number
        self.started += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def test_a_reader_that_leaves_calls_off_pending_work_and_leaves_no_task_behind():
    before = asyncio.all_tasks()
    handle = Blocked(free=2)
    answers = answer_in_order(Source(100), handle, window=4)
    assert [await anext(answers), await anext(answers)] == [(0, 0), (1, 1)]
    await settle()
    await answers.aclose()
    await settle()
    assert handle.started == handle.cancelled > 0
    assert asyncio.all_tasks() == before


async def test_a_cancelled_reader_calls_off_pending_work_and_leaves_no_task_behind():
    before = asyncio.all_tasks()
    handle = Blocked()
    reader = asyncio.create_task(collect(answer_in_order(Source(100), handle, window=4)))
    await settle()
    assert handle.started == 4
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await settle()
    assert handle.cancelled == 4
    assert asyncio.all_tasks() == before


async def test_a_reader_that_leaves_does_not_wait_for_a_silent_sender():
    before = asyncio.all_tasks()

    async def messages():
        yield 1
        await asyncio.Event().wait()

    answers = answer_in_order(messages(), double, window=4)
    assert await anext(answers) == (1, 2)
    await answers.aclose()
    await settle()
    assert asyncio.all_tasks() == before


def stream_request(name):
    return predict_pb2.PredictStreamRequest(
        request=predict_pb2.PredictRequest(tile=tile_pb2.Tile(tile_id=name))
    )


async def test_every_tile_of_a_stream_is_answered_under_its_name_and_errors_are_counted():
    async def messages():
        for name in ("good", "bad", "worse", "fine"):
            yield stream_request(name)

    async def handle(request):
        match request.tile.tile_id:
            case "bad":
                raise InvalidTile("TILE_EMPTY", "Nothing there.")
            case "worse":
                raise LotwiseError("STRANGE", "What?")
        return predict_pb2.PredictResponse(tile_id=request.tile.tile_id, value=3)

    registry = CollectorRegistry()
    metrics = RpcMetrics(registry)
    responses = await collect(
        stream_responses(
            messages(), handle, predict_pb2.PredictStreamResponse, window=2, metrics=metrics
        )
    )
    assert [response.tile_id for response in responses] == ["good", "bad", "worse", "fine"]
    assert [r.WhichOneof("outcome") for r in responses] == ["result", "error", "error", "result"]
    error = responses[1].error
    assert (error.reason, error.message, error.status_code) == ("TILE_EMPTY", "Nothing there.", 3)
    assert responses[3].result.value == 3
    for reason in ("TILE_EMPTY", "STRANGE"):
        assert registry.get_sample_value("lotwise_tile_errors_total", {"reason": reason}) == 1
    for outcome, tiles in (("answered", 2), ("refused", 1), ("failed", 1)):
        assert registry.get_sample_value("lotwise_tiles_total", {"outcome": outcome}) == tiles


async def test_a_response_stream_that_is_closed_early_calls_off_its_work():
    before = asyncio.all_tasks()
    handle = Blocked()

    async def messages():
        while True:
            yield stream_request("x")

    metrics = RpcMetrics(CollectorRegistry())

    async def handled(request):
        return await handle(1)

    responses = stream_responses(
        messages(), handled, predict_pb2.PredictStreamResponse, window=3, metrics=metrics
    )
    reader = asyncio.create_task(anext(responses))
    await settle()
    reader.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reader
    await responses.aclose()
    await settle()
    assert handle.started == handle.cancelled == 3
    assert asyncio.all_tasks() == before
