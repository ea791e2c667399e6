"""Explanations of lots whose tiles, edits and slopes are known exactly."""

import asyncio
import time

import numpy as np
import pytest

from lotwise.explain.lot_backward import COARSE, FrontPoint, backward_lot, undominated
from lotwise.explain.lot_forward import forward_lot
from lotwise.explain.lot_question import (
    LotBackwardQuestion,
    LotForwardQuestion,
    LotOfTiles,
    Sampling,
)
from lotwise.explain.question import BackwardQuestion
from lotwise.explain.searching import Progress
from lotwise.runtime.request import Request, continue_trace, set_request
from tests.support.grey_editor import PSI, SLOPES, GreyEngine, grey_editor, grey_tile

LOT = LotOfTiles("known", {}, Sampling())
LEVELS = [90, 100, 120]


def tiles(levels=LEVELS):
    return [grey_tile(level) for level in levels]


def to(target, **changes):
    return LotBackwardQuestion(LOT, BackwardQuestion(target=target, **changes))


async def forward(question, *, engine=None, levels=LEVELS):
    progress = Progress()
    editor = await grey_editor(engine or GreyEngine())
    return await forward_lot(editor, question, tiles(levels), progress), progress


async def backward(question, *, engine=None, levels=LEVELS):
    progress = Progress()
    editor = await grey_editor(engine or GreyEngine())
    return await backward_lot(editor, question, tiles(levels), progress), progress


async def test_a_curve_has_the_quartiles_over_tiles_at_every_value():
    found, progress = await forward(LotForwardQuestion(LOT, ("size",), 3))
    (curve,) = found.sweeps
    assert list(curve.grid[:, 0]) == [0.0, 0.5, 1.0]
    for at, spread in zip(curve.grid[:, 0], curve.values, strict=True):
        levels = np.array(LEVELS) + SLOPES[0] * (at - 0.5)
        assert spread.median == pytest.approx(PSI * 100 + PSI * SLOPES[0] * (at - 0.5))
        assert spread.upper_quartile == pytest.approx(PSI * np.percentile(levels, 75))
        assert spread.mean == pytest.approx(PSI * levels.mean())
    assert found.original.median == PSI * 100
    # Every tile has the same slope, so nothing is left open.
    (slope,) = curve.sensitivities
    assert slope.mean == slope.lower == PSI * SLOPES[0]
    assert (found.tiles, found.ended_by_deadline) == (3, False)
    assert progress.judged == progress.expected == 3 * 4


async def test_all_attributes_are_varied_unless_some_are_named():
    found, _ = await forward(LotForwardQuestion(LOT, steps=2))
    assert [sweep.attributes for sweep in found.sweeps] == [("size",), ("porosity",)]
    falls = found.sweeps[1].values
    assert falls[1].mean - falls[0].mean == pytest.approx(PSI * SLOPES[1])


async def test_pairs_alone_are_varied_where_only_pairs_are_named():
    question = LotForwardQuestion(LOT, steps=3, pairs=(("porosity", "size"),))
    found, progress = await forward(question)
    (surface,) = found.sweeps
    assert surface.attributes == ("porosity", "size")
    assert progress.judged == progress.expected == 3 * (9 + 1)
    for (porosity, size), spread in zip(surface.grid, surface.values, strict=True):
        moved = SLOPES[1] * (porosity - 0.5) + SLOPES[0] * (size - 0.5)
        assert spread.mean == pytest.approx(PSI * (np.mean(LEVELS) + moved))
    assert [slope.mean for slope in surface.sensitivities] == [PSI * SLOPES[1], PSI * SLOPES[0]]
    both, _ = await forward(LotForwardQuestion(LOT, ("size",), 2, question.pairs))
    assert [sweep.attributes for sweep in both.sweeps] == [("size",), ("porosity", "size")]


async def test_the_editors_own_shift_is_taken_off_tile_by_tile():
    drifting, _ = await forward(LotForwardQuestion(LOT, ("size",), 3), engine=GreyEngine(drift=7))
    at_own = drifting.sweeps[0].values[1]
    assert at_own.mean == pytest.approx(PSI * np.mean(LEVELS))
    found, _ = await backward(to(1100.0), engine=GreyEngine(drift=7))
    assert found.reached
    assert found.values_before.mean == pytest.approx(PSI * np.mean(LEVELS))


async def test_one_change_for_all_tiles_brings_their_mean_to_the_target():
    target = PSI * np.mean(LEVELS) + 150.0
    found, progress = await backward(to(target))
    assert found.reached
    assert found.after_mean.mean == pytest.approx(target, abs=found.tolerance)
    change = found.found.attributes - found.before
    # The size gains four times as much for its cost, so porosity is left alone.
    assert change[1] == 0.0
    assert change[0] == pytest.approx(150.0 / (PSI * SLOPES[0]), abs=0.05)
    assert found.changed == 1
    assert found.after_mean.lower < target < found.after_mean.upper
    assert list(found.sensitivities) == list(PSI * SLOPES)
    # Only the brightest tile gets as far by itself.
    assert found.share_reaching == pytest.approx(1 / 3)
    assert progress.judged > 0


async def test_downwards_the_share_counts_tiles_below():
    # Evenly grey tiles are all rounded the same way, by up to 5 psi.
    found, _ = await backward(to(PSI * np.mean(LEVELS) - 150.0, tolerance=20.0))
    assert found.reached
    assert found.share_reaching == pytest.approx(2 / 3)


async def test_single_tiles_ask_for_changes_of_their_own():
    target = PSI * 110.0
    found, _ = await backward(to(target))
    sizes = [each.attributes[0] - 0.5 for each in found.own]
    assert len(sizes) == 3
    wanted = [(110.0 - level) / SLOPES[0] for level in LEVELS]
    assert sizes == pytest.approx(wanted, abs=found.tolerance / (PSI * SLOPES[0]) + 1e-6)
    fewer, _ = await backward(LotBackwardQuestion(LOT, BackwardQuestion(target=target), alone=1))
    assert len(fewer.own) == 1


async def test_the_front_rises_with_its_cost_and_goes_beyond_the_target():
    before = PSI * np.mean(LEVELS)
    found, _ = await backward(to(before + 100.0, tolerance=5.0))
    costs = [point.cost for point in found.front]
    values = [point.value for point in found.front]
    assert costs == sorted(costs)
    assert values == sorted(values)
    assert len(values) == 6
    assert values[-1] == pytest.approx(before + 150.0, abs=6.0)
    none, _ = await backward(LotBackwardQuestion(LOT, BackwardQuestion(target=before), front=0))
    assert none.front == ()


async def test_many_tiles_are_begun_with_a_few_and_ended_with_all():
    levels = [80] * COARSE + [140] * COARSE
    found, _ = await backward(to(1200.0, tolerance=5.0), levels=levels)
    assert found.reached
    assert found.after_mean.mean == pytest.approx(1200.0, abs=5.0)
    # The first tiles alone would have needed 400 psi more; all of them need 100.
    assert found.found.attributes[0] == pytest.approx(0.5 + 100 / 400, abs=0.03)


async def test_what_is_out_of_reach_is_said_to_be():
    found, _ = await backward(to(2500.0))
    assert not found.reached
    assert list(found.found.attributes) == [1.0, 0.0]
    assert found.after_mean.mean == pytest.approx(PSI * (np.mean(LEVELS) + 25.0), abs=PSI)


async def test_ranges_costs_and_immutable_attributes_hold_for_lots():
    target = PSI * np.mean(LEVELS) + 30.0
    held, _ = await backward(to(target, immutable=("size",)))
    assert held.reached
    assert held.found.attributes[0] == 0.5
    dear, _ = await backward(to(target, costs={"size": 10.0}))
    assert dear.found.attributes[0] == 0.5
    narrow, _ = await backward(to(target + 100, ranges={"size": (0.4, 0.6)}))
    assert narrow.found.attributes[0] <= 0.6


class SlowEngine(GreyEngine):
    """Takes its time for every batch, and its slopes never meet a target."""

    async def infer(self, model, inputs, outputs=None):
        await asyncio.sleep(0.05 if model == "gradient" else 0.02)
        answer = await super().infer(model, inputs, outputs)
        if model == "gradient":
            turned = np.where(np.arange(len(answer["property"])) % 2, 1.0, -1.0)
            answer["gradient"] = answer["gradient"] * turned[:, None]
        return answer


async def test_near_the_deadline_the_best_so_far_is_the_answer():
    engine = SlowEngine()
    set_request(Request(continue_trace(None), time.monotonic() + 0.5))
    found, _ = await backward(
        LotBackwardQuestion(LOT, BackwardQuestion(target=2500.0, max_evaluations=2000)),
        engine=engine,
    )
    assert found.ended_by_deadline
    assert found.own == found.front == ()
    set_request(Request(continue_trace(None), time.monotonic() + 0.5))
    swept, _ = await forward(LotForwardQuestion(LOT, steps=101), engine=engine, levels=[100] * 20)
    assert swept.ended_by_deadline
    assert 1 <= swept.tiles < 20
    set_request(Request(continue_trace(None)))


async def test_a_sample_that_takes_too_long_to_encode_is_cut_short():
    set_request(Request(continue_trace(None), time.monotonic() + 1.2))
    found, _ = await backward(to(1010.0), engine=SlowEngine(), levels=[100] * 100)
    set_request(Request(continue_trace(None)))
    assert found.ended_by_deadline
    assert 1 <= found.tiles < 100
    assert found.found.evaluations >= 1
    whole, _ = await backward(to(1010.0), levels=[100] * 20)
    assert (whole.tiles, whole.ended_by_deadline) == (20, False)


async def test_a_search_that_is_cancelled_asks_for_nothing_more():
    engine = SlowEngine()
    task = asyncio.create_task(backward(to(2500.0, max_evaluations=2000), engine=engine))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    asked = engine.judged
    await asyncio.sleep(0.1)
    assert engine.judged == asked > 0


def test_a_dearer_point_that_comes_no_further_is_left_out():
    def point(cost, value):
        return FrontPoint(np.zeros(1), cost, value)

    points = [point(0.3, 5.0), point(0.1, 2.0), point(0.2, 1.0), point(0.4, 5.0)]
    assert [(p.cost, p.value) for p in undominated(points, rising=True)] == [(0.1, 2.0), (0.3, 5.0)]
    assert [(p.cost, p.value) for p in undominated(points, rising=False)] == [
        (0.1, 2.0),
        (0.2, 1.0),
    ]
