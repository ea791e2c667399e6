"""The real Triton that tests start."""

import os
from pathlib import Path

import pytest

from lotwise.runtime.triton.installation import TritonMissing, find_installation

ROOT = Path(__file__).parents[2]


def triton_home() -> Path:
    """The installed Triton. Absent, its tests skip for a user and fail in CI."""
    home = ROOT / ".triton"
    try:
        find_installation(home)
    except TritonMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs a real Triton: {missing}")
        pytest.skip(str(missing))
    return home
