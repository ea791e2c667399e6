"""The calibration beside a committee: what is read, and what is refused."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lotwise.core.calibration import read_calibration, write_calibration
from lotwise.core.calibration_fit import calibrate
from lotwise.core.errors import Contradiction
from tests.support.committees import COVERAGE, WEIGHTS, known_tiles, labelled


@pytest.fixture(scope="module")
def calibrated():
    return calibrate(labelled(), COVERAGE, WEIGHTS).calibrated


@pytest.fixture
def folder(calibrated, tmp_path):
    write_calibration(calibrated, tmp_path / "committee")
    return tmp_path / "committee"


def refused(folder):
    with pytest.raises(Contradiction) as caught:
        read_calibration(folder)
    return caught.value


def test_it_is_read_as_it_was_written(calibrated, folder):
    again = read_calibration(folder)
    assert again.calibration == calibrated.calibration
    outputs, _ = known_tiles(20, 5)
    np.testing.assert_array_equal(
        again.familiarity.p_values(outputs), calibrated.familiarity.p_values(outputs)
    )


@pytest.mark.parametrize("name", ["calibration.json", "familiarity.npz"])
def test_a_committee_that_is_not_calibrated_is_an_error(folder, name):
    (folder / name).unlink()
    error = refused(folder)
    assert error.reason == "CALIBRATION_MISSING"
    assert name in error.message
    assert "lotwise calibrate" in error.message


def test_statistics_of_another_fit_are_refused(folder):
    (folder / "familiarity.npz").write_bytes((folder / "familiarity.npz").read_bytes() + b"\0")
    assert refused(folder).reason == "CALIBRATION_INVALID"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", 0.0),
        ("temperature", None),
        ("weights_sha256", "short"),
        ("temprature", 1.0),
        ("score_bins", {"edges": [0.1], "shares": [0.5, 0.6]}),
    ],
)
def test_a_file_that_was_changed_by_hand_is_refused(folder, key, value):
    path = folder / "calibration.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    error = refused(folder)
    assert error.reason == "CALIBRATION_INVALID"
    assert key in error.message


def test_a_date_in_the_future_is_refused(folder):
    path = folder / "calibration.json"
    content = json.loads(path.read_text())
    content["calibration_set"]["date"] = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    path.write_text(json.dumps(content))
    error = refused(folder)
    assert error.reason == "CALIBRATION_INVALID"
    assert "future" in error.message


def test_other_weights_are_refused(calibrated):
    calibrated.check_weights(WEIGHTS)
    with pytest.raises(Contradiction) as caught:
        calibrated.check_weights("c" * 64)
    assert caught.value.reason == "CALIBRATION_MISMATCH"
