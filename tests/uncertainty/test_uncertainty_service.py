import math

import grpc
import onnxruntime
import pytest
from scipy.stats import entropy

from lotwise.core.preprocessing import resample_area
from lotwise.core.uncertainty import softmax
from lotwise.runtime.status import reason_of
from lotwise.v1 import tile_pb2, uncertainty_pb2
from lotwise_simulator.benchmark import recipe_of, reference_lots
from tests.support.tiles import BAD_TILE_REASONS, bad_tiles


def request(tile, **fields):
    return uncertainty_pb2.AssessRequest(tile=tile, **fields)


async def test_probabilities_are_the_members_averaged(stubs, make_tile, pictures, repository):
    answer = await stubs.uncertainty.Assess(request(make_tile()))

    image = resample_area(pictures[0], 64)[None, None]
    members = []
    for path in sorted((repository / "committee" / "1").glob("member_*.onnx")):
        session = onnxruntime.InferenceSession(path)
        members.append(softmax(session.run(["logits"], {"image": image})[0])[0])
    labels = (repository / "committee" / "labels.txt").read_text().split()
    expected = dict(zip(labels, sum(members) / len(members), strict=True))

    assert answer.members == len(members) >= 2
    assert labels == [lot.lot_id for lot in reference_lots()]
    got = {entry.reference_lot: entry.probability for entry in answer.probabilities}
    assert got == pytest.approx(expected, abs=1e-5)
    assert answer.predictive_entropy_nats == pytest.approx(
        entropy(list(expected.values())), abs=1e-5
    )


async def test_an_answer_says_how_the_tile_was_read(stubs, make_tile):
    instrument = tile_pb2.Instrument(detector="SE", working_distance_mm=9.9)
    answer = await stubs.uncertainty.Assess(request(make_tile(instrument=instrument)))
    assert answer.reading.um_per_px == 1.0
    assert answer.reading.scale_source == tile_pb2.SCALE_SOURCE_STATED
    assert answer.reading.instrument == instrument


async def test_entropy_is_what_members_agree_on_plus_their_disagreement(stubs, make_tile):
    answer = await stubs.uncertainty.Assess(request(make_tile()))
    parts = answer.mean_member_entropy_nats + answer.mutual_information_nats
    assert answer.predictive_entropy_nats == pytest.approx(parts, abs=1e-9)
    assert 0 <= answer.predictive_entropy_nats <= math.log(len(answer.probabilities))


async def test_the_likeliest_lots_come_first_as_many_as_asked(stubs, make_tile):
    default = await stubs.uncertainty.Assess(request(make_tile()))
    two = await stubs.uncertainty.Assess(request(make_tile(), top_k=2))
    probabilities = [entry.probability for entry in default.probabilities]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1)
    assert (len(default.top), len(two.top)) == (3, 2)
    assert default.confidence == default.top[0].probability


async def test_the_recipe_of_most_new_tiles_is_recognised(stubs, make_tile, pictures):
    """A lot and its repeat are hard to tell apart, other recipes are not."""
    answers = [await stubs.uncertainty.Assess(request(make_tile(i))) for i in range(len(pictures))]
    recipes = [recipe_of(answer.top[0].reference_lot) for answer in answers]
    assert recipes.count(recipe_of("R01")) > len(recipes) / 2


@pytest.mark.parametrize("reason", BAD_TILE_REASONS)
async def test_bad_tiles_are_refused_with_their_reason(stubs, make_tile, pictures, reason):
    bad = make_tile(**bad_tiles(pictures[0])[reason])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.uncertainty.Assess(request(bad))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(refused.value) == reason


async def test_a_regressor_is_no_committee(stubs, make_tile):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.uncertainty.Assess(request(make_tile(), model="regressor"))
    assert reason_of(refused.value) == "MODEL_WRONG_KIND"


async def test_a_stream_answers_every_tile_in_order(stubs, make_tile, pictures):
    bad = bad_tiles(pictures[0])["TILE_TRUNCATED"]
    tiles = [make_tile(i, **(bad if i == 2 else {})) for i in range(6)]

    async def messages():
        for tile in tiles:
            yield uncertainty_pb2.AssessStreamRequest(request=request(tile))

    answers = [answer async for answer in stubs.uncertainty.AssessStream(messages())]
    assert [answer.tile_id for answer in answers] == [tile.tile_id for tile in tiles]
    failed = [answer.WhichOneof("outcome") == "error" for answer in answers]
    assert failed == [False, False, True, False, False, False]
