import asyncio
import time

import pytest

from lotwise.runtime.request import Request, Trace, continue_trace, current_request, set_request

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_callers_trace_is_continued_in_a_new_span():
    trace = continue_trace(f"00-{TRACE}-{SPAN}-00")
    assert trace.trace_id == TRACE
    assert trace.span_id != SPAN
    assert trace.flags == "00"


def test_the_header_for_the_next_hop_is_read_as_the_same_trace():
    first = continue_trace(None)
    second = continue_trace(first.traceparent)
    assert second.trace_id == first.trace_id
    assert second.flags == "01"
    assert len({first.span_id, second.span_id}) == 2


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "garbage",
        TRACE,
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'z' * 32}-{SPAN}-01",
    ],
)
def test_an_absent_or_malformed_header_starts_a_new_trace(header):
    trace = continue_trace(header)
    assert trace.trace_id not in (TRACE, "0" * 32)
    assert continue_trace(trace.traceparent).trace_id == trace.trace_id


def test_new_traces_are_all_different():
    assert len({continue_trace(None).trace_id for _ in range(200)}) == 200


def test_time_left_runs_down_to_nothing_and_not_below():
    trace = Trace("1" * 32, "2" * 16)
    assert Request(trace).remaining_s() is None
    assert Request(trace, time.monotonic() - 5).remaining_s() == 0
    ample = Request(trace, time.monotonic() + 1000).remaining_s()
    assert 900 < ample <= 1000


async def test_a_request_belongs_to_its_task_and_those_it_starts():
    async def serve(number):
        set_request(Request(Trace(f"{number:032x}", SPAN)))
        await asyncio.sleep(0)
        inner = asyncio.create_task(look())
        return current_request().trace.trace_id, await inner, await asyncio.to_thread(look_sync)

    async def look():
        await asyncio.sleep(0)
        return current_request().trace.trace_id

    def look_sync():
        return current_request().trace.trace_id

    seen = await asyncio.gather(*(serve(number) for number in range(1, 6)))
    assert seen == [(f"{number:032x}",) * 3 for number in range(1, 6)]


async def test_outside_of_any_request_there_is_a_fresh_one_without_a_deadline():
    assert current_request().deadline is None
    assert len(current_request().trace.trace_id) == 32
