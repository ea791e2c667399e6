"""A cascade decides as the whole committee, or asks it."""

import json

import numpy as np
import pytest

from lotwise.calibration.cascade import fit_beside, write_cascade
from lotwise.core.calibration import read_calibration
from lotwise.core.calibration_fit import calibrate
from lotwise.core.cascade import (
    CASCADE_FILE,
    CASCADE_POLICY_FILE,
    SAME,
    Cascade,
    Scores,
    committee_scores,
    look,
    part_sha256,
    with_products,
)
from lotwise.core.cascade_fit import (
    MOST_OTHER,
    cascaded,
    evaluations,
    first_members,
    fit_cascade,
    same_decisions,
)
from lotwise.core.errors import Contradiction
from lotwise.core.policy import ReferralPolicy
from lotwise.core.signature import ModelMetadata, ModelSignature, ReferenceLot, TensorSpec
from lotwise.runtime.cascade_models import write_cascade_models
from lotwise.runtime.model_config import write_pbtxt
from tests.support.committees import COVERAGE, LOTS, MEMBERS, WEIGHTS, known_tiles, labelled

TILES = labelled(6000)
FITTED = calibrate(TILES, COVERAGE, WEIGHTS)


@pytest.fixture(scope="module")
def found():
    return fit_cascade(TILES, FITTED, 2, "first", "rest")


def test_a_cascade_decides_as_the_whole_committee_at_less_cost(found):
    assert found.cascade.equal >= 1 - MOST_OTHER
    assert 2 / MEMBERS < found.cascade.evaluations < 0.9
    outputs, _ = known_tiles(4000, 77)
    of_all = committee_scores(FITTED.calibrated, outputs)
    said = cascaded(found.cascade, look(found.first, first_members(outputs, 2)), of_all)
    same = same_decisions(said.scores, of_all, found.policy, FITTED.policy)
    # On tiles that took part in nothing; three standard errors of 4,000 tiles.
    assert same.mean() > 1 - MOST_OTHER - 3 * np.sqrt(MOST_OTHER / 4000)
    assert evaluations(said.done, 2, MEMBERS) == pytest.approx(found.cascade.evaluations, abs=0.05)
    # What is not done has the scores of all, what is done those of the first.
    first = look(found.first, first_members(outputs, 2)).scores
    for name in ("error_probability", "familiarity", "named"):
        mixed = np.where(said.done, getattr(first, name), getattr(of_all, name))
        np.testing.assert_array_equal(getattr(said.scores, name), mixed)


def test_its_score_is_the_chance_of_error_whoever_was_asked(found):
    outputs, labels = known_tiles(20_000, 78)
    of_all = committee_scores(FITTED.calibrated, outputs)
    said = cascaded(found.cascade, look(found.first, first_members(outputs, 2)), of_all)
    for group in (said.done, ~said.done):
        wrong = said.scores.named[group] != labels[group]
        error = 4 * wrong.std() / np.sqrt(group.sum())
        expected = said.scores.error_probability[group].mean()
        assert wrong.mean() == pytest.approx(expected, abs=0.015 + error)


def test_its_policy_keeps_its_own_promise(found):
    outputs, _ = known_tiles(8000, 79)
    of_all = committee_scores(FITTED.calibrated, outputs)
    said = cascaded(found.cascade, look(found.first, first_members(outputs, 2)), of_all)
    policy = found.policy
    accepted = said.scores.accepted(policy.max_score, policy.request.min_familiarity)
    assert accepted.mean() >= COVERAGE.target - 0.01
    assert policy.calibration_version == found.cascade.calibration.calibration_version
    assert policy.policy_version != FITTED.policy.policy_version
    assert policy.weights_sha256 == WEIGHTS


def test_the_first_members_have_a_calibration_of_their_own(found):
    first = found.first.calibration
    assert first.weights_sha256 == part_sha256(WEIGHTS, [0, 1]) != WEIGHTS
    assert first.calibration_version == found.cascade.first_calibration_version
    assert found.first.familiarity.blocks["features"].centre.shape[0] == 2


def test_too_few_tiles_give_no_cascade():
    few = labelled(600)
    assert fit_cascade(few, calibrate(few, COVERAGE, WEIGHTS), 2, "first", "rest") is None


def a_cascade(found, sure_of=SAME, **changes):
    """One that goes by nothing, and is nearly sure of one outcome."""
    weights = np.zeros((len(found.cascade.weights), 3))
    weights[0, sure_of] = 20.0
    changes |= {"weights": tuple(map(tuple, weights.tolist()))}
    return found.cascade.model_copy(update=changes)


def test_a_tile_is_done_only_where_the_first_members_decide_so_themselves(found):
    outputs, _ = known_tiles(500, 80)
    seen = look(found.first, first_members(outputs, 2))
    policy = FITTED.policy
    accepted = seen.scores.accepted(policy.max_score, policy.request.min_familiarity)
    assert 0 < accepted.mean() < 1
    done = a_cascade(found).done(seen.described, seen.scores)
    np.testing.assert_array_equal(done, accepted)
    other = a_cascade(found, sure_of=2).done(seen.described, seen.scores)
    assert not other.any()


def test_products_are_those_of_any_two():
    columns = with_products(np.array([[2.0, 3.0], [9.0, -9.0]]))
    np.testing.assert_array_equal(columns[0], [1, 2, 3, 4, 6, 9])
    # What lies far out is drawn in.
    np.testing.assert_array_equal(columns[1], [1, 5, -5, 25, -25, 25])


def test_decisions_are_the_same_where_both_refer_or_name_the_same_lot():
    policy = FITTED.policy.model_copy(update={"max_score": 0.5})
    low = policy.request.min_familiarity

    def of(scores, named, familiarity=1.0):
        n = len(scores)
        return Scores(np.array(scores), np.full(n, familiarity), np.array(named))

    here = of([0.1, 0.1, 0.9, 0.9, 0.1], [0, 0, 0, 0, 0])
    there = of([0.2, 0.2, 0.8, 0.1, 0.9], [0, 1, 3, 0, 0])
    np.testing.assert_array_equal(
        same_decisions(here, there, policy, policy), [True, False, True, False, False]
    )
    strange = of([0.1] * 5, [0] * 5, low / 2)
    np.testing.assert_array_equal(
        same_decisions(strange, there, policy, policy), [False, False, True, False, True]
    )


def test_evaluations_are_those_of_the_first_and_of_the_rest_where_they_are_asked():
    assert evaluations(np.array([True, True, False, False]), 1, 4) == pytest.approx(0.625)
    assert evaluations(np.array([True]), 4, 16) == 0.25
    assert evaluations(np.array([False]), 4, 16) == 1.0


def test_cascades_that_differ_have_other_names(found):
    other = fit_cascade(TILES, FITTED, 1, "first", "rest")
    versions = {each.cascade.calibration.calibration_version for each in (found, other)}
    versions.add(FITTED.calibrated.calibration.calibration_version)
    assert len(versions) == 3


def test_it_is_read_as_it_was_written(found, tmp_path):
    path = tmp_path / CASCADE_FILE
    assert Cascade.read(path) is None
    found.cascade.write(path)
    assert Cascade.read(path) == found.cascade


@pytest.mark.parametrize(
    "change",
    [
        {"stop_at": 0.0},
        {"centre": [0.0]},
        {"weights": [[0.0, 0.0, 0.0]]},
        {"scale": None},
        {"further": 1},
    ],
)
def test_a_damaged_one_is_refused(found, tmp_path, change):
    path = tmp_path / CASCADE_FILE
    path.write_text(json.dumps(json.loads(found.cascade.model_dump_json()) | change))
    with pytest.raises(Contradiction) as refused:
        Cascade.read(path)
    assert refused.value.reason == "CASCADE_INVALID"


def test_another_calibration_is_refused(found):
    found.cascade.check(FITTED.calibrated, found.first)
    again = calibrate(labelled(2000, seed=3), COVERAGE, WEIGHTS)
    for whole, first in ((again.calibrated, found.first), (FITTED.calibrated, again.calibrated)):
        with pytest.raises(Contradiction) as refused:
            found.cascade.check(whole, first)
        assert refused.value.reason == "CASCADE_MISMATCH"


def committee(members):
    """A committee's signature, with the outputs of `known_tiles`."""
    return ModelSignature(
        name="committee",
        inputs=(TensorSpec(name="image", dtype="UINT8", shape=(1, 8, 8)),),
        outputs=(TensorSpec(name="logits", dtype="FP32", shape=(members, len(LOTS))),),
        metadata=ModelMetadata(
            weights_sha256=WEIGHTS,
            trained_on_simulated_lots=False,
            reference_lots=tuple(ReferenceLot(lot_id=lot, attributes=()) for lot in LOTS),
            members=members,
        ),
    )


@pytest.fixture
def models(tmp_path):
    """A repository with the models of a cascade."""
    (tmp_path / "committee").mkdir()
    write_pbtxt(committee(MEMBERS), tmp_path / "committee" / "config.pbtxt")
    write_cascade_models(tmp_path, committee(MEMBERS), "1")
    return tmp_path


def test_it_is_kept_beside_its_committee_and_removed_with_the_next_calibration(models):
    folder, first = models / "committee", models / "committee_first"
    found = fit_beside(models, "committee", TILES, FITTED)
    write_cascade(found, folder, first)
    assert Cascade.read(folder / CASCADE_FILE) == found.cascade
    assert (found.cascade.first, found.cascade.rest) == ("committee_first", "committee_rest")
    assert ReferralPolicy.read(folder / CASCADE_POLICY_FILE) == found.policy
    assert read_calibration(first).calibration == found.first.calibration
    few = labelled(600)
    none = fit_beside(models, "committee", few, calibrate(few, COVERAGE, WEIGHTS))
    write_cascade(none, folder, first)
    assert not (folder / CASCADE_FILE).exists()
    assert not (folder / CASCADE_POLICY_FILE).exists()
    assert not (first / "calibration.json").exists()


def test_a_repository_without_its_models_gets_none(tmp_path):
    assert fit_beside(tmp_path, "committee", TILES, FITTED) is None
