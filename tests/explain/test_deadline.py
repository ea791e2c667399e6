"""A search under a deadline: the best so far is the answer."""

import asyncio
import time

import numpy as np

from lotwise.core.counterfactual import Allowed, Evaluation, search
from lotwise.explain.searching import Deadline, searched
from lotwise.runtime.request import Request, continue_trace, set_request

STEP_S = 0.02


class SlowTile:
    """Comes nearer with every evaluation, and its slope turns: no search ever ends by itself."""

    def __init__(self):
        self.evaluations = 0

    async def evaluate(self, asked):
        await asyncio.sleep(STEP_S)
        self.evaluations += 1
        slope = np.full(2, (-1.0) ** self.evaluations)
        return [Evaluation(float(self.evaluations), slope) for _ in asked]


def searches(count):
    return [
        search(
            [0.5, 0.5],
            1e6,
            tolerance=0.1,
            allowed=Allowed.everywhere(2),
            max_evaluations=10_000,
        )
        for _ in range(count)
    ]


async def under(deadline_s):
    set_request(Request(continue_trace(None), time.monotonic() + deadline_s))
    tile = SlowTile()
    return await searched(tile.evaluate, searches(2)), tile


async def test_near_the_deadline_all_searches_end_with_the_best_so_far():
    done, tile = await under(0.5)
    assert done.by_deadline
    assert done.first.value == 1.0
    assert [each.evaluations for each in done.ended] == [tile.evaluations] * 2
    assert all(each.value == tile.evaluations and not each.reached for each in done.ended)


async def test_one_evaluation_is_made_whatever_the_deadline():
    done, tile = await under(0.0)
    assert (done.by_deadline, tile.evaluations, done.first.value) == (True, 1, 1.0)
    assert [each.value for each in done.ended] == [1.0, 1.0]


def test_a_share_of_the_time_is_spent_after_a_while():
    set_request(Request(continue_trace(None), time.monotonic() + 0.2))
    deadline = Deadline()
    assert not deadline.spent(0.25)
    time.sleep(0.06)
    assert deadline.spent(0.25)
    assert not deadline.spent(0.9)
    set_request(Request(continue_trace(None)))
    assert not Deadline().spent(0.0)
