"""The command line writes what it says and calls it simulated."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lotwise_simulator
from lotwise_simulator.__main__ import find_lot, main
from lotwise_simulator.lots import mosaic


def test_tiles_and_sidecar(tmp_path: Path) -> None:
    assert main(["tiles", "--lot", "T03", "--count", "2", str(tmp_path)]) == 0
    with (tmp_path / "tiles.csv").open(encoding="utf-8") as sidecar:
        rows = list(csv.DictReader(sidecar))
    lot = find_lot("T03")
    assert [row["lot_id"] for row in rows] == ["T03", "T03"]
    assert {row["origin"] for row in rows} == {"simulated"}
    assert float(rows[0]["size"]) == pytest.approx(lot.attributes.size, abs=1e-6)
    assert float(rows[0]["peak_stress_psi"]) == pytest.approx(lot.peak_stress_psi, abs=0.1)
    for row, tile in zip(rows, mosaic(lot, 2), strict=True):
        with Image.open(tmp_path / row["file"]) as picture:
            assert "simulated" in str(picture.info["Comment"])
            assert np.array_equal(np.array(picture), tile.image)


@pytest.mark.parametrize("name", ["R01", "R30", "G10", "B20", "N200", "A", "J", "T40", "ground"])
def test_every_set_has_its_lots(name: str) -> None:
    assert find_lot(name).lot_id == name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiles", "--lot", "Z", "out"], "no lot 'Z'"),
        (["tiles", "--count", "0", "out"], "n_tiles"),
        (["sheet", "out.jpg"], "PNG"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_every_public_name_exists() -> None:
    assert all(hasattr(lotwise_simulator, name) for name in lotwise_simulator.__all__)
