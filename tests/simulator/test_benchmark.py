"""Benchmark v1: what it holds, and that it is what was frozen."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lotwise_simulator import __main__ as command_line
from lotwise_simulator import benchmark_files
from lotwise_simulator.benchmark import (
    BOX,
    FILAMENTS,
    REFERENCE_TILES,
    REPEAT_DISTANCE,
    LotOfTiles,
    benchmark_v1,
    between_lots,
    ground_lots,
    new_lots,
    parts,
    recipe_of,
    reference_lots,
    rehearsal_lots,
)
from lotwise_simulator.benchmark_files import (
    FIRST_TILES,
    definition_sha256,
    differences,
    frozen,
    hash_part,
    part_name,
    to_json,
    write_set,
)
from lotwise_simulator.instrument import NOMINAL
from lotwise_simulator.reference import visible_distance

SETS = tuple(benchmark_v1())


def values(lots) -> np.ndarray:
    return np.array([lot.attributes.as_array() for lot in lots])


def test_the_sets_hold_what_was_asked_for() -> None:
    sets = benchmark_v1()
    assert len(sets["reference"]) == 30
    assert sum(part.n_tiles for part in sets["reference"]) == REFERENCE_TILES == 59_690
    assert len(sets["new"]) == 200
    assert {"ground", "between", "unrelated", *FILAMENTS} <= sets.keys()
    names = [(name, part_name(part)) for name, part in parts()]
    assert len(set(names)) == len(names)


def test_every_lot_lies_inside_the_training_box() -> None:
    for lots in (reference_lots(), new_lots(), between_lots(), ground_lots()):
        attributes = values(lots)
        assert attributes.min() >= BOX[0] - 1e-6
        assert attributes.max() <= BOX[1] + 1e-6


def test_new_lots_are_no_reference_lots() -> None:
    apart = np.abs(values(new_lots())[:, None] - values(reference_lots())[None]).max(axis=2)
    assert apart.min() > 0.02
    seeds = [lot.seed for lot in (*reference_lots(), *new_lots(), *ground_lots(), *between_lots())]
    assert len(set(seeds)) == len(seeds)


def test_a_recipe_and_its_repeat_lie_equally_far_apart() -> None:
    lots = reference_lots()
    assert [recipe_of(lot.lot_id) for lot in lots] == [k // 2 + 1 for k in range(30)]
    for first, second in zip(lots[::2], lots[1::2], strict=True):
        apart = visible_distance(first.attributes, second.attributes)
        assert apart == pytest.approx(REPEAT_DISTANCE, rel=1e-5)
    with pytest.raises(ValueError, match="no reference lot"):
        recipe_of("N001")


def test_rehearsal_lots_are_no_part_of_the_benchmark() -> None:
    seeds = {part.lot.seed for _, part in parts() if isinstance(part, LotOfTiles)}
    rehearsal = rehearsal_lots()
    assert not seeds & {lot.seed for lot in rehearsal}
    apart = np.abs(values(rehearsal)[:, None] - values(reference_lots())[None]).max(axis=2)
    assert apart.min() > REPEAT_DISTANCE / 2
    assert len(rehearsal_lots(0.2, recipes=3)) == 6


def test_ground_lots_are_broken_and_no_others() -> None:
    assert all(lot.fracture > 0 for lot in ground_lots())
    assert not any(lot.fracture for lot in (*reference_lots(), *new_lots(), *between_lots()))


def test_filaments_change_the_instrument_alone() -> None:
    sets = benchmark_v1()
    for name, state in FILAMENTS.items():
        assert state != NOMINAL
        same = [replace(part, instrument=NOMINAL) for part in sets[name]]
        assert tuple(same) == sets["new_regions"]


def test_tests_show_no_place_that_training_shows() -> None:
    sets = benchmark_v1()
    seen = {(part.lot.lot_id, part.region) for part in sets["reference"]}
    assert not seen & {(part.lot.lot_id, part.region) for part in sets["new_regions"]}


def test_the_definition_is_as_frozen() -> None:
    assert definition_sha256() == frozen()[0]


@pytest.mark.parametrize("name", SETS)
def test_tiles_are_as_frozen(name: str) -> None:
    part = benchmark_v1()[name][0]
    assert hash_part(part, whole=False).first == frozen()[2][name][part_name(part)].first


def test_an_older_processor_makes_the_same_tiles(tmp_path: Path) -> None:
    """Without AVX2, FMA and AVX-512 in numpy, numba and the C library: another machine's bits."""
    program = (
        "from lotwise_simulator.benchmark import benchmark_v1\n"
        "from lotwise_simulator.benchmark_files import hash_part\n"
        "for name in ('reference', 'ground', 'filament_dim'):\n"
        "    print(hash_part(benchmark_v1()[name][1], whole=False).first)\n"
    )
    older = {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
        "OPENBLAS_CORETYPE": "Prescott",
    }
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=os.environ | older,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    ).stdout.split()
    hashes = frozen()[2]
    lots = [
        (name, part_name(benchmark_v1()[name][1]))
        for name in ("reference", "ground", "filament_dim")
    ]
    assert found == [hashes[name][lot].first for name, lot in lots]


def test_a_changed_tile_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, hashes = frozen()
    assert differences(hashes) == []
    changed = {"ground": {"G02": replace(hashes["ground"]["G02"], whole="0" * 64)}}
    assert differences(changed) == ["ground/G02"]
    document = json.loads(to_json(hashes))
    assert document["sha256"] == frozen()[1]
    assert document["definition_sha256"] == frozen()[0]
    changed_sets = dict(benchmark_v1())
    changed_sets["ground"] = changed_sets["ground"][1:]
    monkeypatch.setattr("lotwise_simulator.benchmark.benchmark_v1", lambda: changed_sets)
    assert definition_sha256() != frozen()[0]


def test_a_set_on_disk_says_what_a_laboratory_knows(tmp_path: Path) -> None:
    assert write_set(tmp_path, "reference", 2, ["R03"]) == 2
    assert len(list((tmp_path / "R03").glob("*.png"))) == 2
    (row,) = csv.DictReader((tmp_path / "lots.csv").read_text(encoding="utf-8").splitlines())
    lot = reference_lots()[2]
    assert row["lot_id"] == "R03"
    assert row["unit"] == "psi"
    assert row["origin"] == "simulated"
    # The mean of two tests and of two experts, not the truth.
    assert float(row["value"]) == pytest.approx(lot.strength_tests().mean(), abs=0.06)
    assert float(row["size"]) == pytest.approx(lot.expert_scores()[:, 0].mean())
    assert round(float(row["size"]) * 20, 6).is_integer()


def test_pictures_on_disk_are_in_no_table_of_lots(tmp_path: Path) -> None:
    assert write_set(tmp_path, "unrelated", 3) == 3
    assert len((tmp_path / "lots.csv").read_text(encoding="utf-8").splitlines()) == 1


def test_what_is_unknown_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no set"):
        write_set(tmp_path, "nonsense", 1)
    with pytest.raises(ValueError, match="no lot 'R99'"):
        write_set(tmp_path, "reference", 1, ["R99"])


def test_command_line_lists_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["benchmark", "list"]) == 0
    assert "59,690" in capsys.readouterr().out
    arguments = ["--set", "between", "--lot", "B01", "--count", "1", str(tmp_path)]
    assert command_line.main(["benchmark", "write", *arguments]) == 0
    assert "1 tiles" in capsys.readouterr().out
    assert command_line.main(["benchmark", "write", *arguments[:2], "--lot", "X", "x"]) == 2
    assert "no lot 'X'" in capsys.readouterr().err


def test_check_tells_a_changed_benchmark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lotwise_simulator.benchmark_command.definition_sha256", lambda: "0" * 64)
    assert command_line.main(["benchmark", "check"]) == 1
    assert "definition" in capsys.readouterr().err


def test_short_hash_is_of_the_first_row() -> None:
    part = benchmark_v1()["unrelated"][0]
    whole = hash_part(replace(part, n_tiles=FIRST_TILES))
    assert whole.first == whole.whole == hash_part(part, whole=False).first
    assert benchmark_files.FROZEN.endswith(".json")
