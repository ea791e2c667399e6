"""The verb `lotwise simulate`."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from lotwise_simulator.__main__ import find_lot
from lotwise_simulator.attributes import Attributes
from lotwise_simulator.benchmark import FILAMENTS
from lotwise_simulator.command import REGION, simulate
from lotwise_simulator.faults import FAULTS
from lotwise_simulator.instrument import NOMINAL, after_filament_change
from lotwise_simulator.lots import Lot, mosaic

OWN = ["--size", "0.5", "--porosity", "0.2", "--polydispersity", "0.3", "--facetness", "0.8"]


def run(*arguments):
    app = typer.Typer()
    app.command()(simulate)
    return CliRunner().invoke(app, [str(each) for each in arguments])


def pictures(folder: Path):
    found = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as picture:
            assert "simulated" in str(picture.info["Comment"])
            found.append(np.array(picture))
    return found


def same(folder: Path, tiles):
    written = pictures(folder)
    return len(written) == len(tiles) and all(
        np.array_equal(image, tile.image) for image, tile in zip(written, tiles, strict=True)
    )


@pytest.mark.parametrize("name", ["R05", "B", "G01"])
def test_a_known_lot_with_its_truth_beside_it(tmp_path, name):
    done = run(tmp_path, "--lot", name, "--count", 2)
    assert done.exit_code == 0, done.output
    assert f"2 simulated tiles of lot {name}" in done.output
    lot = find_lot(name)
    assert lot.lot_id == name
    assert f"{lot.peak_stress_psi:,.0f} psi" in done.output
    assert same(tmp_path, mosaic(lot, 2, region=REGION))
    assert json.loads((tmp_path / "lot.json").read_text()) == {"lot_id": name, "simulated": True}


def test_a_lot_of_ones_own(tmp_path):
    done = run(tmp_path, *OWN, "--lot", "mine", "--count", 1, "--seed", 7, "--json")
    assert done.exit_code == 0, done.output
    lot = Lot("mine", Attributes(0.5, 0.2, 0.3, 0.8), 7)
    assert json.loads(done.output) == {
        "folder": str(tmp_path),
        "lot_id": "mine",
        "simulated": True,
        "tiles": 1,
        "attributes": {"size": 0.5, "porosity": 0.2, "polydispersity": 0.3, "facetness": 0.8},
        "peak_stress_psi": lot.peak_stress_psi,
    }
    assert same(tmp_path, mosaic(lot, 1, seed=7, region=REGION))
    with (tmp_path / "tiles.csv").open(encoding="utf-8") as truth:
        assert float(next(csv.DictReader(truth))["porosity"]) == 0.2


def test_a_new_filament_and_a_fault(tmp_path):
    assert run(tmp_path / "new", "--count", 1, "--filament", 1).exit_code == 0
    assert run(tmp_path / "soft", "--count", 1, "--filament", "filament_soft").exit_code == 0
    assert run(tmp_path / "bad", "--count", 1, "--fault", "black_margin").exit_code == 0
    lot = find_lot("R01")
    new = mosaic(lot, 1, after_filament_change(NOMINAL, 1.0), region=REGION)
    assert same(tmp_path / "new", new)
    assert same(tmp_path / "soft", mosaic(lot, 1, FILAMENTS["filament_soft"], region=REGION))
    plain = mosaic(lot, 1, region=REGION)[0].image
    assert np.array_equal(pictures(tmp_path / "bad")[0], FAULTS["black_margin"](plain))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lot", "Z"], "no lot 'Z'"),
        (["--size", "0.5", "--facetness", "0"], "--porosity, --polydispersity"),
        (["--fault", "rain"], "no fault 'rain'"),
        (["--filament", "rain"], "no filament 'rain'"),
        (["--filament", "3"], "0..2"),
    ],
)
def test_mistakes_end_with_a_sentence_and_write_nothing(tmp_path, arguments, said):
    done = run(tmp_path / "out", *arguments)
    assert done.exit_code == 1
    assert said in done.output
    assert not (tmp_path / "out").exists()
