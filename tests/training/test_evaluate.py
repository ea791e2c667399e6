"""The table of what the editor is worth."""

import io

import pytest
from rich.console import Console

from lotwise_training.evaluate import show_edits

EDITS = {
    "reconstruction": {"psnr_db": 23.46, "shift_of_the_prediction": 0.032},
    "size": {
        "slope_psi": -1234.0,
        "true_slope_psi": -1500.0,
        "share_of_tiles_with_the_true_sign": 0.94,
    },
}


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=120)


def test_the_editors_table_shows_slopes_beside_true_ones(console):
    show_edits(EDITS, console)
    shown = console.file.getvalue()
    assert "23.5 dB" in shown
    assert "3.2%" in shown
    assert ["size", "-1,234", "-1,500", "94%"] in [line.split() for line in shown.splitlines()]
    assert not any(line.startswith("reconstruction") for line in shown.splitlines())
