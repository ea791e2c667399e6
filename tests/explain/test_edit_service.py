"""One edit for a slider, and pairs of attributes."""

import grpc
import numpy as np
import pytest

from lotwise.explain.recent import KEPT
from lotwise.runtime.status import reason_of
from lotwise.v1 import explain_pb2
from tests.support.tiles import png, stripes


def values(**attributes):
    return [
        explain_pb2.AttributeValue(name=name, value=value) for name, value in attributes.items()
    ]


def edit(tile, wanted, **fields):
    return explain_pb2.EditRequest(tile=tile, wanted=values(**wanted), **fields)


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    return reason_of(refused.value)


async def test_an_edit_is_the_step_of_a_sweep(stubs, make_tile):
    swept = await stubs.explain.Forward(
        explain_pb2.ForwardRequest(tile=make_tile(), vary="porosity", steps=3)
    )
    edited = await stubs.explain.Edit(edit(make_tile(), {"porosity": 0.5}))
    step = swept.steps[1]
    assert edited.value == pytest.approx(step.value, rel=1e-4)
    assert edited.original == pytest.approx(swept.original, rel=1e-6)
    assert edited.edited_png == step.edited_png
    assert edited.realism == pytest.approx(step.realism)
    (changed,) = (each for each in edited.attributes if each.name == "porosity")
    assert changed.after == 0.5
    assert changed.measured_change == pytest.approx(step.measured_change, abs=1e-3)
    assert [each.name for each in edited.attributes if each.before != each.after] == ["porosity"]


async def test_a_tile_that_was_asked_about_is_answered_the_same(stubs, make_tile):
    tile = make_tile(1)
    first = await stubs.explain.Edit(edit(tile, {"size": 0.7}))
    for other in range(KEPT + 1):
        shade = np.full((256, 256), 60 + other, np.uint8)
        shade[::7] += 40
        request = edit(make_tile(file=png(shade)), {"size": 0.1}, allow_unfamiliar=True)
        await stubs.explain.Edit(request)
    again = await stubs.explain.Edit(edit(tile, {"size": 0.7}))
    kept = await stubs.explain.Edit(edit(tile, {"size": 0.7}))
    for answer in (again, kept):
        assert answer.value == pytest.approx(first.value, rel=1e-6)
        assert answer.edited_png == first.edited_png


async def test_nothing_wanted_is_the_tile_itself(stubs, make_tile):
    edited = await stubs.explain.Edit(edit(make_tile(), {}))
    assert edited.value == pytest.approx(edited.original, rel=1e-6)
    assert all(each.measured_change == 0 for each in edited.attributes)


async def test_without_its_picture_an_edit_says_the_rest(stubs, make_tile):
    edited = await stubs.explain.Edit(edit(make_tile(), {"size": 0.2}, without_image=True))
    assert not edited.edited_png
    assert edited.HasField("realism")
    assert edited.value != edited.original


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [({"colour": 0.5}, "ATTRIBUTE_UNKNOWN"), ({"size": 1.5}, "ATTRIBUTE_OUT_OF_RANGE")],
)
async def test_an_edit_that_makes_no_sense_is_refused(stubs, make_tile, wanted, reason):
    assert await refusal(stubs.explain.Edit(edit(make_tile(), wanted))) == reason


async def test_a_strange_tile_is_edited_on_request_alone_each_time(stubs, make_tile):
    tile = make_tile(file=png(stripes()))
    marked = await stubs.explain.Edit(edit(tile, {"size": 0.5}, allow_unfamiliar=True))
    assert marked.familiarity.unfamiliar
    # It is known from a moment ago, and strange all the same.
    assert await refusal(stubs.explain.Edit(edit(tile, {"size": 0.5}))) == "TILE_UNFAMILIAR"


async def test_a_pair_is_swept_over_all_combinations(stubs, make_tile):
    answer = await stubs.explain.Forward(
        explain_pb2.ForwardRequest(
            tile=make_tile(), vary="size", vary_also="porosity", steps=3, without_images=True
        )
    )
    at = [(step.attribute_value, step.also_value) for step in answer.steps]
    assert at == [(a, b) for a in (0, 0.5, 1) for b in (0, 0.5, 1)]
    assert (answer.attribute, answer.attribute_also) == ("size", "porosity")
    assert not any(step.HasField("measured_change") for step in answer.steps)
    one = await stubs.explain.Edit(edit(make_tile(), {"size": 1.0, "porosity": 0.5}))
    assert answer.steps[7].value == pytest.approx(one.value, rel=1e-4)
    alone = await stubs.explain.Forward(
        explain_pb2.ForwardRequest(tile=make_tile(), vary="porosity", steps=2)
    )
    assert answer.sensitivity_also == pytest.approx(alone.sensitivity, rel=1e-5)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"vary_also": "size"}, "ATTRIBUTE_TWICE"),
        ({"vary_also": "colour"}, "ATTRIBUTE_UNKNOWN"),
        ({"vary_also": "porosity", "steps": 32}, "STEPS_OUT_OF_RANGE"),
    ],
)
async def test_a_pair_that_makes_no_sense_is_refused(stubs, make_tile, fields, reason):
    request = explain_pb2.ForwardRequest(tile=make_tile(), vary="size", **fields)
    assert await refusal(stubs.explain.Forward(request)) == reason
