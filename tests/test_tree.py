"""What the repository promises of its own files."""

import subprocess

import pytest

from tests.support.triton import ROOT

MIB = 2**20


@pytest.fixture(scope="module")
def tracked():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_is_over_16_mib_and_the_tree_stays_under_56(tracked):
    sizes = {path: path.stat().st_size for path in tracked}
    assert [path for path, size in sizes.items() if size > 16 * MIB] == []
    assert sum(sizes.values()) < 56 * MIB


def test_assembled_models_are_not_tracked(tracked):
    names = {str(path.relative_to(ROOT / "model_repository")) for path in tracked
             if path.is_relative_to(ROOT / "model_repository")}  # fmt: skip
    assert "committee/1/member_00.onnx" in names
    assert "committee/1/model.onnx" not in names
    assert "edit_gradient/1/model.onnx" not in names
    assert "regressor_folds/1/model.onnx" not in names


def test_modules_hold_one_concept(tracked):
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked
        if path.suffix == ".py" and "_pb2" not in path.name
        and (lines := path.read_text(encoding="utf-8").count("\n")) > 400
    }  # fmt: skip
    assert long == {}
