"""A lot's explanations over a real gRPC connection, of the shipped models in the engine."""

import io

import grpc
import numpy as np
import pytest
from PIL import Image

from lotwise.runtime.status import reason_of
from lotwise.v1 import explain_pb2
from tests.support.tiles import BAD_TILE_REASONS, bad_tiles, png, stripes


async def events(call, request_type, tiles, **fields):
    """All that a stream answers."""

    async def messages():
        for tile in tiles:
            yield request_type(tile=tile, **fields)

    return [event async for event in call(messages())]


async def forward(stubs, tiles, **fields):
    fields = {"vary": ["size"], "steps": 3, **fields}
    return await events(stubs.explain.ForwardLot, explain_pb2.ForwardLotRequest, tiles, **fields)


async def backward(stubs, tiles, **fields):
    fields = {"target": 1500.0, "max_evaluations": 3, "starts": 1, "alone": 0, **fields}
    fields.setdefault("front_points", 0)
    return await events(stubs.explain.BackwardLot, explain_pb2.BackwardLotRequest, tiles, **fields)


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    return reason_of(caught.value)


async def test_a_lots_curve_is_that_of_its_tiles(stubs, make_tile):
    *progress, last = await forward(stubs, [make_tile(0), make_tile(1)])
    swept = last.result
    assert [each.progress.received for each in progress[:2]] == [1, 2]
    assert progress[-1].progress.expected == 2 * 4 == progress[-1].progress.judged
    alone = [
        await stubs.explain.Forward(
            explain_pb2.ForwardRequest(
                tile=make_tile(number), vary="size", steps=3, without_images=True
            )
        )
        for number in range(2)
    ]
    (curve,) = swept.curves
    for place, point in enumerate(curve.points):
        both = [each.steps[place].value for each in alone]
        assert point.value.mean == pytest.approx(np.mean(both), rel=1e-5)
        assert point.value.lower_quartile == pytest.approx(np.percentile(both, 25), rel=1e-5)
    slopes = [each.sensitivity for each in alone]
    assert curve.sensitivity.mean == pytest.approx(np.mean(slopes), rel=1e-4)
    assert curve.sensitivity.lower == pytest.approx(min(slopes), rel=1e-4)
    assert (swept.property, swept.unit, swept.lot_id) == ("peak stress", "psi", "R01")
    assert swept.attributes[0].name == "size"
    assert not swept.ended_by_deadline
    assert len(swept.provenance.models) == 5


async def test_a_lots_surface_over_a_pair(stubs, make_tile):
    pair = explain_pb2.AttributePair(first="size", second="facetness")
    asked = {"vary": [], "pairs": [pair], "steps": 2}
    swept = (await forward(stubs, [make_tile(0)], **asked))[-1].result
    assert not swept.curves
    (surface,) = swept.surfaces
    assert surface.attributes == pair
    at = [(point.first_value, point.second_value) for point in surface.points]
    assert at == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len({point.value.mean for point in surface.points}) == 4


async def test_one_change_is_found_for_the_lot(stubs, make_tile):
    before = (await forward(stubs, [make_tile(0), make_tile(1)]))[-1].result.original.mean
    answered = await backward(
        stubs,
        [make_tile(0), make_tile(1)],
        target=0.93 * before,
        max_evaluations=30,
        alone=2,
        front_points=2,
    )
    found = answered[-1].result
    assert found.before.mean == pytest.approx(before, rel=1e-5)
    assert len(found.changes) == 4
    assert found.reached == (abs(found.after_mean.mean - found.target) <= found.tolerance)
    assert found.after_mean.lower <= found.after_mean.mean <= found.after_mean.upper
    assert found.after.mean == pytest.approx(found.after_mean.mean)
    assert abs(found.after.mean - found.target) < abs(before - found.target)
    assert found.alone == 2
    assert [each.name for each in found.own_changes] == [each.name for each in found.changes]
    assert found.front
    assert found.edited_tile_id in ("tile-0", "tile-1")
    with Image.open(io.BytesIO(found.edited_png)) as picture:
        assert picture.size == (256, 256)


async def test_a_sample_is_drawn_by_seed(stubs, make_tile):
    made = [make_tile(number) for number in range(6)]
    sampling = explain_pb2.LotSampling(tiles=2, seed=5)
    first, again = [
        (await forward(stubs, made, steps=2, sampling=sampling))[-1].result for _ in range(2)
    ]
    assert first.original == again.original
    counted = first.tiles
    assert (counted.received, counted.usable, counted.sampled, counted.seed) == (6, 6, 2, 5)


async def test_tiles_that_cannot_be_used_are_counted_and_named(stubs, make_tile):
    poor = make_tile(1, file=png(np.full((256, 256), 90, np.uint8)))
    made = [make_tile(0), make_tile(2, file=b""), poor]
    swept = (await forward(stubs, made, steps=2))[-1].result
    assert (swept.tiles.received, swept.tiles.usable, swept.tiles.poor) == (3, 1, 1)
    assert [each.tile_id for each in swept.tiles.failed] == ["tile-2"]
    assert swept.tiles.failed[0].error.reason == "TILE_EMPTY"
    assert await refused(forward(stubs, made[1:], steps=2)) == "LOT_UNUSABLE"


@pytest.mark.parametrize("call", [forward, backward])
async def test_lots_that_make_no_sense_are_refused(stubs, make_tile, call):
    good = make_tile()
    assert await refused(call(stubs, [])) == "LOT_EMPTY"
    assert await refused(call(stubs, [make_tile(lot_id="")])) == "LOT_MISSING"
    assert await refused(call(stubs, [good, make_tile(lot_id="R02")])) == "LOT_CONTRADICTORY"
    assert await refused(call(stubs, [make_tile(lot_id="nobody's")])) == "ATTRIBUTES_MISSING"
    many = explain_pb2.LotSampling(tiles=257)
    assert await refused(call(stubs, [good], sampling=many)) == "SAMPLE_TOO_LARGE"


@pytest.mark.parametrize(
    ("call", "fields", "reason"),
    [
        (forward, {"vary": ["colour"]}, "ATTRIBUTE_UNKNOWN"),
        (forward, {"vary": ["size", "size"]}, "ATTRIBUTE_TWICE"),
        (forward, {"steps": 1}, "STEPS_OUT_OF_RANGE"),
        (backward, {"target": float("nan")}, "TARGET_INVALID"),
        (backward, {"immutable": ["colour"]}, "ATTRIBUTE_UNKNOWN"),
        (backward, {"front_points": 33}, "FRONT_OUT_OF_RANGE"),
        (
            backward,
            {"immutable": ["size", "porosity", "polydispersity", "facetness"]},
            "NOTHING_MUTABLE",
        ),
    ],
)
async def test_questions_that_make_no_sense_are_refused(stubs, make_tile, call, fields, reason):
    assert await refused(call(stubs, [make_tile(), make_tile(1)], **fields)) == reason


@pytest.mark.parametrize("reason", BAD_TILE_REASONS)
async def test_a_bad_tile_is_named_with_its_reason(stubs, make_tile, pictures, reason):
    bad = make_tile(1, **bad_tiles(pictures[0])[reason])
    swept = (await forward(stubs, [make_tile(), bad], steps=2))[-1].result
    assert [each.error.reason for each in swept.tiles.failed] == [reason]


async def test_a_call_that_is_cancelled_leaves_no_work(services, stubs, make_tile):
    async def messages():
        for number in range(3):
            yield explain_pb2.ForwardLotRequest(tile=make_tile(number), steps=101)

    call = stubs.explain.ForwardLot(messages())
    async for event in call:
        if event.progress.expected:
            break
    call.cancel()
    # What is asked next is answered at once, not after thousands of edits.
    swept = await forward(stubs, [make_tile()], steps=2)
    assert swept[-1].result.tiles.sampled == 1


async def test_strange_tiles_of_a_lot_are_left_out_and_counted(stubs, make_tile):
    strange = make_tile(2, file=png(stripes()))
    tiles = [make_tile(0), make_tile(1), strange]
    swept = (await forward(stubs, tiles))[-1].result
    assert (swept.tiles.usable, swept.tiles.sampled, swept.tiles.unfamiliar) == (3, 2, 1)
    expected = (await forward(stubs, tiles[:2]))[-1].result
    assert swept.original.mean == pytest.approx(expected.original.mean)
    everything = (await forward(stubs, tiles, allow_unfamiliar=True))[-1].result
    assert (everything.tiles.sampled, everything.tiles.unfamiliar) == (3, 1)


async def test_a_lot_of_strange_tiles_is_explained_on_request_alone(stubs, make_tile):
    tiles = [make_tile(0), *(make_tile(number, file=png(stripes())) for number in (1, 2))]
    assert await refused(backward(stubs, tiles)) == "LOT_UNFAMILIAR"
    found = (await backward(stubs, tiles, allow_unfamiliar=True))[-1].result
    assert found.tiles.unfamiliar == 2
    assert found.explanation_quality.HasField("realism")
