"""The tables of what the regressor and the editor are worth."""

import io

import pytest
from rich.console import Console

from lotwise_training.evaluate import show_edits, show_regression

REGRESSION = {
    "tiles": 4321.0,
    "lots": 8.0,
    "rmse_psi": 101.4,
    "mape_percent": 7.25,
    "lot_rmse_psi": 90.6,
    "lot_mape_percent": 6.04,
    "mean_predictor_rmse_psi": 350.2,
    "mean_predictor_mape_percent": 31.5,
}
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


def test_the_regressors_table_shows_every_set_and_figure(console):
    show_regression("Peak stress", {"known lots": REGRESSION, "held-out lots": REGRESSION}, console)
    figures = "4,321 101 7.2% 8 91 6.0% 350 31.5%"
    shown = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert f"known lots {figures}" in shown
    assert f"held-out lots {figures}" in shown


def test_the_editors_table_shows_slopes_beside_true_ones(console):
    show_edits(EDITS, console)
    shown = console.file.getvalue()
    assert "23.5 dB" in shown
    assert "3.2%" in shown
    assert ["size", "-1,234", "-1,500", "94%"] in [line.split() for line in shown.splitlines()]
    assert not any(line.startswith("reconstruction") for line in shown.splitlines())
