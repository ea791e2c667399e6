import numpy as np
import pytest

from lotwise.core.diagnosis import DIAGNOSIS_FILE, KINDS, Diagnosis, Shift
from lotwise.core.errors import Contradiction
from lotwise.core.lot_diagnosis import LotPlaces, diagnose_lot
from lotwise_training.calibration.shift_classifier import ALARM_LEVEL, SIZES, fit_diagnosis
from lotwise_training.store.arrays import ResultsError
from tests.support.committees import WEIGHTS, known_tiles
from tests.support.shifted import joined, shifted_lot, shifted_lots

LOTS = 12
OTHERS = 5_000
"""Seed of lots that nothing was fitted on."""


@pytest.fixture(scope="module")
def fitted():
    tiles, outputs = shifted_lots(LOTS, calibration=40)
    return fit_diagnosis(tiles, outputs, known_tiles(600, 7), known_scenes(), WEIGHTS)


def known_scenes(count=80, seed=8):
    """Scenes of the known lots that fit nothing, a lot each."""
    scenes = []
    for number in range(count):
        outputs, labels = known_tiles(4 * SIZES[-1], seed + number)
        scenes.append(outputs.take(np.flatnonzero(labels == number % 4)))
    return joined(scenes), np.repeat(np.arange(count), SIZES[-1])


def diagnosed(fitted, kind, number, n=SIZES[-1]):
    outputs = shifted_lot(kind, OTHERS + number, n)
    places = LotPlaces.of(
        fitted.diagnosis.log_probabilities(outputs), fitted.diagnosis.places(outputs)
    )
    return diagnose_lot(fitted.lots, places)


def test_kinds_of_shift_are_told_apart_on_lots_that_nothing_was_fitted_on(fitted):
    for kind in KINDS:
        outputs = joined([shifted_lot(kind, OTHERS + number) for number in range(10)])
        logs = fitted.diagnosis.log_probabilities(outputs)
        assert np.logaddexp.reduce(logs, axis=1) == pytest.approx(0.0, abs=1e-5)
        assert (logs.argmax(axis=1) == KINDS.index(kind)).mean() > 0.8, kind


def test_kinds_of_shift_of_lots_are_told_apart(fitted):
    for kind in KINDS:
        said = [diagnosed(fitted, kind, number).likeliest for number in range(10)]
        assert said.count(kind) >= 9, kind


def test_a_changed_instrument_sets_off_the_alarm_and_a_new_lot_does_not(fitted):
    changed = [diagnosed(fitted, Shift.INSTRUMENT, number) for number in range(10)]
    assert all(each.instrument_changed for each in changed)
    new = [diagnosed(fitted, Shift.SYNTHESIS, number) for number in range(60)]
    # Forty calibration lots give the level itself some play.
    assert sum(each.instrument_changed for each in new) <= 60 * 3 * ALARM_LEVEL


def test_known_lots_are_ranked_by_scenes_that_fit_nothing(fitted):
    assert [len(each) for each in fitted.lots.changed] == [80] * len(SIZES)
    outputs, scenes = known_scenes(60, 5_000)
    logs, places = fitted.diagnosis.log_probabilities(outputs), fitted.diagnosis.places(outputs)
    found = [
        diagnose_lot(fitted.lots, LotPlaces.of(logs[scenes == each], places[scenes == each]))
        for each in range(60)
    ]
    # As often as the level says, with some play; the ranks spread over all values.
    below = [each.known_p_value <= ALARM_LEVEL for each in found]
    assert sum(below) <= 60 * 3 * ALARM_LEVEL
    assert 0.3 < np.mean([each.known_p_value for each in found]) < 0.7


def test_a_tile_is_said_the_same_of_alone_and_among_others(fitted):
    outputs = shifted_lot(Shift.INSTRUMENT, OTHERS)
    whole = fitted.diagnosis.of_tiles(outputs)
    (alone,) = fitted.diagnosis.of_tiles(outputs.take(np.array([3])))
    assert alone.log_probabilities == pytest.approx(whole[3].log_probabilities, abs=1e-4)
    assert alone.place == pytest.approx(whole[3].place, abs=1e-4)
    assert alone.version == fitted.lots.diagnosis_version


def test_a_diagnosis_is_kept_to_the_last_digit(fitted, tmp_path):
    path = tmp_path / DIAGNOSIS_FILE
    assert Diagnosis.read(path) is None
    fitted.diagnosis.write(path)
    back = Diagnosis.read(path)
    outputs = shifted_lot(Shift.SYNTHESIS, OTHERS)
    np.testing.assert_array_equal(
        back.log_probabilities(outputs), fitted.diagnosis.log_probabilities(outputs)
    )
    assert (back.version, back.weights_sha256) == (fitted.diagnosis.version, WEIGHTS)
    back.check_weights(WEIGHTS)
    with pytest.raises(Contradiction) as refused:
        back.check_weights("b" * 64)
    assert refused.value.reason == "DIAGNOSIS_MISMATCH"


@pytest.mark.parametrize("content", [b"", b"not an archive", None])
def test_a_damaged_diagnosis_is_refused(fitted, tmp_path, content):
    path = tmp_path / DIAGNOSIS_FILE
    fitted.diagnosis.write(path)
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(Contradiction) as refused:
        Diagnosis.read(path)
    assert refused.value.reason == "DIAGNOSIS_INVALID"


def test_the_same_tiles_give_the_same_diagnosis(fitted):
    tiles, outputs = shifted_lots(LOTS, calibration=40)
    again = fit_diagnosis(tiles, outputs, known_tiles(600, 7), known_scenes(), WEIGHTS)
    assert again.diagnosis.version == fitted.diagnosis.version
    assert again.lots == fitted.lots


def test_too_few_tiles_of_known_lots_are_said():
    tiles, outputs = shifted_lots(LOTS, calibration=10)
    with pytest.raises(ResultsError, match="too few calibration tiles"):
        fit_diagnosis(tiles, outputs, known_tiles(120, 7), known_scenes(), WEIGHTS)
