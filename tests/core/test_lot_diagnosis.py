import numpy as np
import pytest

from lotwise.core.diagnosis import KINDS, Shift
from lotwise.core.errors import Contradiction
from lotwise.core.lot_diagnosis import (
    LotCalibration,
    LotPlaces,
    diagnose_lot,
    instrument_score,
    lot_features,
)
from lotwise.core.verdict import Decision, LotTally, Reason, Verdict, concluded

LOTS = 99
TILES = 20


def tiles(rng, *, lot=0.0, apart=0.0, instrument=0.0, n=TILES):
    """Log-probabilities and places of a lot's tiles; `apart` is between two halves of it."""
    logs = rng.normal(size=(n, 4))
    logs[:, KINDS.index(Shift.INSTRUMENT)] += instrument
    places = rng.normal(size=(n, 8)) + lot
    places[: n // 2, 0] += apart
    return logs - np.logaddexp.reduce(logs, axis=1, keepdims=True), places


@pytest.fixture(scope="module")
def calibration():
    rng = np.random.default_rng(0)
    lots = [LotPlaces.of(*tiles(rng, lot=rng.normal() * 5)) for _ in range(LOTS)]
    known = np.zeros((1, 8))
    # Of the mean log-probabilities alone, and 1 for each unit of the logarithm of the distance.
    weights = np.concatenate([np.eye(4), np.array([[-1.0], [0.0], [0.0], [0.0]])], axis=1)

    def score(lot):
        logits = weights @ lot_features(known, lot)
        return instrument_score(logits - np.logaddexp.reduce(logits))

    return LotCalibration(
        diagnosis_version="a",
        alarm_level=0.05,
        sizes=(TILES,),
        changed=(tuple(float(each) for each in range(-40, 60)),),
        instrument=(tuple(sorted(score(each) for each in lots)),),
        spread=(tuple(sorted(each.spread_score for each in lots)),),
        known_places=tuple(tuple(row) for row in known.tolist()),
        weights=tuple(tuple(row) for row in weights.tolist()),
        offsets=(0.0, 0.0, 0.0, 0.0),
    )


def said(calibration, **changes):
    rng = np.random.default_rng(changes.pop("seed", 1))
    return diagnose_lot(calibration, LotPlaces.of(*tiles(rng, **changes)))


def test_lots_that_are_merely_new_set_off_alarms_as_often_as_the_level_says(calibration):
    lots = [said(calibration, lot=50.0, seed=seed) for seed in range(400)]
    for alarms in ([lot.instrument_changed for lot in lots], [lot.mixed for lot in lots]):
        assert 0.01 < np.mean(alarms) < 0.11


def test_a_changed_instrument_sets_off_the_alarm_for_it(calibration):
    lot = said(calibration, instrument=3.0)
    assert lot.instrument_changed
    assert not lot.mixed
    assert lot.likeliest is Shift.INSTRUMENT
    assert sum(lot.probabilities.values()) == pytest.approx(1.0)
    assert lot.instrument_p_value == 1 / (LOTS + 1)


def test_a_lot_that_is_no_known_one_is_referred_for_the_kind_of_its_shift(calibration):
    clean = LotTally(0.4, 0.95)
    for _ in range(TILES):
        clean.add(Decision.ACCEPT)
    far = calibration.model_copy(update={"changed": ((-50.0,) * 99,), "offsets": (0, 0, 3.0, 0)})
    lot = said(far)
    assert lot.strange
    assert lot.likeliest is Shift.SYNTHESIS
    assert concluded(clean, lot) == (Verdict.REFER, (Reason.UNSEEN_SYNTHESIS,))
    known = said(calibration.model_copy(update={"changed": ((50.0,) * 99,)}))
    assert not known.strange
    assert known.known_p_value == 1.0


def test_tiles_of_two_lots_set_off_the_alarm_for_mixtures(calibration):
    lot = said(calibration, apart=4.0)
    assert lot.mixed
    assert not lot.instrument_changed


def test_a_lot_is_known_by_the_mean_place_of_its_tiles_however_few_they_are():
    rng = np.random.default_rng(5)
    known = np.array([[0.0] * 16, [3.0] * 16])

    def distances(lot, n):
        logs = np.full((n, 4), -1.4)
        places = rng.normal(size=(n, 16)) + lot
        return lot_features(known, LotPlaces.of(logs, places))[4:]

    near = np.mean([distances(3.0, 10) for _ in range(50)], axis=0)
    far = np.mean([distances(2.0, 10) for _ in range(50)], axis=0)
    assert near.shape == (3,)
    assert (near < -0.5).all()
    assert far == pytest.approx(np.log([8.0, 8.0, 16.0]), abs=0.4)
    many = np.mean([distances(2.0, 200) for _ in range(50)], axis=0)
    assert far == pytest.approx(many, abs=0.3)


def test_places_in_other_directions_are_refused(calibration):
    logs, places = np.full((TILES, 4), -1.4), np.zeros((TILES, 16))
    with pytest.raises(Contradiction) as refused:
        diagnose_lot(calibration, LotPlaces.of(logs, places))
    assert refused.value.reason == "DIAGNOSIS_MISMATCH"


def test_too_few_tiles_say_nothing(calibration):
    assert said(calibration, n=TILES - 1) is None
    assert said(calibration, n=TILES).tiles == TILES


def test_tiles_may_be_counted_one_by_one():
    logs, places = tiles(np.random.default_rng(3))
    one_by_one = LotPlaces.none(8)
    for log, place in zip(logs, places, strict=True):
        one_by_one.add(log, place)
    whole = LotPlaces.of(logs, places)
    assert one_by_one.spread_score == pytest.approx(whole.spread_score)
    known = np.zeros((1, 8))
    assert lot_features(known, one_by_one) == pytest.approx(lot_features(known, whole))
    covariance = np.cov(places, rowvar=False)
    assert whole.spread_score == pytest.approx(np.linalg.eigvalsh(covariance)[-1])


def test_more_tiles_are_compared_with_as_many_of_the_largest_lots(calibration):
    two = calibration.model_copy(
        update={
            "sizes": (5, TILES),
            "changed": ((1e9,), calibration.changed[0]),
            "instrument": ((1e9,), calibration.instrument[0]),
            "spread": ((1e9,), calibration.spread[0]),
        }
    )
    assert said(two, n=6).mixed_p_value == 1.0
    assert said(two, n=300, apart=4.0).mixed


@pytest.mark.parametrize(
    "change",
    [
        {"sizes": ()},
        {
            "sizes": (5, 5),
            "changed": ((1.0,),) * 2,
            "instrument": ((1.0,),) * 2,
            "spread": ((1.0,),) * 2,
        },
        {"sizes": (1,)},
        {"instrument": ()},
        {"spread": ((2.0, 1.0),)},
        {"weights": ((1.0, 0.0, 0.0, 0.0, 0.0),)},
        {"weights": ((1.0, 0.0, 0.0, 0.0),) * 4},
        {"known_places": ((1.0,) * 7,)},
        {"known_places": ((1.0,) * 8, (1.0,) * 16)},
        {"alarm_level": 0},
    ],
)
def test_a_calibration_that_contradicts_itself_is_refused(calibration, change, tmp_path):
    path = tmp_path / "lot_diagnosis.json"
    calibration.write(path)
    assert LotCalibration.read(path) == calibration
    calibration.model_copy(update=change).write(path)
    with pytest.raises(Contradiction) as refused:
        LotCalibration.read(path)
    assert refused.value.reason == "DIAGNOSIS_INVALID"


def test_no_file_is_no_diagnosis(tmp_path):
    assert LotCalibration.read(tmp_path / "lot_diagnosis.json") is None
    with pytest.raises(Contradiction):
        LotCalibration.read(tmp_path)


def test_what_concerns_the_whole_lot_refers_it_and_comes_first(calibration):
    clean = LotTally(0.4, 0.95)
    for _ in range(TILES):
        clean.add(Decision.ACCEPT)
    assert concluded(clean, said(calibration)) == (Verdict.ACCEPT, ())
    assert concluded(clean, None) == (Verdict.ACCEPT, ())
    both = said(calibration, instrument=3.0, apart=4.0)
    assert concluded(clean, both) == (
        Verdict.REFER,
        (Reason.INSTRUMENT_SHIFT, Reason.MIXED_LOT),
    )
    strange = LotTally(0.4, 0.95)
    for _ in range(TILES):
        strange.add(Decision.REFER, (Reason.UNSEEN_SYNTHESIS,))
    assert concluded(strange, said(calibration, apart=4.0)) == (
        Verdict.REFER,
        (Reason.MIXED_LOT, Reason.UNSEEN_SYNTHESIS),
    )
    assert concluded(LotTally(0.4, 0.95), None) == (Verdict.UNDECIDED, (Reason.TOO_FEW_TILES,))
