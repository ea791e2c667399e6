"""The meter: whose lots it learns, what it reads, what is not read."""

from dataclasses import replace

import numpy as np
import pytest

from lotwise_simulator import benchmark
from lotwise_simulator.reference import reference_lots, tested_lots
from lotwise_training.config.schema import MeterRecipe
from lotwise_training.data.property_lots import meter_lots, meter_tiles
from lotwise_training.inference.predict import predict_tiles
from lotwise_training.store.checkpoint import CheckpointError
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.attributes import (
    METER,
    attribute_training,
    load_attribute_network,
)
from tests.training.striped_lots import NETWORK, striped_lots

RECIPE = MeterRecipe(lots=3, tiles=2, network=NETWORK)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    return meter_tiles(RECIPE, tmp_path_factory.mktemp("data"))


def test_its_lots_are_its_own_and_their_attributes_true(tiles):
    assert tiles.images.shape == (6, 256, 256)
    np.testing.assert_array_equal(tiles.lots, [0, 0, 1, 1, 2, 2])
    others = (*reference_lots(), *tested_lots(), *benchmark.reference_lots(), *benchmark.new_lots())
    assert not set(tiles.table.lot_ids) & {lot.lot_id for lot in others}
    assert tiles.table.attributes.shape == (3, 4)
    assert tiles.table.attributes.min() >= 0
    assert tiles.table.attributes.max() <= 1
    assert len(np.unique(tiles.table.attributes)) == 12


def test_more_lots_are_spread_evenly_and_begin_with_the_same(tiles):
    lots = meter_lots(replace(RECIPE, lots=100))
    more = np.stack([lot.attributes.as_array() for lot in lots])
    assert more.shape == (100, 4)
    np.testing.assert_allclose(more[:3], tiles.table.attributes, atol=1e-6)
    np.testing.assert_allclose(more.mean(axis=0), 0.5, atol=0.05)


@pytest.fixture(scope="module")
def trained(one_thread, tmp_path_factory):
    """A meter of the width of stripes."""
    run = tmp_path_factory.mktemp("run")
    data = striped_lots()
    work = attribute_training(METER, data, replace(NETWORK, steps=100), None)
    work.check(run)
    work.train(run, report=lambda progress, line: None)
    return run, data, work


def test_lots_are_held_out_whole(trained):
    _, data, work = trained
    train, held = (set(data.lots[rows]) for rows in (work.job.train, work.job.validation))
    assert not train & held
    assert len(train) + len(held) == 5


def test_it_reads_every_attribute_apart(trained):
    run, data, work = trained
    meter = load_attribute_network(checkpoint_path(run, METER))
    read = predict_tiles(meter, data.images[work.job.train])
    true = data.table.attributes[data.lots[work.job.train]]
    assert read.shape == true.shape
    # The second is 0.5 for every lot.
    assert np.abs(read[:, 1] - 0.5).mean() < 0.05
    assert np.corrcoef(read[:, 0], true[:, 0])[0, 1] > 0.8


def test_an_unfinished_meter_is_not_read(tmp_path):
    with pytest.raises(
        CheckpointError, match="no finished network of attributes; run `lotwise-train editor`"
    ):
        load_attribute_network(tmp_path / "meter.pt")
