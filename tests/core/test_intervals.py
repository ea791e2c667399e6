"""The calibration file of a property's intervals, and the intervals that follow from it."""

import json

import numpy as np
import pytest

from lotwise.core.errors import Contradiction, InvalidRequest
from lotwise.core.intervals import CalibrationLot, IntervalCalibration, IntervalKind

WEIGHTS = "a" * 64


def lot(number, fold, tiles=(0.10, 0.20), mean=0.05, recipe=None):
    return CalibrationLot(
        lot_id=f"L{number}",
        recipe=recipe or f"L{number}",
        fold=fold,
        tile_residuals=tiles,
        lot_residual=mean,
    )


def calibration(**changes):
    stated = {
        "calibration_version": "unnamed",
        "weights_sha256": WEIGHTS,
        "coverage": 0.75,
        "logarithmic": True,
        "folds": 2,
        "lots": tuple(lot(number, number % 2, mean=0.01 * (number + 1)) for number in range(9)),
    }
    return IntervalCalibration(**{**stated, **changes})


def test_ends_are_as_many_times_above_as_below_where_logarithms_were_learned():
    made = calibration().tile_interval(np.array([1000.0, 1000.0]), 0.9)
    assert made.kind is IntervalKind.TILE
    assert (made.lower, made.upper) == pytest.approx((1000 * np.exp(-0.2), 1000 * np.exp(0.2)))
    assert (made.point, made.coverage, made.lots, made.recipes) == (1000.0, 0.9, 9, 9)


def test_ends_are_as_much_above_as_below_where_they_were_not():
    lots = tuple(lot(number, number % 2, tiles=(50.0,), mean=20.0) for number in range(9))
    plain = calibration(logarithmic=False, lots=lots)
    made = plain.tile_interval(np.array([-10.0, -10.0]))
    assert (made.lower, made.upper) == (-60.0, 40.0)
    assert plain.lot_interval(np.array([[0.0, 0.0]])).upper == 20.0


def test_a_lot_is_judged_by_the_mean_over_its_tiles_and_by_residuals_of_means():
    tiles = np.array([[900.0, 1100.0], [1100.0, 1300.0], [1000.0, 1200.0]])
    made = calibration().lot_interval(tiles, 0.9)
    assert made.kind is IntervalKind.LOT
    assert made.point == pytest.approx(1100.0)
    # Both ends are of the fold with the larger and the smaller mean, and its largest residual.
    assert made.lower == pytest.approx(1000 * np.exp(-0.09))
    assert made.upper == pytest.approx(1200 * np.exp(0.08))


def test_the_calibrations_own_coverage_is_taken_where_none_is_asked_for():
    answers = np.array([1000.0, 1000.0])
    assert calibration().tile_interval(answers) == calibration().tile_interval(answers, 0.75)


def test_a_lot_of_fewer_tiles_than_calibrated_is_refused():
    with pytest.raises(InvalidRequest, match="means over 2 tiles; of this lot 1") as refused:
        calibration().lot_interval(np.array([[1000.0, 1000.0]]))
    assert refused.value.reason == "LOT_TOO_FEW_TILES"


def test_repeats_of_a_recipe_count_once():
    lots = tuple(lot(number, number // 2 % 2, recipe=f"P{number // 2}") for number in range(16))
    made = calibration(lots=lots)
    assert (len(made.lots), made.recipes) == (16, 8)
    with pytest.raises(InvalidRequest, match="needs 9 calibration recipes; there are 8"):
        made.tile_interval(np.ones(2), 0.9)


def test_the_guarantee_is_said_in_words():
    said = calibration().tile_interval(np.ones(2), 0.9)
    assert "over 9 recipes (9 lots)" in said.guarantee
    assert f"{said.guaranteed:.1%} in theory" in said.guarantee
    assert "90.0% in practice" in said.guarantee
    assert "2 tiles or more" in calibration().lot_interval(np.ones((2, 2))).guarantee


def test_what_was_written_is_read_again(tmp_path):
    named = calibration().named()
    named.write(tmp_path / "deep" / "intervals.json")
    assert IntervalCalibration.read(tmp_path / "deep" / "intervals.json") == named
    assert len((tmp_path / "deep" / "intervals.json").read_text().splitlines()) < 25


def test_two_that_differ_differ_in_name():
    names = {
        each.named().calibration_version
        for each in (calibration(), calibration(coverage=0.9), calibration(weights_sha256="b" * 64))
    }
    assert len(names) == 3
    assert calibration(calibration_version="x").named() == calibration().named()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lots": []}, "lots"),
        ({"coverage": 1.0}, "coverage"),
        ({"weights_sha256": "short"}, "weights_sha256"),
        ({"folds": 1}, "folds"),
        ({"unknown": 1}, "unknown"),
        ({"lots": [lot(0, 2).model_dump()]}, "lot L0 is of fold 2 of 2"),
        ({"lots": [lot(0, 0).model_dump()] * 2}, "lot L0 is there twice"),
        (
            {"lots": [lot(0, 0, recipe="P").model_dump(), lot(1, 1, recipe="P").model_dump()]},
            "recipe P was held out by two networks",
        ),
        (
            {"lots": [lot(0, 0).model_dump(), lot(1, 1, tiles=(0.1,)).model_dump()]},
            "lot L1 has not 2 tiles",
        ),
        ({"lots": [{**lot(0, 0).model_dump(), "lot_residual": -0.1}]}, "lot_residual"),
    ],
)
def test_a_file_that_is_not_valid_is_said_with_what_is_wrong(change, said, tmp_path):
    content = json.loads(calibration().model_dump_json()) | change
    path = tmp_path / "intervals.json"
    path.write_text(json.dumps(content))
    with pytest.raises(Contradiction, match=said) as refused:
        IntervalCalibration.read(path)
    assert refused.value.reason == "INTERVALS_INVALID"


def test_a_file_that_is_not_there_is_named_with_what_makes_it(tmp_path):
    with pytest.raises(Contradiction, match="lotwise-train regressor") as refused:
        IntervalCalibration.read(tmp_path / "intervals.json")
    assert refused.value.reason == "INTERVALS_MISSING"
