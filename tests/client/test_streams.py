"""Streams of tiles: bounded, in order, and ended without a trace."""

import asyncio
import contextlib
import threading

import grpc
import pytest

from lotwise import AsyncClient, Client, TileFailure
from lotwise.client import DeadlineExceeded, EngineUnavailable
from tests.client.fake import FakePredict, Serving

WAIT_S = 60  # only bounds a hang


@pytest.fixture
def serving():
    with Serving(FakePredict()) as running:
        yield running


@pytest.fixture
def client(serving):
    with Client(predict=serving.address) as made:
        yield made


def counted(total, taken):
    for index in range(total):
        taken.append(index)
        yield bytes(index + 1)


async def test_the_waiting_client_works_where_a_loop_runs(serving, client):
    """As in a notebook: this test's own loop is running, and blocked meanwhile."""
    serving.fake.release.set()
    assert asyncio.get_running_loop().is_running()
    assert client.predict(b"123").value == 3.0
    values = [answer.value for answer in client.predict_many([b"1", b"22"])]
    assert values == [1.0, 2.0]


class Source:
    """Forty tiles; says when more than `allowed` of them have been taken and not been answered."""

    def __init__(self, allowed):
        self.allowed = allowed
        self.taken = self.answered = 0
        self.overrun = threading.Event()

    def __iter__(self):
        while self.taken < 40:
            self.taken += 1
            if self.taken - self.answered > self.allowed:
                self.overrun.set()
            yield bytes(self.taken)

    def hold_then_release(self, fake):
        """No tile is answered for a while, in which an unbounded sender takes them all."""
        self.overrun.wait(0.5)
        fake.release.set()


def test_no_more_tiles_are_taken_than_may_be_in_flight(serving, client):
    source = Source(3)
    holder = threading.Thread(target=source.hold_then_release, args=[serving.fake])
    holder.start()
    for answer in client.predict_many(source, in_flight=3):
        assert answer.value == source.answered + 1
        source.answered += 1
    holder.join()
    assert (source.answered, source.taken) == (40, 40)
    assert not source.overrun.is_set()


async def test_no_more_tiles_are_taken_than_may_be_in_flight_in_a_loop(serving):
    source = Source(3)
    holder = asyncio.create_task(asyncio.to_thread(source.hold_then_release, serving.fake))
    async with AsyncClient(predict=serving.address) as client:
        async for answer in client.predict_many(source, in_flight=3):
            assert answer.value == source.answered + 1
            source.answered += 1
    await holder
    assert (source.answered, source.taken) == (40, 40)
    assert not source.overrun.is_set()


def test_tiles_go_out_before_the_answers_come(serving, client):
    """The service is held until three tiles were taken: sending one by one would hang."""
    taken = threading.Semaphore(0)

    def tiles():
        for _ in range(3):
            taken.release()
            yield b"x"

    def let_go():
        for _ in range(3):
            assert taken.acquire(timeout=WAIT_S)
        serving.fake.release.set()

    watcher = threading.Thread(target=let_go)
    watcher.start()
    assert len(list(client.predict_many(tiles(), in_flight=3))) == 3
    watcher.join()


async def test_tiles_may_come_from_an_instrument(serving):
    serving.fake.release.set()

    async def scan():
        for index in range(5):
            await asyncio.sleep(0)
            yield bytes(index)

    async with AsyncClient(predict=serving.address) as client:
        values = [answer.value async for answer in client.predict_many(scan())]
    assert values == [0, 1, 2, 3, 4]


def failing_tiles():
    yield b"1"
    raise RuntimeError("the stage is stuck")


def test_what_the_callers_tiles_raise_comes_to_the_caller(serving, client):
    serving.fake.release.set()
    answers = client.predict_many(failing_tiles())
    assert next(answers).value == 1.0
    with pytest.raises(RuntimeError, match="the stage is stuck"):
        next(answers)


async def test_what_the_callers_tiles_raise_comes_to_the_caller_in_a_loop(serving):
    serving.fake.release.set()
    async with AsyncClient(predict=serving.address) as client:
        answers = client.predict_many(failing_tiles())
        assert (await anext(answers)).value == 1.0
        with pytest.raises(RuntimeError, match="the stage is stuck"):
            await anext(answers)


@pytest.mark.parametrize("tiles", [[], ["gone.png"] * 20])
async def test_nothing_to_send(make_asker, serving, tiles):
    asker = make_asker(predict=serving.address)
    answers = await asker.ask_many("predict_many", tiles, in_flight=2)
    assert [type(answer) for answer in answers] == [TileFailure] * len(tiles)
    assert serving.fake.received == 0


def test_a_caller_that_stops_early_ends_the_stream(serving, client):
    serving.fake.release.set()
    taken = []
    answers = client.predict_many(counted(1000, taken), in_flight=2)
    next(answers)
    answers.close()
    assert serving.fake.ended.wait(WAIT_S)
    assert len(taken) < 1000


async def test_a_caller_that_stops_early_ends_the_stream_in_a_loop(serving):
    serving.fake.release.set()
    taken = []
    async with AsyncClient(predict=serving.address) as client:
        async with contextlib.aclosing(
            client.predict_many(counted(1000, taken), in_flight=2)
        ) as answers:
            await anext(answers)
        assert await asyncio.to_thread(serving.fake.ended.wait, WAIT_S)
    assert len(taken) < 1000


@pytest.mark.parametrize("status", [grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE])
async def test_a_stream_that_breaks_is_said(make_asker, serving, status):
    serving.fake.statuses = [status] * 9
    with pytest.raises(EngineUnavailable):
        await make_asker(predict=serving.address).ask_many("predict_many", [b"x"] * 100)


async def test_a_stream_that_is_unavailable_at_first_is_tried_again(make_asker, serving):
    serving.fake.release.set()
    serving.fake.statuses = [grpc.StatusCode.UNAVAILABLE]
    answers = await make_asker(predict=serving.address).ask_many("predict_many", [b"1", b"22"])
    assert [answer.value for answer in answers] == [1.0, 2.0]


async def test_a_stream_has_a_deadline_where_one_is_given(make_asker, serving):
    with pytest.raises(DeadlineExceeded):
        await make_asker(predict=serving.address).ask_many("predict_many", [b"x"], timeout=0.2)
    serving.fake.release.set()


async def test_less_than_one_tile_in_flight_is_refused(make_asker, serving):
    with pytest.raises(ValueError, match="in_flight"):
        await make_asker(predict=serving.address).ask_many("predict_many", [b"x"], in_flight=0)
