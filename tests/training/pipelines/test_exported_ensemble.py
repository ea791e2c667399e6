"""An exported committee is calibrated and judged without the run that made it."""

import json
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from lotwise.core.calibration import read_calibration
from lotwise.core.diagnosis import DIAGNOSIS_FILE, KINDS, Diagnosis
from lotwise.core.lot_diagnosis import LOT_DIAGNOSIS_FILE, LotCalibration
from lotwise.core.policy import ReferralPolicy
from lotwise_training.calibration.policy import POLICY_FILE
from lotwise_training.data.calibration_sets import CALIBRATION, FRESH, FreshTiles
from lotwise_training.data.synthetic_shifts import ShiftedTiles
from lotwise_training.evaluation import shifts
from lotwise_training.evaluation.predictions import (
    ENSEMBLE,
    SINGLE,
    CalibrationCheck,
    EnsembleResult,
    set_predictions,
)
from lotwise_training.evaluation.shifts import ShiftPredictions
from lotwise_training.export.repository import _keep_diagnosis, write_repository
from lotwise_training.pipelines import class_predictions as answers
from lotwise_training.pipelines import exported_ensemble as judging
from lotwise_training.pipelines.exported_ensemble import (
    ExportedCommittee,
    evaluate_exported,
    fit_diagnosis_of_exported,
)
from lotwise_training.report.diagnosis import diagnosis_section
from lotwise_training.report.render import Inputs
from lotwise_training.report.served_models import RecheckFailed
from lotwise_training.store.arrays import ResultsError, find, read, write
from tests.training.answered_tiles import ensemble_result
from tests.training.small_lots import RECIPE
from tests.training.small_runs import LOTS, write_committee

PX = 64
SPLIT = RECIPE.split


def tiles(each, seed):
    """Tiles of every lot: random pixels, a lot's own brightness."""
    lots = np.repeat(np.arange(len(LOTS)), each)
    noise = np.random.default_rng(seed).integers(0, 120, (len(lots), PX, PX))
    return FreshTiles((noise + 30 * lots[:, None, None]).astype(np.uint8), lots)


@dataclass
class Shop:
    """Recipes and tiles, small."""

    runs: object
    cache: object

    def recipe(self, kind, name):
        return RECIPE

    def fresh_tiles(self, name):
        return {CALIBRATION: tiles(100, 1), FRESH: tiles(30, 2)}[name]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    write_committee(folder / "runs" / "committee")
    write_repository(folder / "runs", folder / "models", folder, only=("committee",))
    return folder / "models"


@pytest.fixture
def results(exported, tmp_path):
    return stored(exported, tmp_path)


def stored(exported, tmp_path):
    weights = ExportedCommittee(exported).weights_sha256
    logits = np.zeros((4, 2, len(LOTS)))
    test = set_predictions(np.arange(4), np.arange(4), {SINGLE: logits[:, :1], ENSEMBLE: logits})
    stated = {"runs": {SPLIT: {"weights_sha256": {ENSEMBLE: weights}}}}
    write(tmp_path / "results", ensemble_result({(SPLIT, "test"): test}, stated))
    return tmp_path / "results"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    named = [SimpleNamespace(lot_id=lot) for lot in LOTS]
    monkeypatch.setattr(judging, "reference_lots", lambda: named)

    def shifted(name, cache):
        seen = tiles(20, 3 + len(name))
        return SimpleNamespace(images=seen.images, lots=seen.lots, __len__=lambda: len(seen))

    monkeypatch.setattr(judging, "benchmark_set", shifted)
    monkeypatch.setattr(answers, "benchmark_set", lambda name, cache: Sized(shifted(name, cache)))
    return Shop(tmp_path / "runs", tmp_path / "data")


class Sized:
    def __init__(self, dataset):
        self.images, self.lots = dataset.images, dataset.lots

    def __len__(self):
        return len(self.lots)


def test_calibration_and_judgement_rest_on_the_exported_weights(exported, results, workspace):
    fitted = evaluate_exported(workspace, exported, results)
    weights = ExportedCommittee(exported).weights_sha256
    assert read_calibration(exported / "committee").calibration == fitted.calibrated.calibration
    assert ReferralPolicy.read(exported / "committee" / POLICY_FILE) == fitted.policy
    assert fitted.policy.weights_sha256 == weights
    assert fitted.policy.measured.tiles == 20 * len(LOTS)
    judged = find(CalibrationCheck, results)
    assert len(judged.fresh) == 30 * len(LOTS)
    assert judged.policy == fitted.policy
    stored = read(EnsembleResult, results)
    outputs = stored.sets
    assert (SPLIT, "test") in outputs  # what is stored of the training stays
    assert outputs[SPLIT, "ground"].familiarity.shape == outputs[SPLIT, "ground"].tiles.shape
    assert stored.runs[SPLIT].weights_sha256[ENSEMBLE] == weights


def test_what_was_asked_is_not_asked_again(exported, results, workspace, monkeypatch):
    first = evaluate_exported(workspace, exported, results)
    monkeypatch.setattr(ExportedCommittee, "outputs", lambda *_: pytest.fail("asked again"))
    again = evaluate_exported(workspace, exported, results)
    assert again.calibrated.calibration.temperature == first.calibrated.calibration.temperature


def test_answers_of_another_committee_are_left_alone(exported, results, workspace):
    sets = read(EnsembleResult, results).sets
    runs = {SPLIT: {"weights_sha256": {ENSEMBLE: "0" * 64}}}
    write(results, ensemble_result(sets, {"runs": runs}))
    with pytest.raises(ResultsError, match="another committee"):
        evaluate_exported(workspace, exported, results)
    assert find(CalibrationCheck, results) is None


def test_a_laboratorys_own_committee_is_calibrated_elsewhere(
    exported, results, workspace, monkeypatch
):
    other = [SimpleNamespace(lot_id=lot) for lot in (*LOTS[:-1], "X")]
    monkeypatch.setattr(judging, "reference_lots", lambda: other)
    with pytest.raises(ResultsError, match="lotwise calibrate"):
        evaluate_exported(workspace, exported, results)


def test_a_diagnosis_is_fitted_for_the_exported_committee_and_measured(
    exported, tmp_path, workspace, monkeypatch
):
    evaluate_exported(workspace, exported, stored(exported, tmp_path))
    seen = tiles(36, 5)
    lots = np.repeat(np.arange(4 * len(LOTS)), 36)
    kinds = np.repeat(np.arange(4), 36 * len(LOTS))
    shifted = ShiftedTiles(
        np.concatenate([seen.images // (kind + 1) for kind in range(4)]), kinds, lots, lots % 4 == 3
    )
    monkeypatch.setattr(judging, "shifted_tiles", lambda cache: shifted)
    known = tiles(36, 6)
    monkeypatch.setattr(
        judging, "known_scenes", lambda cache: (known.images, np.arange(len(known.images)) // 36)
    )
    monkeypatch.setattr(shifts, "benchmark_set", lambda name, cache: Sized(tiles(75, len(name))))
    fitted = fit_diagnosis_of_exported(workspace, exported, tmp_path / "results")
    served = Diagnosis.read(exported / "committee" / DIAGNOSIS_FILE)
    assert served.version == fitted.diagnosis.version
    assert served.weights_sha256 == ExportedCommittee(exported).weights_sha256
    assert LotCalibration.read(exported / "committee" / LOT_DIAGNOSIS_FILE) == fitted.lots
    answers = read(ShiftPredictions, tmp_path / "results")
    assert set(answers.sets) == set(shifts.SETS)
    outputs = read(EnsembleResult, tmp_path / "results").sets
    inputs = Inputs(tmp_path / "results", exported, outputs)
    section = diagnosis_section(inputs)
    assert [table.name for table in section.tables] == [
        "kinds-of-tiles",
        "kinds-of-lots",
        "early-verdicts",
    ]
    assert "roc" in [plot.name for plot in section.plots]
    json.dumps(section.records.as_json(), allow_nan=False)  # as metrics.json holds it
    for row in section.records.rows("kinds of tiles"):
        assert sum(row.value(kind.value) for kind in KINDS) == pytest.approx(1.0)
    LotCalibration.read(exported / "committee" / LOT_DIAGNOSIS_FILE).model_copy(
        update={"alarm_level": 0.01}
    ).write(exported / "committee" / LOT_DIAGNOSIS_FILE)
    with pytest.raises(RecheckFailed, match="another diagnosis"):
        diagnosis_section(inputs)
    _keep_diagnosis(exported / "committee", served.weights_sha256)
    assert (exported / "committee" / DIAGNOSIS_FILE).exists()
    _keep_diagnosis(exported / "committee", "c" * 64)
    assert not (exported / "committee" / DIAGNOSIS_FILE).exists()
    assert not (exported / "committee" / LOT_DIAGNOSIS_FILE).exists()
    assert diagnosis_section(Inputs(tmp_path, exported, outputs)) is None
