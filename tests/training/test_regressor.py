"""The regressor's training on a problem that takes seconds: the width of stripes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lotwise_training.checkpoint import CheckpointError
from lotwise_training.config import RegressorRecipe, StrengthDataRecipe
from lotwise_training.data import StrengthData, StrengthTiles
from lotwise_training.prediction import load_regressor, regressed
from lotwise_training.regressor import regression_report, train_regressor

RECIPE = RegressorRecipe(
    depth=10,
    widen=1,
    pool=2,
    steps=80,
    batch_size=16,
    learning_rate=5e-3,
    warmup_share=0.2,
    weight_decay=0.0,
    crops=((0.0, 32),),
    gain_range=0.2,
    offset_range=10.0,
    max_noise_sigma=4.0,
    max_blur_sigma_px=0.5,
    threads=1,
    max_seconds=600.0,
    checkpoint_every=20,
    seed=0,
    data=StrengthDataRecipe(1, 1, 1, 1, 0),
)


def striped(widths, n, seed):
    """`n` tiles of 32 px of each width; the property is 100 times the width."""
    generator = np.random.default_rng(seed)
    tiles, lots = [], []
    for lot, width in widths.items():
        for _ in range(n):
            phase = generator.integers(0, 64)
            line = np.where((np.arange(32) + phase) // width % 2, 170.0, 80.0)
            tiles.append(np.tile(line, (32, 1)) + generator.normal(0, 5, (32, 32)))
            lots.append(lot)
    return StrengthTiles(
        np.stack(tiles).clip(0, 255).astype(np.uint8),
        np.array([100.0 * widths[lot] for lot in lots], dtype=np.float32),
        np.zeros((len(lots), 4), dtype=np.float32),
        np.array(lots),
    )


@pytest.fixture(scope="module")
def data():
    known = {0: 2, 1: 4, 2: 8}
    return StrengthData(
        ("a", "b", "c", "d"),
        striped(known, 16, 0),
        striped(known, 4, 1),
        striped({3: 6}, 4, 2),
        "x",
    )


@pytest.fixture(autouse=True)
def _threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def nothing(progress, line):
    pass


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("regressor")
    train_regressor(data, RECIPE, run, report=nothing)
    return run


def test_it_learns_and_the_report_shows_it(trained, data):
    report = regression_report(load_regressor(trained), data)
    known = report["known lots, new regions"]
    assert known["tiles"] == 12
    assert known["lots"] == 3
    assert known["rmse_psi"] < 0.5 * known["mean_predictor_rmse_psi"]
    assert known["lot_rmse_psi"] <= known["rmse_psi"]
    held_out = report["held-out lots"]
    # One lot of 600; the training tiles' mean is 1400 / 3.
    assert held_out["mean_predictor_rmse_psi"] == pytest.approx(600 - 1400 / 3, rel=1e-3)
    assert held_out["mean_predictor_mape_percent"] == pytest.approx(100 * (1 - 14 / 18), rel=1e-3)


def test_the_answer_is_in_psi_within_the_learned_range(trained, data):
    answer = regressed(load_regressor(trained), data.test.images)
    assert answer.shape == (12,)
    assert ((answer > 500 - 334) & (answer < 500 + 334)).all()


def test_a_finished_regressor_is_read_not_trained_again(trained, data):
    lines = []
    train_regressor(data, RECIPE, trained, report=lambda progress, line: lines.append(line))
    assert lines == ["already trained"]
    with pytest.raises(CheckpointError, match="another recipe"):
        train_regressor(data, replace(RECIPE, pool=1), trained, report=nothing)


def test_a_training_that_was_broken_off_ends_with_the_same_weights(data, tmp_path):
    def kill(progress, line):
        raise InterruptedError

    short = replace(RECIPE, steps=30, checkpoint_every=10)
    whole = train_regressor(data, short, tmp_path / "whole", report=nothing)
    # The report of step 20 comes after the checkpoint of step 10 and before that of step 20.
    reports = iter([nothing, kill])
    with pytest.raises(InterruptedError):
        train_regressor(data, short, tmp_path / "broken", report=lambda *a: next(reports)(*a))
    with pytest.raises(CheckpointError, match="no finished regressor"):
        load_regressor(tmp_path / "broken")
    resumed = train_regressor(data, short, tmp_path / "broken", report=nothing)
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor, rtol=0, atol=0)
