"""The benchmark of fine-tuning: what is learned from, what is tested, what is printed."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from benchmarks import transfer
from tests.training.small_lots import dataset, lot_table

COUNT = 5
"""Scenes of learned tiles, of four each, and those of the tiles to validate and to test."""
SCENES = (transfer.TEST_TILES + transfer.VALIDATION_TILES) // 4 + COUNT
REGIONS = np.arange(transfer.LOTS * SCENES).repeat(4)
DATA = dataset(
    np.zeros((len(REGIONS), 4, 4), dtype=np.uint8),
    REGIONS // SCENES,
    REGIONS,
    lot_table(transfer.LOTS),
)


@pytest.fixture
def model():
    options = SimpleNamespace(steps=32, regressor_steps=16)
    return transfer.models(options)["committee"]


def test_no_scene_has_tiles_on_two_sides():
    parts = transfer.split(DATA, 4 * COUNT)
    assert [len(part) for part in parts] == [transfer.LOTS * n for n in (4 * COUNT, 8, 20)]
    scenes = [set(DATA.regions[part]) for part in parts]
    assert len(set.union(*scenes)) == sum(map(len, scenes))


def test_the_fewest_steps_that_are_no_worse_count(model):
    assert transfer.tuned_steps(model) == [2, 4, 8, 16, 32]
    figures = {"nothing": 60.0, "tuned_2": 50.0, "tuned_4": 60.0, "tuned_8": 55.0}
    figures |= {"tuned_16": 70.0, "tuned_32": 80.0}
    assert transfer.steps_to_reach(model, figures) == 4
    # An error is to fall.
    assert transfer.steps_to_reach(replace(model, rising=False), figures) == 2
    assert transfer.steps_to_reach(model, {**figures, "nothing": 81.0}) is None


def test_the_table_shows_mean_spread_and_each_draws_steps(model):
    begins = ["nothing", *(f"tuned_{steps}" for steps in transfer.tuned_steps(model))]
    low = dict.fromkeys(begins, 50.0)
    draws = [{20: low | {"nothing": 51.0}}, {20: low | {"tuned_32": 60.0}}]
    console = Console(width=120, record=True, file=None)
    with console.capture() as shown:
        console.print(transfer.table_of(model, draws, "a title"))
    (row,) = [line for line in shown.get().splitlines() if line.strip(" │┃").startswith("20")]
    assert "50.5 ± 0.7" in row
    assert "55.0 ± 7.1" in row
    assert "never, 2" in row


def test_tiles_are_resampled_for_the_committee():
    large = replace(DATA, images=np.full((len(DATA), 8, 8), 7, dtype=np.uint8))
    small = transfer.seen_at(large, 4)
    assert small.images.shape == (len(DATA), 4, 4)
    assert small.um_per_px == 2 * large.um_per_px
    assert small.version != large.version
