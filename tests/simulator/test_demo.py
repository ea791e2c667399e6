"""The demo's lots: one lot of benchmark v1 in three states, and pictures."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from lotwise_simulator.attributes import grind
from lotwise_simulator.benchmark import MOST_GROUND, benchmark_v1, ground_lots, reference_lots
from lotwise_simulator.demo import KNOWN, REGION, write_demo_lots

NAMES = ("known", "filament", "ground", "pictures")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_demo_lots(tmp_path_factory.mktemp("demo"), 2)


def pictures(folder):
    found = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as picture:
            found.append(np.array(picture))
    return np.array(found)


def truth(folder):
    with (folder / "tiles.csv").open(encoding="utf-8") as rows:
        return next(csv.DictReader(rows))


def test_a_folder_for_each_lot_with_its_name(folders):
    assert tuple(folder.name for folder in folders) == NAMES
    sidecars = [json.loads((folder / "lot.json").read_text()) for folder in folders]
    assert [each["lot_id"] for each in sidecars] == [
        f"{KNOWN}, new tiles", f"{KNOWN}, new filament", f"{KNOWN}, ground", "photographs",
    ]  # fmt: skip
    assert [each["simulated"] for each in sidecars] == [True, True, True, False]
    assert [len(pictures(folder)) for folder in folders] == [2] * 4


def test_the_ground_lot_was_ground_from_the_known_one():
    known = next(lot for lot in reference_lots() if lot.lot_id == KNOWN)
    assert grind(known.attributes, MOST_GROUND) == ground_lots()[0].attributes


def test_the_filament_changes_pictures_of_the_same_crystals(folders):
    known, filament, ground, _ = folders
    assert truth(known)["peak_stress_psi"] == truth(filament)["peak_stress_psi"]
    assert truth(known)["peak_stress_psi"] != truth(ground)["peak_stress_psi"]

    def similarity(first, second):
        return np.corrcoef(pictures(first).ravel(), pictures(second).ravel())[0, 1]

    assert not np.array_equal(pictures(known), pictures(filament))
    assert similarity(known, filament) > 0.8
    assert abs(similarity(known, ground)) < 0.2


def test_no_set_of_the_benchmark_shows_these_tiles():
    regions = {part.region for lots in benchmark_v1().values() for part in lots
               if hasattr(part, "region")}  # fmt: skip
    assert REGION not in regions
