"""The commands train, evaluate and export: from lots to intervals whose coverage was measured."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lotwise.core.intervals import IntervalCalibration
from lotwise_training.evaluation.conformal import ALL_LOTS, IntervalResult, calibrations
from lotwise_training.pipelines.workspace import Workspace
from lotwise_training.report.intervals import intervals_section
from lotwise_training.report.render import Inputs
from lotwise_training.report.verify_networks import check_calibration
from lotwise_training.store.arrays import read
from tests.training.commands import REGRESSOR, said, write_recipes
from tests.training.striped_lots import striped_lots

KNOWN = ("R01", "R03", "R05", "R07", "T01")
RECIPE = (
    REGRESSOR.replace("[[0.0, 64]]", "[[0.0, 32]]")
    .replace("pool = 4", "pool = 1")
    .replace("coverage = 0.9", "coverage = 0.8")
)


def named(data, names):
    return replace(data, table=replace(data.table, lot_ids=names, recipes=names))


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder of the commands that were followed, and what they said."""
    recipes = write_recipes(tmp_path_factory.mktemp("recipes"), regressor=RECIPE)
    home = tmp_path_factory.mktemp("home")
    known = named(striped_lots(), KNOWN)
    new = named(striped_lots((5, 7), regions=3, seed=1), ("N001", "N002"))
    common = ("--profile", "tiny", "--recipes", recipes, "--home", home)
    where = ("--repository", home / "models", "--results", home / "results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "strength_tiles", lambda workspace, own: known)
        patch.setattr(Workspace, "new_lots", lambda workspace: new)
        steps = (
            said("regressor", *common),
            said("evaluate", *common, "--results", home / "results"),
            said("export", "--home", home, *where, "--only", "regressor"),
        )
    return home, steps


def test_the_commands_say_what_calibrated_and_what_was_covered(followed):
    _, steps = followed
    assert [code for code, _ in steps] == [0, 0, 0], steps
    assert "calibrated with 5 lots of 5 recipes, 6 tiles of each" in " ".join(steps[0][1].split())
    assert "Coverage of intervals on 2 new lots, 12 tiles" in steps[1][1]


def test_what_is_exported_is_what_was_measured(followed):
    home, _ = followed
    result = read(IntervalResult, home / "results")
    held, new = result.held, result.new
    assert set(held.lot_ids) == set(KNOWN)
    assert np.bincount(held.lots).tolist() == [6] * 5
    assert new.predicted.shape == (12, 2)
    assert result.coverage == 0.8
    stored = calibrations(result)[ALL_LOTS]
    check_calibration(home / "models", stored)
    served = IntervalCalibration.read(home / "models" / "regressor_folds" / "intervals.json")
    assert served == stored


def test_the_card_shows_the_coverage(followed):
    home, _ = followed
    card = (home / "models" / "regressor_folds" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "| lot interval, 80% nominal | held " in card
    # Five recipes certify no more than 83%.
    assert "90% nominal" not in card


def test_the_report_has_its_section(followed):
    home, _ = followed
    section = intervals_section(Inputs(home / "results"))
    assert [target.reached is None for target in section.targets] == [False, False]
    assert json.loads(json.dumps(section.stated, allow_nan=False))["tiles_per_lot"] == 6
