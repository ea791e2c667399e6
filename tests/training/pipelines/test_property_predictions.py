"""What regressors and their baselines say of tiles that they did not learn from."""

import numpy as np
import pytest
import torch

from lotwise_training.evaluation.property_predictions import (
    FIRST_FOLD,
    LOT_HELD_OUT,
    MEAN,
    METHODS,
    NETWORK,
    NEW_LOTS,
    PAIR,
    REGION_BLOCKED,
    TILE_RANDOM,
    PropertyResult,
)
from lotwise_training.inference.predict import load_regressor, predict_property
from lotwise_training.pipelines.property_predictions import property_result, property_sets
from lotwise_training.store.arrays import read, write
from lotwise_training.store.checkpoint import CheckpointError, weights_sha256
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.property import (
    SECOND,
    fold_name,
    regressor_splits,
    served_name,
)
from tests.training.striped_lots import RECIPE, striped_lots

DATA = striped_lots()
NEW = striped_lots((5, 7), regions=3, seed=1)


@pytest.fixture(scope="module")
def sets(regressor_runs):
    return property_sets(DATA, NEW, RECIPE, regressor_runs)


def test_every_set_has_an_answer_of_every_method(sets):
    assert list(sets) == [TILE_RANDOM, REGION_BLOCKED, LOT_HELD_OUT, FIRST_FOLD, NEW_LOTS]
    for name, each in sets.items():
        known = {NETWORK, PAIR} if name == FIRST_FOLD else set(METHODS) - {PAIR}
        assert set(each.predicted) == known
        assert {len(predicted) for predicted in each.predicted.values()} == {len(each.lots)}
    assert len(sets[TILE_RANDOM].lots) == len(sets[REGION_BLOCKED].lots) == 10
    assert sets[NEW_LOTS].lot_ids == NEW.table.lot_ids


def test_tiles_of_a_known_lot_are_asked_of_the_network_that_is_served(sets, regressor_runs):
    test = regressor_splits(DATA, RECIPE)[served_name()].test
    network = load_regressor(checkpoint_path(regressor_runs, served_name()))
    expected = predict_property(network, DATA.images[test])
    np.testing.assert_array_equal(sets[TILE_RANDOM].predicted[NETWORK], expected)
    np.testing.assert_array_equal(sets[TILE_RANDOM].true, DATA.table.values[DATA.lots[test]])


def test_every_lot_is_held_out_once_and_judged_by_what_has_not_seen_it(sets, regressor_runs):
    held = sets[LOT_HELD_OUT]
    assert np.bincount(held.lots).tolist() == [20] * 5
    for fold, split in ((n, regressor_splits(DATA, RECIPE)[fold_name(n)]) for n in range(2)):
        lots = np.unique(DATA.lots[split.unseen])
        rows = np.isin(held.lots, lots)
        network = load_regressor(checkpoint_path(regressor_runs, fold_name(fold)))
        expected = predict_property(network, DATA.images[split.unseen])
        np.testing.assert_array_equal(np.sort(held.predicted[NETWORK][rows]), np.sort(expected))
        learned = np.setdiff1d(np.arange(5), lots)
        np.testing.assert_allclose(held.predicted[MEAN][rows], DATA.table.values[learned].mean())


def test_two_networks_that_have_not_seen_a_fold_are_asked_together(sets, regressor_runs):
    unseen = regressor_splits(DATA, RECIPE)[SECOND].unseen
    one, two = (
        predict_property(load_regressor(checkpoint_path(regressor_runs, name)), DATA.images[unseen])
        for name in (fold_name(0), SECOND)
    )
    assert not np.array_equal(one, two)
    pair = sets[FIRST_FOLD]
    np.testing.assert_array_equal(pair.predicted[NETWORK], one)
    np.testing.assert_allclose(pair.predicted[PAIR], (one + two) / 2, rtol=1e-6)


def test_lots_that_were_learned_from_beside_the_measured_ones_do_not_count(regressor_runs):
    measured = DATA.table.lot_ids[:2]
    sets = property_sets(DATA, NEW, RECIPE, regressor_runs, measured=measured)
    for name in (TILE_RANDOM, REGION_BLOCKED, LOT_HELD_OUT):
        assert set(np.unique(sets[name].lots)) == {0, 1}
    assert len(np.unique(sets[FIRST_FOLD].lots)) > 2
    assert set(np.unique(sets[NEW_LOTS].lots)) == {0, 1}  # both new lots


def test_a_network_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="lotwise-train regressor"):
        property_sets(DATA, None, RECIPE, tmp_path)


def test_the_manifest_names_what_answered(regressor_runs):
    stated = property_result({}, DATA, RECIPE, regressor_runs, "tiny", benchmark=None).manifest()
    assert stated["unit"] == "N"
    assert stated["networks"][served_name()]["train_lots"] == 5
    assert stated["networks"][fold_name(0)]["train_lots"] < 5
    hashes = {run["weights_sha256"] for run in stated["networks"].values()}
    assert len(hashes) == 5
    network = load_regressor(checkpoint_path(regressor_runs, served_name()))
    assert (
        weights_sha256(network.state_dict()) == stated["networks"][served_name()]["weights_sha256"]
    )
    with torch.no_grad():
        network.target_scale *= 2
    assert weights_sha256(network.state_dict()) not in hashes


def test_what_was_written_is_read_again(sets, tmp_path):
    write(tmp_path, PropertyResult(None, "tiny", "d" * 64, "load", "N", {}, sets))
    stored = read(PropertyResult, tmp_path)
    found = stored.sets
    assert stored.unit == "N"
    assert list(found) == list(sets)
    for name, each in sets.items():
        assert found[name].lot_ids == each.lot_ids
        np.testing.assert_array_equal(found[name].lots, each.lots)
        np.testing.assert_array_equal(found[name].values, each.values)
        for method, predicted in each.predicted.items():
            np.testing.assert_array_equal(found[name].predicted[method], predicted)
