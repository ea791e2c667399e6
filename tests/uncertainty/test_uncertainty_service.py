import math
import time

import grpc
import numpy as np
import onnxruntime
import pytest
from scipy.stats import entropy

from lotwise.core.calibration import read_calibration
from lotwise.core.diagnosis import DIAGNOSIS_FILE
from lotwise.core.errors import Contradiction
from lotwise.core.preprocessing import resample_area
from lotwise.core.tile import DecodedTile
from lotwise.core.uncertainty import softmax
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference
from lotwise.runtime.status import reason_of
from lotwise.uncertainty import __main__ as uncertainty
from lotwise.uncertainty.calibrations import Calibrations
from lotwise.uncertainty.handler import UncertaintyHandler
from lotwise.uncertainty.settings import UncertaintySettings
from lotwise.v1 import diagnosis_pb2, tile_pb2, uncertainty_pb2
from lotwise_simulator.benchmark import recipe_of, reference_lots
from tests.support.tiles import BAD_TILE_REASONS, bad_tiles, png


def request(tile, **fields):
    return uncertainty_pb2.AssessRequest(tile=tile, **fields)


async def test_probabilities_are_the_members_averaged_and_scaled(
    stubs, make_tile, pictures, repository
):
    answer = await stubs.uncertainty.Assess(request(make_tile()))

    image = resample_area(pictures[0], 64)[None, None]
    members = []
    for path in sorted((repository / "committee" / "1").glob("member_*.onnx")):
        session = onnxruntime.InferenceSession(path)
        members.append(softmax(session.run(["logits"], {"image": image})[0])[0])
    labels = (repository / "committee" / "labels.txt").read_text().split()
    averaged = sum(members) / len(members)
    temperature = read_calibration(repository / "committee").calibration.temperature
    assert temperature != pytest.approx(1)
    scaled = softmax(np.log(averaged) / temperature)
    expected = dict(zip(labels, scaled, strict=True))

    assert answer.members == len(members) >= 2
    assert labels == [lot.lot_id for lot in reference_lots()]
    got = {entry.reference_lot: entry.probability for entry in answer.probabilities}
    assert got == pytest.approx(expected, abs=1e-5)
    assert answer.error_probability == pytest.approx(1 - answer.confidence)
    # Entropies are those of the members as they are.
    assert answer.predictive_entropy_nats == pytest.approx(entropy(averaged), abs=1e-5)


async def test_an_answer_says_how_familiar_the_tile_is_and_what_it_is_calibrated_by(
    stubs, make_tile, pictures, repository
):
    calibrated = read_calibration(repository / "committee").calibration
    answers = [await stubs.uncertainty.Assess(request(make_tile(i))) for i in range(len(pictures))]
    assert all(0 < answer.familiarity <= 1 for answer in answers)
    assert sum(answer.familiarity >= 0.05 for answer in answers) > len(answers) / 2
    stated = answers[0].calibration
    assert stated.version == calibrated.calibration_version
    assert stated.temperature == calibrated.temperature
    assert stated.set.tiles == calibrated.calibration_set.tiles
    noise = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    strange = await stubs.uncertainty.Assess(request(make_tile(file=png(noise))))
    assert strange.familiarity < 0.01


async def test_age_and_drift_of_the_calibration_are_shown(services, stubs, make_tile, repository):
    calibration = read_calibration(repository / "committee").calibration
    registry = services["uncertainty"]._service.registry  # what /metrics shows
    labels = {"model": "committee", "version": calibration.calibration_version}
    age = registry.get_sample_value("lotwise_calibration_age_seconds", labels)
    fitted = calibration.calibration_set.date.timestamp()
    assert age == pytest.approx(time.time() - fitted, abs=60)
    await stubs.uncertainty.Assess(request(make_tile()))
    # Not yet a whole window of tiles.
    drift = registry.get_sample_value("lotwise_calibration_score_drift_psi", labels)
    assert math.isnan(drift)
    only = {"model": "committee"}
    for name in ("error_probability", "familiarity"):
        assert registry.get_sample_value(f"lotwise_uncertainty_{name}_count", only) > 0


async def test_tiles_are_counted_by_the_kind_of_shift_and_said_why(services, stubs, make_tile):
    registry = services["uncertainty"]._service.registry

    def counted():
        labels = {"model": "committee", "shift": "none"}
        return registry.get_sample_value("lotwise_uncertainty_diagnoses_total", labels) or 0

    before = counted()
    answer = await stubs.uncertainty.Assess(request(make_tile()))
    said = answer.diagnosis
    assert said.probabilities[0].shift == diagnosis_pb2.SHIFT_NONE
    assert said.action == ""
    assert [each.probability for each in said.probabilities] == sorted(
        (each.probability for each in said.probabilities), reverse=True
    )
    assert counted() == before + 1


async def test_a_service_whose_diagnosis_is_damaged_does_not_start(tmp_path, repository):
    (tmp_path / "committee").mkdir()
    for each in (repository / "committee").iterdir():
        (tmp_path / "committee" / each.name).symlink_to(each)
    (tmp_path / "committee" / DIAGNOSIS_FILE).unlink()
    (tmp_path / "committee" / DIAGNOSIS_FILE).write_bytes(b"PK no archive")
    settings = UncertaintySettings(engine="onnxruntime", model_repository=tmp_path)
    with pytest.raises(Contradiction) as refused:
        uncertainty.build(settings)
    assert refused.value.reason == "DIAGNOSIS_INVALID"


async def test_a_service_whose_committee_is_not_calibrated_does_not_start(tmp_path, repository):
    (tmp_path / "committee").mkdir()
    (tmp_path / "committee" / "config.pbtxt").symlink_to(repository / "committee" / "config.pbtxt")
    settings = UncertaintySettings(engine="onnxruntime", model_repository=tmp_path)
    with pytest.raises(Contradiction) as refused:
        uncertainty.build(settings)
    assert refused.value.reason == "CALIBRATION_MISSING"


async def test_a_calibration_of_other_weights_answers_nothing(tmp_path, repository, pictures):
    for file in (repository / "committee").iterdir():
        (tmp_path / "committee").mkdir(exist_ok=True)
        (tmp_path / "committee" / file.name).symlink_to(file)
    calibrated = read_calibration(repository / "committee")
    other = calibrated.calibration.model_copy(update={"weights_sha256": "0" * 64})
    (tmp_path / "committee" / "calibration.json").unlink()
    (tmp_path / "committee" / "calibration.json").write_text(other.model_dump_json())
    engine = OnnxRuntimeInference(repository)
    handler = UncertaintyHandler(engine, Calibrations(tmp_path), "committee")
    tile = DecodedTile(grey=pictures[0], um_per_px=1.0)
    with pytest.raises(Contradiction) as refused:
        await handler.assess(tile)
    assert refused.value.reason == "CALIBRATION_MISMATCH"
    await engine.close()


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
