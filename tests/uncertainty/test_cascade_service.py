"""A cascade behind the uncertainty service: few members first, all where it matters."""

import numpy as np
import pytest

from lotwise.core.calibration import read_calibration
from lotwise.core.cascade import CASCADE_FILE, Cascade
from lotwise.core.errors import Contradiction
from lotwise.core.tile import DecodedTile
from lotwise.runtime.cascade_models import FIRST, REST, part_name
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference
from lotwise.runtime.model_config import read_pbtxt
from lotwise.uncertainty.calibrations import Calibrations
from lotwise.uncertainty.handler import UncertaintyHandler
from lotwise.v1 import uncertainty_pb2
from tests.support.tiles import png


@pytest.fixture(scope="module")
def cascade(repository):
    return Cascade.read(repository / "committee" / CASCADE_FILE)


def test_its_models_hold_the_members_of_the_committee(repository):
    whole = read_pbtxt(repository / "committee" / "config.pbtxt").metadata
    parts = [
        read_pbtxt(repository / part_name("committee", part) / "config.pbtxt").metadata
        for part in (FIRST, REST)
    ]
    assert sum(part.members for part in parts) == whole.members
    assert len({part.weights_sha256 for part in (whole, *parts)}) == 3


async def test_members_that_are_asked_apart_say_what_they_say_together(repository, pictures):
    engine = OnnxRuntimeInference(repository)
    image = {"image": np.stack([each[::4, ::4] for each in pictures[:4]])[:, None]}
    whole, first, rest = [
        await engine.infer(name, image)
        for name in ("committee", "committee_first", "committee_rest")
    ]
    await engine.close()
    for name, tensor in whole.items():
        apart = np.concatenate([first[name], rest[name]], axis=1)
        np.testing.assert_allclose(tensor, apart, atol=1e-4)


async def test_answers_are_those_of_the_first_members_or_of_all(
    services, stubs, make_tile, pictures, cascade, repository
):
    registry = services["uncertainty"]._service.registry

    def asked():
        labels = {"model": "committee"}
        name = "lotwise_uncertainty_member_evaluations_total"
        return registry.get_sample_value(name, labels) or 0

    first = read_calibration(repository / "committee_first").calibration
    rng = np.random.default_rng(0)
    strange = png(rng.integers(0, 256, (256, 256), dtype=np.uint8))
    tiles = [make_tile(i) for i in range(len(pictures))] + [make_tile(0, file=strange)]
    counts = []
    for tile in tiles:
        before = asked()
        answer = await stubs.uncertainty.Assess(
            uncertainty_pb2.AssessRequest(tile=tile, cascade=True)
        )
        assert asked() == before + answer.asked_members
        assert answer.calibration.version == cascade.calibration.calibration_version
        assert answer.members == 4
        counts.append(answer.asked_members)
        by_all = await stubs.uncertainty.Assess(uncertainty_pb2.AssessRequest(tile=tile))
        assert by_all.asked_members == by_all.members == 4
        alone = await stubs.uncertainty.Assess(
            uncertainty_pb2.AssessRequest(tile=tile, model="committee_first")
        )
        same = by_all if answer.asked_members == 4 else alone
        assert answer.confidence == pytest.approx(same.confidence, abs=1e-4)
        assert answer.familiarity == pytest.approx(same.familiarity, abs=1e-3)
        assert answer.predictive_entropy_nats == pytest.approx(
            same.predictive_entropy_nats, abs=1e-4
        )
        # The place of a tile is of the first members, whoever else was asked.
        assert answer.diagnosis == alone.diagnosis
        assert alone.calibration.version == first.calibration_version
    # Both happen: what is plainly strange is done, what is doubtful is not.
    assert set(counts) == {2, 4}
    assert counts[-1] == 2


def linked(repository, folder, *, without=()):
    """A repository of links, in which some files of the committee are missing."""
    for model in ("committee", "committee_first", "committee_rest"):
        (folder / model).mkdir()
        for each in (repository / model).iterdir():
            if each.name not in without:
                (folder / model / each.name).symlink_to(each)
    return folder


async def refused(models, repository, pictures):
    handler = UncertaintyHandler(
        OnnxRuntimeInference(repository), Calibrations(models), "committee"
    )
    tile = DecodedTile(grey=pictures[0], um_per_px=1.0)
    with pytest.raises(Contradiction) as refusal:
        await handler.assess(tile, cascade=True)
    await handler.inference.close()
    return refusal.value.reason


async def test_a_committee_without_a_cascade_says_so(tmp_path, repository, pictures):
    models = linked(repository, tmp_path, without=(CASCADE_FILE,))
    assert await refused(models, repository, pictures) == "CASCADE_MISSING"


async def test_a_cascade_of_another_calibration_is_refused(tmp_path, repository, pictures, cascade):
    models = linked(repository, tmp_path, without=(CASCADE_FILE,))
    other = cascade.model_copy(update={"calibration_version": "another"})
    other.write(models / "committee" / CASCADE_FILE)
    assert await refused(models, repository, pictures) == "CASCADE_MISMATCH"


async def test_first_members_that_are_not_calibrated_are_refused(tmp_path, repository, pictures):
    models = linked(repository, tmp_path)
    (models / "committee_first" / "calibration.json").unlink()
    assert await refused(models, repository, pictures) == "CALIBRATION_MISSING"
