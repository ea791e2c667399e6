"""The script that finds every number of one report in another."""

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("new", "missing"),
    [
        ({"x": [2, 0.1 + 0.2], "other": {"y": 2.0}, "more": 7}, []),
        ({"x": [2, 0.3], "y": True}, ["a.b[1]: 2.0"]),
        ({"x": [2, 2, 0.3000001]}, ["c: 0.3"]),
    ],
)
def test_numbers_are_found_whatever_their_key(new, missing, tmp_path):
    contents = {"old": {"a": {"b": [2, 2.0]}, "c": 0.3, "text": "9", "flag": True}, "new": new}
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    paths = [str(tmp_path / f"{name}.json") for name in contents]
    done = subprocess.run(
        [sys.executable, "scripts/compare-metrics", *paths], capture_output=True, text=True
    )
    assert done.stdout.splitlines()[:-1] == missing
    assert done.returncode == bool(missing)
