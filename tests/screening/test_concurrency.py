import asyncio
import gc

import pytest

from lotwise.screening.concurrency import run_both


async def failing(error, wait_s=0.0):
    await asyncio.sleep(wait_s)
    raise error


async def failing_when_cancelled(error):
    try:
        await asyncio.Event().wait()
    finally:
        raise error


async def returning(value):
    await asyncio.sleep(0)
    return value


async def test_the_results_of_both_come_in_their_order():
    assert await run_both(returning(1), returning("two")) == (1, "two")


@pytest.mark.parametrize("slow_first", [False, True])
async def test_where_one_fails_the_other_has_ended_before_its_error_is_raised(slow_first):
    ended = []

    async def slow():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    both = [failing(ValueError("this one")), slow()]
    with pytest.raises(ValueError, match="this one"):
        await run_both(*(reversed(both) if slow_first else both))
    assert ended == [True]


@pytest.mark.parametrize(
    "second", [failing(OSError("second")), failing_when_cancelled(OSError("second"))]
)
async def test_where_both_fail_the_first_is_raised_and_no_exception_is_lost(second):
    lost = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: lost.append(context["message"]))
    try:
        with pytest.raises(ValueError, match="first"):
            await run_both(failing(ValueError("first")), second)
        gc.collect()
    finally:
        loop.set_exception_handler(None)
    assert lost == []
