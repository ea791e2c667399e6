import io

import grpc
import numpy as np
import pytest
from PIL import Image

from lotwise.runtime.status import reason_of
from lotwise.v1 import explain_pb2, predict_pb2
from tests.support.tiles import BAD_TILE_REASONS, bad_tiles, png, stripes


def forward(tile, **fields):
    return explain_pb2.ForwardRequest(tile=tile, **{"vary": "size", "steps": 5, **fields})


def backward(tile, **fields):
    return explain_pb2.BackwardRequest(tile=tile, **{"target": 1500.0, **fields})


def allowed(name, minimum, maximum):
    return explain_pb2.AttributeRange(name=name, minimum=minimum, maximum=maximum)


def costing(name, cost):
    return explain_pb2.AttributeCost(name=name, cost=cost)


async def test_a_sweep_gives_a_value_and_a_picture_for_every_step(stubs, make_tile):
    answer = await stubs.explain.Forward(forward(make_tile()))
    assert [step.attribute_value for step in answer.steps] == [0, 0.25, 0.5, 0.75, 1]
    assert (answer.property, answer.unit, answer.attribute) == ("peak stress", "psi", "size")
    for step in answer.steps:
        with Image.open(io.BytesIO(step.edited_png)) as picture:
            assert (picture.size, picture.mode) == ((256, 256), "L")
    names = [model.name for model in answer.provenance.models]
    assert names == [
        *("regressor", "editor_encoder", "editor_decoder", "edit_gradient"),
        "attribute_meter",
    ]


async def test_the_original_is_what_predict_says(stubs, make_tile):
    explained = await stubs.explain.Forward(forward(make_tile()))
    predicted = await stubs.predict.Predict(predict_pb2.PredictRequest(tile=make_tile()))
    assert explained.original == pytest.approx(predicted.value, rel=1e-5)


async def test_a_step_is_what_predict_says_of_its_picture_less_the_editors_shift(stubs, make_tile):
    explained = await stubs.explain.Forward(forward(make_tile()))
    step = explained.steps[3]
    seen = await stubs.predict.Predict(
        predict_pb2.PredictRequest(tile=make_tile(file=step.edited_png))
    )
    shift = explained.reconstructed - explained.original
    assert step.value == pytest.approx(seen.value - shift, rel=1e-4)


async def test_the_sensitivity_is_the_slope_of_the_sweep_at_the_lot(stubs, make_tile):
    backwards = await stubs.explain.Backward(backward(make_tile(), max_evaluations=1))
    own = {change.name: change.before for change in backwards.changes}
    slopes, numeric, spreads = [], [], []
    for change in backwards.changes:
        # On the sweep's grid: its neighbours are then as far as the gradient looks along a zoom.
        at = round(min(max(own[change.name], 0.05), 0.95) / 0.05) * 0.05
        stated = [
            explain_pb2.AttributeValue(name=name, value=at if name == change.name else value)
            for name, value in own.items()
        ]
        swept = await stubs.explain.Forward(
            forward(make_tile(), attributes=stated, vary=change.name, steps=21,
                    without_images=True)
        )  # fmt: skip
        if at == own[change.name]:
            assert change.sensitivity == pytest.approx(swept.sensitivity, rel=1e-3)
        place = round(at / 0.05)
        slopes.append(swept.sensitivity)
        numeric.append((swept.steps[place + 1].value - swept.steps[place - 1].value) / 0.1)
        spreads.append(np.ptp([step.value for step in swept.steps]))
    # Pictures are rounded to whole grey levels, and the answer bends within a tenth of the range,
    # so a sweep wavers about its slope.
    np.testing.assert_allclose(slopes, numeric, rtol=0.1, atol=0.1 * max(spreads))


async def test_eleven_steps_by_default_and_no_pictures_on_request(stubs, make_tile):
    answer = await stubs.explain.Forward(forward(make_tile(), steps=0, without_images=True))
    assert len(answer.steps) == 11
    assert not any(step.edited_png for step in answer.steps)


async def test_stated_attributes_go_before_the_reference_lots(stubs, make_tile):
    known = await stubs.explain.Forward(forward(make_tile()))
    stated = [
        explain_pb2.AttributeValue(name=name, value=0.5)
        for name in ("size", "porosity", "polydispersity", "facetness")
    ]
    other = await stubs.explain.Forward(forward(make_tile(lot_id="new"), attributes=stated))
    assert [step.value for step in other.steps] != [step.value for step in known.steps]


async def test_backward_moves_the_prediction_towards_the_target(stubs, make_tile):
    before = (await stubs.predict.Predict(predict_pb2.PredictRequest(tile=make_tile()))).value
    target = before * 1.05
    answer = await stubs.explain.Backward(backward(make_tile(), target=target, tolerance=10))

    assert answer.before == pytest.approx(before, rel=1e-5)
    assert abs(answer.after - target) < abs(before - target)
    assert answer.reached == (abs(answer.after - target) <= 10)
    assert all(0 <= change.after <= 1 for change in answer.changes)
    shown = await stubs.predict.Predict(
        predict_pb2.PredictRequest(tile=make_tile(file=answer.edited_png))
    )
    assert np.isfinite(shown.value)
    assert 1 <= answer.evaluations <= 200


async def test_immutable_attributes_stay(stubs, make_tile):
    answer = await stubs.explain.Backward(
        backward(make_tile(), target=2000, immutable=["size", "porosity", "polydispersity"])
    )
    unchanged = [change.before == change.after for change in answer.changes]
    assert unchanged[:3] == [True, True, True]


async def test_a_target_out_of_reach_is_said_with_the_nearest_that_was_found(stubs, make_tile):
    answer = await stubs.explain.Backward(backward(make_tile(), target=50_000, max_evaluations=20))
    assert not answer.reached
    assert answer.evaluations <= 20
    assert answer.after > answer.before


async def test_attributes_stay_within_the_ranges_that_are_allowed(stubs, make_tile):
    free = await stubs.explain.Backward(backward(make_tile(), target=50_000, max_evaluations=30))
    ranges = [
        allowed(change.name, max(0.0, change.before - 0.05), min(1.0, change.before + 0.05))
        for change in free.changes
    ]
    held = await stubs.explain.Backward(
        backward(make_tile(), target=50_000, max_evaluations=30, ranges=ranges)
    )
    assert max(abs(change.after - change.before) for change in free.changes) > 0.06
    assert all(abs(change.after - change.before) <= 0.05 + 1e-9 for change in held.changes)
    assert held.after < free.after


async def test_an_answer_says_how_far_it_is_to_be_believed(stubs, make_tile):
    before = (await stubs.predict.Predict(predict_pb2.PredictRequest(tile=make_tile()))).value
    answer = await stubs.explain.Backward(
        backward(make_tile(), target=before * 1.04, starts=3, costs=[costing("size", 2.0)])
    )
    quality = answer.explanation_quality
    moved = {c.name: abs(c.after - c.before) for c in answer.changes if c.after != c.before}
    assert quality.changed == len(moved) > 0
    costs = [moved[name] * (2.0 if name == "size" else 1.0) for name in moved]
    assert quality.cost == pytest.approx(sum(costs))
    assert quality.starts == 3
    assert quality.starts_reached <= 3
    assert (quality.spread > 0) == (quality.starts_reached > 1)
    assert not answer.ended_by_deadline


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"vary": "colour"}, "ATTRIBUTE_UNKNOWN"),
        ({"vary": ""}, "ATTRIBUTE_UNKNOWN"),
        ({"steps": 1}, "STEPS_OUT_OF_RANGE"),
        ({"steps": 102}, "STEPS_OUT_OF_RANGE"),
        ({"attributes": [{"name": "size", "value": 1.5}]}, "ATTRIBUTE_OUT_OF_RANGE"),
        ({"attributes": [{"name": "size", "value": float("nan")}]}, "ATTRIBUTE_OUT_OF_RANGE"),
        ({"attributes": [{"name": "size"}, {"name": "size"}]}, "ATTRIBUTE_TWICE"),
    ],
)
async def test_contradictory_sweeps_are_refused(stubs, make_tile, fields, reason):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.explain.Forward(forward(make_tile(), **fields))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(refused.value) == reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"target": float("inf")}, "TARGET_INVALID"),
        ({"target": float("nan")}, "TARGET_INVALID"),
        ({"tolerance": -1}, "TOLERANCE_INVALID"),
        ({"max_evaluations": 3000}, "EVALUATIONS_OUT_OF_RANGE"),
        ({"immutable": ["colour"]}, "ATTRIBUTE_UNKNOWN"),
        ({"starts": 17}, "STARTS_OUT_OF_RANGE"),
        ({"ranges": [allowed("colour", 0, 1)]}, "ATTRIBUTE_UNKNOWN"),
        ({"ranges": [allowed("size", 0.8, 0.2)]}, "RANGE_INVALID"),
        ({"ranges": [allowed("size", -0.1, 1)]}, "RANGE_INVALID"),
        ({"ranges": [allowed("size", 0, float("nan"))]}, "RANGE_INVALID"),
        ({"ranges": [allowed("size", 0, 1), allowed("size", 0, 1)]}, "ATTRIBUTE_TWICE"),
        ({"ranges": [allowed("size", 0.99, 1)]}, "RANGE_EXCLUDES_LOT"),
        ({"costs": [costing("size", 0)]}, "COST_INVALID"),
        ({"costs": [costing("size", float("inf"))]}, "COST_INVALID"),
        ({"costs": [costing("colour", 1)]}, "ATTRIBUTE_UNKNOWN"),
        (
            {"immutable": ["size", "porosity", "polydispersity", "facetness"]},
            "NOTHING_MUTABLE",
        ),
    ],
)
async def test_contradictory_searches_are_refused(stubs, make_tile, fields, reason):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.explain.Backward(backward(make_tile(), **fields))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(refused.value) == reason


async def test_an_unknown_lot_must_state_its_attributes(stubs, make_tile):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.explain.Forward(forward(make_tile(lot_id="nobody's")))
    assert reason_of(refused.value) == "ATTRIBUTES_MISSING"
    assert "porosity" in refused.value.details()


@pytest.mark.parametrize("reason", BAD_TILE_REASONS)
async def test_bad_tiles_are_refused_with_their_reason(stubs, make_tile, pictures, reason):
    bad = make_tile(**bad_tiles(pictures[0])[reason])
    for call in (
        stubs.explain.Forward(forward(bad)),
        stubs.explain.Backward(backward(bad)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert reason_of(refused.value) == reason


async def test_streams_go_on_after_a_bad_tile(stubs, make_tile):
    empty = make_tile(1, file=b"")

    async def sweeps():
        for tile in (make_tile(0), empty, make_tile(2)):
            yield explain_pb2.ForwardStreamRequest(request=forward(tile, steps=2))

    async def searches():
        for tile in (empty, make_tile(2, file=png(np.full((256, 256), 90, np.uint8)))):
            yield explain_pb2.BackwardStreamRequest(
                request=backward(tile, max_evaluations=1, allow_unfamiliar=True)
            )

    swept = [a.WhichOneof("outcome") async for a in stubs.explain.ForwardStream(sweeps())]
    searched = [a.WhichOneof("outcome") async for a in stubs.explain.BackwardStream(searches())]
    assert swept == ["result", "error", "result"]
    assert searched == ["error", "result"]


async def test_a_known_tile_and_its_edits_are_familiar_and_say_so(stubs, make_tile):
    swept = await stubs.explain.Forward(forward(make_tile()))
    assert 0.01 < swept.familiarity.value <= 1
    assert not swept.familiarity.unfamiliar
    assert swept.familiarity.known_tiles_version
    assert all(0 < step.realism <= 1 for step in swept.steps)
    found = await stubs.explain.Backward(backward(make_tile()))
    assert 0 < found.explanation_quality.realism <= 1
    assert found.familiarity == swept.familiarity


async def test_realism_is_the_familiarity_of_the_edited_picture(stubs, make_tile):
    found = await stubs.explain.Backward(backward(make_tile()))
    seen = await stubs.explain.Forward(
        forward(make_tile(file=found.edited_png), allow_unfamiliar=True)
    )
    assert found.explanation_quality.realism == pytest.approx(seen.familiarity.value, rel=1e-6)


@pytest.mark.parametrize("ask", ["Forward", "Backward"])
async def test_a_tile_like_no_other_is_explained_on_request_alone_and_marked(stubs, make_tile, ask):
    make = forward if ask == "Forward" else backward
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await getattr(stubs.explain, ask)(make(make_tile(file=png(stripes()))))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(refused.value) == "TILE_UNFAMILIAR"
    answer = await getattr(stubs.explain, ask)(
        make(make_tile(file=png(stripes())), allow_unfamiliar=True)
    )
    assert answer.familiarity.unfamiliar
