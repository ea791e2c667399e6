"""The calibration of a trained committee, and the answers that judge it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lotwise.core.calibration import read_calibration
from lotwise.core.errors import Contradiction
from lotwise.core.policy import ReferralPolicy
from lotwise.core.uncertainty import committee_probabilities, softmax
from lotwise_training.calibration.policy import (
    PredictedTiles,
    calibration_shortage,
    committee_sha256,
    fit_committee,
    write_fitted,
)
from lotwise_training.data.splits import region_blocked
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.evaluation.predictions import CalibrationCheck
from lotwise_training.inference.predict import MembersPredictor, load_members, predict_logits
from lotwise_training.models.wide_resnet import WideResNet
from lotwise_training.store.arrays import ResultsError, find, write
from tests.training.small_lots import RECIPE, folder_lots
from tests.training.small_runs import LOTS, write_committee

PX = 16


def tiles(per_lot, seed):
    """Noise about a grey that tells the lot."""
    rng = np.random.default_rng(seed)
    labels = np.arange(per_lot * len(LOTS)) % len(LOTS)
    grey = 40 + 50 * labels[:, None, None] + rng.normal(0, 10, (len(labels), PX, PX))
    return grey.clip(0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    write_committee(runs / "committee")
    for file in (runs / "committee").glob("*.npz"):
        file.unlink()
    for name in ("calibration.json", "referral_policy.json"):
        (runs / "committee" / name).unlink()
    return runs


def answered(predictor, per_lot, seed):
    images, labels = tiles(per_lot, seed)
    return PredictedTiles(images, labels, predictor.predict(images))


@pytest.fixture(scope="module")
def fitted(runs):
    predictor = PredictionCache(runs, RECIPE)
    fitted = fit_committee(
        answered(predictor, 40, 1),
        answered(predictor, 30, 2),
        RECIPE.policy,
        lot_ids=LOTS,
        origins=("simulated", "a furnace", "a furnace", "a furnace"),
        weights_sha256=committee_sha256(load_members(runs / "committee")[0]),
    )
    write_fitted(fitted, runs / "committee")
    return fitted


def test_members_say_all_that_they_serve(runs):
    members, _ = load_members(runs / "committee")
    images, _ = tiles(20, 3)
    outputs = MembersPredictor(members, "a" * 64).outputs(images)
    one_by_one = np.stack([predict_logits(member, images) for member in members], axis=1)
    np.testing.assert_allclose(outputs.logits, one_by_one, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        logits, features, early = members[1](torch.from_numpy(images[:5, None]))
    np.testing.assert_allclose(outputs.logits[:5, 1], logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs.blocks["features"][:5, 1], features, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(outputs.blocks["early"][:5, 1], early, rtol=1e-4, atol=1e-5)


def test_the_committee_is_asked_once(runs, monkeypatch):
    predictor = PredictionCache(runs, RECIPE)
    images, _ = tiles(5, 4)
    first = predictor.predict(images)
    monkeypatch.setattr(MembersPredictor, "outputs", lambda *_: pytest.fail("asked again"))
    again = PredictionCache(runs, RECIPE).predict(images)
    np.testing.assert_array_equal(first.logits, again.logits)
    for name in ("features", "early"):
        np.testing.assert_array_equal(first.blocks[name], again.blocks[name])
    with pytest.raises(pytest.fail.Exception, match="asked again"):
        PredictionCache(runs, RECIPE).predict(images ^ 1)


def test_the_policy_rests_on_the_calibration_tiles_and_is_measured_on_others(fitted, runs):
    policy = ReferralPolicy.read(runs / "committee" / "referral_policy.json")
    assert policy == fitted.policy
    assert policy.calibration_set.tiles == 40 * len(LOTS)
    assert policy.measured.tiles == 30 * len(LOTS)
    assert policy.calibration_set.origin == "simulated"
    assert policy.request.kind == "threshold"
    calibrated = read_calibration(runs / "committee")
    assert calibrated.calibration == fitted.calibrated.calibration
    # An untrained committee says the same of every lot; what it says is taken back to chance.
    images, labels = tiles(30, 2)
    pooled = committee_probabilities(softmax(PredictionCache(runs, RECIPE).predict(images).logits))
    wrong = pooled.argmax(axis=1) != labels
    if policy.measured.coverage == 1.0:
        assert policy.measured.error == pytest.approx(wrong.mean())


def test_fresh_tiles_are_asked_in_parts_and_stored_with_what_they_judge(
    fitted, runs, tmp_path, monkeypatch
):
    images, labels = tiles(30, 5)
    predictor = PredictionCache.with_calibration(runs, RECIPE, needed=True)
    judged = predictor.predict_fresh(images, labels, fitted.calibrated, fitted.policy, at_once=50)
    outputs = predictor.predict(images)
    np.testing.assert_allclose(judged.fresh.pooled, outputs.pooled, atol=1e-3)
    np.testing.assert_allclose(judged.fresh.familiarity, predictor.familiarity(outputs), rtol=1e-6)
    write(tmp_path, judged)
    again = find(CalibrationCheck, tmp_path)
    np.testing.assert_array_equal(again.fresh.labels, labels)
    np.testing.assert_array_equal(again.fresh.log_probabilities, judged.fresh.log_probabilities)
    assert again.calibration == fitted.calibrated.calibration
    assert again.policy == fitted.policy
    # A second call asks nobody.
    monkeypatch.setattr(MembersPredictor, "outputs", lambda *_: pytest.fail("asked again"))
    PredictionCache(runs, RECIPE).predict_fresh(images, labels, fitted.calibrated, fitted.policy)


def test_fresh_answers_that_were_changed_are_refused(fitted, runs, tmp_path):
    assert find(CalibrationCheck, tmp_path) is None
    images, labels = tiles(5, 6)
    write(
        tmp_path,
        PredictionCache(runs, RECIPE).predict_fresh(
            images, labels, fitted.calibrated, fitted.policy
        ),
    )
    path = tmp_path / "fresh_predictions.npz"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ResultsError, match="manifest"):
        find(CalibrationCheck, tmp_path)
    path.unlink()
    with pytest.raises(ResultsError, match=r"fresh_predictions\.npz"):
        find(CalibrationCheck, tmp_path)


def test_a_committee_that_is_not_calibrated_says_no_familiarity_or_is_refused(fitted, tmp_path):
    write_committee(tmp_path / "committee")
    (tmp_path / "committee" / "referral_policy.json").unlink()
    predictor = PredictionCache.with_calibration(tmp_path, RECIPE, needed=False)
    assert predictor.familiarity(predictor.predict(tiles(2, 1)[0])) is None
    (tmp_path / "committee" / "calibration.json").unlink()
    with pytest.raises(Contradiction) as refused:
        PredictionCache.with_calibration(tmp_path, RECIPE, needed=True)
    assert refused.value.reason == "CALIBRATION_MISSING"


def test_a_calibration_of_other_members_is_refused(fitted, tmp_path):
    write_committee(tmp_path / "committee", LOTS[:3])
    write_fitted(fitted, tmp_path / "committee")
    with pytest.raises(Contradiction) as refused:
        PredictionCache.with_calibration(tmp_path, RECIPE, needed=True)
    assert refused.value.reason == "CALIBRATION_MISMATCH"


def test_a_recipe_asks_for_what_a_laboratory_could_ask_for():
    with pytest.raises(ValueError, match="refers every lot"):
        replace(RECIPE.policy, max_referred_share=0.2)


def test_the_hash_follows_every_weight_and_the_order_of_members():
    torch.manual_seed(0)
    first, second = WideResNet(10, 1, 2), WideResNet(10, 1, 2)
    whole = committee_sha256([first, second])
    assert len(whole) == 64
    assert whole == committee_sha256([first, second])
    assert whole != committee_sha256([second, first])
    with torch.no_grad():
        first.head.bias[0] += 1e-6
    assert whole != committee_sha256([first, second])


def test_tiles_that_are_kept_to_calibrate_carry_a_policy_or_the_number_needed_is_named():
    recipe = RECIPE.policy  # 45 tiles for its familiarity
    enough, few = (folder_lots(*[[(4, 4)] * regions] * lots) for regions, lots in ((6, 3), (6, 2)))
    none = folder_lots([(8, 8)], [(3, 3)])
    found = [calibration_shortage(data, region_blocked(data, 0), recipe) for data in (enough, few)]
    assert found[0] is None
    assert found[1].reason == "CALIBRATION_TOO_SMALL"
    assert "32 tiles are too few" in found[1].message
    assert "at least 45" in found[1].message
    error = calibration_shortage(none, region_blocked(none, 0), recipe)
    assert error.reason == "CALIBRATION_LOT_TOO_SMALL"
    assert "lot L1 has 9 tiles in 1 region and needs about 6 such regions" in error.message
