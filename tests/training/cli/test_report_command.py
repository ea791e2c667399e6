"""The command that writes the report from stored answers."""

import json

import numpy as np
import pytest

from lotwise_training.evaluation.classification import compute_classification
from lotwise_training.evaluation.property_predictions import (
    PropertyResult,
    PropertySet,
    RegressorRun,
)
from lotwise_training.report.build import main
from lotwise_training.store.arrays import write
from tests.training.answered_tiles import MANIFEST, ensemble_result, every_set

RECORDS = compute_classification(every_set(), MANIFEST)


@pytest.fixture
def results(tmp_path):
    write(tmp_path / "results", ensemble_result(every_set()))
    return tmp_path / "results"


def test_the_command_writes_figures_and_page(results, tmp_path, capsys):
    out = tmp_path / "deep" / "report"
    assert main(["--results", str(results), "--out", str(out), "--no-recheck"]) == 0
    shown = capsys.readouterr().out
    assert "Table 1" in shown
    assert "Targets" in shown
    # Nothing is cut off at the edge.
    assert "…" not in shown
    written = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    of = {"split": "tile-random", "set": "test", "method": "single"}
    (single,) = (
        each
        for each in written["records"]
        if each["metric"] == "accuracy" and of.items() <= each.items()
    )
    assert single["value"] == RECORDS.value("classification", "accuracy", **of)
    assert (single["unit"], single["count"]) == ("share", 120)
    assert written["definitions"]["accuracy"]["unit"] == "share"
    assert written["recheck"] is None
    assert written["intervals"] == "regions"
    manifest = json.loads((results / "class_predictions.json").read_text(encoding="utf-8"))
    assert written["arrays_sha256"] == manifest["arrays_sha256"]
    assert written["runs"]["tile-random"]["weights_sha256"]["ensemble"] == "e" * 64
    assert (out / "index.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_predictions_of_a_property_that_lie_beside_are_reported_too(results, tmp_path, capsys):
    lots = np.repeat(np.arange(3), 4).astype(np.int16)
    values = np.array([100.0, 200.0, 300.0])
    answers = {
        "network": (values[lots] * 1.02).astype(np.float32),
        "mean of the lots": np.full(12, 220.0, dtype=np.float32),
    }
    each = PropertySet(lots, ("a", "b", "c"), values, answers)
    stored = PropertyResult(
        benchmark=1,
        profile="tiny",
        data_version="d" * 64,
        property="load",
        unit="N",
        networks={"regressor/regressor": RegressorRun("e" * 64, 100, 9.0, 12, 3)},
        sets={"tile-random": each, "lot-held-out": each},
    )
    write(results, stored)
    out = tmp_path / "report"
    assert main(["--results", str(results), "--out", str(out), "--no-recheck"]) == 0
    assert "Errors of the predicted property" in capsys.readouterr().out
    written = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    (found,) = (
        row["value"]
        for row in written["records"]
        if (row["section"], row["set"], row.get("method"), row["metric"])
        == ("property", "tile-random", "network", "mape")
    )
    assert found == pytest.approx(2.0)
    reached = {target["what"]: target["reached"] for target in written["targets"]}
    assert reached["MAPE of the property, tile-random"]
    assert reached["MAPE of held-out lots, below the best baseline"]
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "measured load, N" in page


def test_the_command_refuses_outputs_that_were_tampered_with(results, tmp_path, capsys):
    path = results / "class_predictions.npz"
    path.write_bytes(path.read_bytes() + b"x")
    arguments = ["--results", str(results), "--out", str(tmp_path / "report"), "--no-recheck"]
    assert main(arguments) == 1
    assert "is not the file that its manifest describes" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
    assert main(["--results", str(tmp_path / "none"), "--no-recheck"]) == 1
    assert "holds no readable results" in capsys.readouterr().err
