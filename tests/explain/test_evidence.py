"""What stands beside an explanation: where the regressor looked, and what is alike."""

import io

import numpy as np
import pytest
from PIL import Image

from lotwise.explain.looking import EXAMPLES, map_picture
from lotwise.v1 import explain_pb2
from tests.support.tiles import png


def pixels(content):
    with Image.open(io.BytesIO(content)) as picture:
        return picture.mode, np.asarray(picture)


@pytest.fixture
async def found(stubs, make_tile):
    request = explain_pb2.BackwardRequest(tile=make_tile(), target=1500.0)
    return await stubs.explain.Backward(request)


async def test_examples_are_real_tiles_of_different_lots_nearest_first(found):
    for examples in (found.evidence.examples, found.evidence.edited_examples):
        assert len(examples) == EXAMPLES
        distances = [example.distance for example in examples]
        assert distances == sorted(distances)
        assert distances[0] > 0
        assert len({example.lot_id for example in examples}) == EXAMPLES
        for example in examples:
            assert example.simulated
            assert pixels(example.picture_jpeg)[1].shape == (128, 128)


async def test_examples_are_about_as_strong_as_what_they_stand_for(found):
    # Of a tile whose stress the regressor gets right within a few percent.
    for examples, value in (
        (found.evidence.examples, found.before),
        (found.evidence.edited_examples, found.after),
    ):
        mean = np.mean([example.value for example in examples])
        assert mean == pytest.approx(value, rel=0.25)


async def test_the_map_is_a_picture_of_the_tiles_field(found):
    mode, shown = pixels(found.evidence.activation_map_png)
    assert (mode, shown.shape) == ("L", (256, 256))
    assert shown.max() > 200
    assert shown.std() > 5


async def test_the_map_follows_the_tile(stubs, make_tile):
    (tile, mirrored) = (make_tile(), make_tile())
    with Image.open(io.BytesIO(tile.file)) as picture:
        mirrored.file = png(np.asarray(picture)[:, ::-1])
    maps = []
    for each in (tile, mirrored):
        # Its light falls from the other side, which no instrument's does.
        request = explain_pb2.ForwardRequest(tile=each, vary="size", steps=2, allow_unfamiliar=True)
        answer = await stubs.explain.Forward(request)
        maps.append(pixels(answer.evidence.activation_map_png)[1].astype(float))
    turned = np.corrcoef(maps[0].ravel(), maps[1][:, ::-1].ravel())[0, 1]
    assert turned > 0.5
    assert turned > np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1] + 0.2


async def test_without_images_there_is_no_evidence(stubs, make_tile):
    answer = await stubs.explain.Forward(
        explain_pb2.ForwardRequest(tile=make_tile(), vary="size", steps=2, without_images=True)
    )
    assert not answer.HasField("evidence")
    assert answer.HasField("familiarity")


def test_a_map_is_black_where_nothing_raises_the_property():
    seen = np.array([[-3.0, 0.0], [1.0, 2.0]])
    shown = map_picture(seen, 64)
    assert shown[0, 0] == 0
    assert shown[-1, -1] == 255
    assert shown[-1, 0] == pytest.approx(128, abs=1)
    assert not map_picture(np.full((2, 2), -1.0), 8).any()
