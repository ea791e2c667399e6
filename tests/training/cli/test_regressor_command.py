"""The regressor's commands on a laboratory's own tests: from lots to a model with its errors."""

import numpy as np
import pytest

from lotwise.runtime.model_config import read_pbtxt
from lotwise_training.evaluation.property_predictions import PropertyResult
from lotwise_training.store.arrays import read
from tests.support.lot_folders import lots_csv, write
from tests.training.commands import LOTS, REGRESSOR, said, write_recipes


@pytest.fixture(scope="module")
def recipes(tmp_path_factory):
    return write_recipes(tmp_path_factory.mktemp("recipes"), regressor=REGRESSOR)


@pytest.fixture(scope="module")
def tested(recipes, tmp_path_factory):
    """The regressor's commands in turn on four tested lots: their folder and what they said."""
    rows = [f"{lot},hardness,{100 + 50 * n},HV" for n, lot in enumerate((*LOTS, "further"))]
    header = "lot_id,property,value,unit"
    folder = lots_csv(tmp_path_factory.mktemp("tested"), "\n".join([header, *rows]) + "\n")
    rng = np.random.default_rng(0)
    for n, lot in enumerate((*LOTS, "further")):
        for picture in range(10):
            grey = 120 + 60 * np.sign(np.sin(np.arange(256) / (3 + 3 * n) + picture))
            noisy = np.tile(grey, (256, 1)) + rng.normal(0, 10, (256, 256))
            write(folder / lot / f"{picture}.png", noisy.clip(0, 255).astype(np.uint8), um_per_px=1)
    home = tmp_path_factory.mktemp("home")
    common = ("--profile", "tiny", "--recipes", recipes, "--home", home, "--lots", folder)
    results, models = home / "results", home / "models"
    trained = said("regressor", *common)
    measured = said("evaluate", *common, "--results", results)
    where = ("--repository", models, "--results", results)
    exported = said("export", "--home", home, *where, "--only", "regressor")
    return home, (trained, measured, exported)


def test_a_laboratorys_tests_become_a_model_of_its_property(tested):
    home, steps = tested
    assert [code for code, _ in steps] == [0, 0, 0], steps
    stated = read_pbtxt(home / "models" / "regressor" / "config.pbtxt").metadata
    assert (stated.property.name, stated.property.unit) == ("hardness", "HV")
    assert (stated.property.minimum, stated.property.maximum) == (100.0, 250.0)
    assert not stated.trained_on_simulated_lots


def test_its_errors_stand_beside_those_of_forests(tested):
    home, steps = tested
    stored = read(PropertyResult, home / "results")
    sets, manifest = stored.sets, stored.manifest()
    # Tiles of a picture stay together, so the served network is measured by region.
    assert list(sets) == [
        "region-blocked",
        "lot-held-out",
        "lot-held-out, first fold",
    ]
    # Its lots have no scores, so there is no forest on them.
    assert set(sets["lot-held-out"].predicted) == {
        "network",
        "forest on texture",
        "mean of the lots",
    }
    assert (manifest["unit"], manifest["benchmark"]) == ("HV", None)
    assert "RMSE, HV" in " ".join(steps[1][1].split())
    card = (home / "models" / "regressor" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "| region-blocked, network | MAPE " in card
    assert "Not compared with tile-random" in card
    assert any("tile-random" in remark for remark in manifest["remarks"])
