"""Screener, services and Triton are killed while a lot is screened: the benchmark, small."""

import subprocess
import sys

from tests.support.triton import ROOT, triton_home


def test_every_tile_is_kept_once_whoever_is_killed():
    small = ["--tiles", "48", "--kills", "5", "--triton", str(triton_home())]
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.screening_kills", *small],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "48 tiles, 5 kills" in ended.stdout
