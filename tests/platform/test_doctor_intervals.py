"""What `lotwise doctor` says of intervals."""

import pytest

from lotwise.platform.doctor import examine
from lotwise.platform.ports import PlatformPorts
from tests.support import folds


@pytest.fixture
def repository(tmp_path):
    folds.add_folds(tmp_path)
    return tmp_path


def finding(repository):
    found = examine(repository, repository, PlatformPorts.free())
    return next(each for each in found if each.subject == "intervals")


def test_a_calibration_of_the_served_networks_is_fine(repository):
    found = finding(repository)
    assert (found.state, found.detail) == ("ok", "calibrated with 30 lots of 30 recipes")


def test_without_one_less_is_served(tmp_path):
    found = finding(tmp_path)
    assert found.state == "limited"
    assert "lotwise-train regressor" in found.remedy


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: folds.calibration(weights="0" * 64).write(path), "other weights"),
        (lambda path: path.write_text("{}"), "Field required"),
    ],
)
def test_one_that_cannot_be_used_is_missing(repository, spoil, said):
    spoil(repository / "regressor_folds" / "intervals.json")
    found = finding(repository)
    assert found.state == "missing"
    assert said in found.detail
