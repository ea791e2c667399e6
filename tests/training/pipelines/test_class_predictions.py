"""What trained networks are asked, and that they are asked once."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lotwise_training.calibration.policy import committee_sha256
from lotwise_training.data.splits import SPLITS, classes
from lotwise_training.evaluation import prediction_cache
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.evaluation.predictions import (
    DROPOUT,
    ENSEMBLE,
    METHODS,
    SINGLE,
    TEST,
    pool_logits,
)
from lotwise_training.inference.predict import (
    MembersPredictor,
    dropout_logits,
    load_members,
    load_network,
)
from lotwise_training.pipelines import class_predictions
from lotwise_training.pipelines.class_predictions import (
    UNKNOWN,
    UNSEEN,
    ensemble_result,
    shifted_predictions,
    split_predictions,
)
from lotwise_training.store.checkpoint import CheckpointError
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.loop import train_network
from lotwise_training.training.tasks.classifier import ClassifierTrainer
from lotwise_training.training.tasks.ensemble import committee_jobs, committee_variants
from tests.training.small_lots import RECIPE, grey_lots

DATA = grey_lots(n_lots=5, regions=10, per_region=4, recipes=("a", "b", "c", "d", "e"))
SEED = RECIPE.network.seed
HELD_OUT = "lot-held-out"


def predict_split(data, name, predictor):
    variants, _ = committee_variants(data, RECIPE)
    return split_predictions(data, name, variants[name], predictor)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All networks of a run, few steps each."""
    runs = tmp_path_factory.mktemp("runs")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for job in committee_jobs(DATA, RECIPE):
        trainer = ClassifierTrainer(DATA, RECIPE.network)
        train_network(trainer, job, runs, report=lambda progress, line: None)
    torch.set_num_threads(threads)
    return runs


@pytest.fixture(scope="module")
def predictor(runs):
    return PredictionCache(runs, RECIPE)


@pytest.fixture(scope="module")
def outputs(predictor):
    return {name: predict_split(DATA, name, predictor) for name in SPLITS}


def assert_same_answers(found, expected):
    assert found.keys() == expected.keys()
    for method, each in expected.items():
        np.testing.assert_array_equal(found[method].log_probabilities, each.log_probabilities)
        np.testing.assert_array_equal(found[method].member_entropy, each.member_entropy)


def test_all_test_tiles_of_the_served_split_are_asked_in_all_ways(outputs, runs):
    assert list(outputs["tile-random"]) == [("tile-random", TEST)]
    found = outputs["tile-random"]["tile-random", TEST]
    tiles = SPLITS["tile-random"](DATA, SEED).test
    assert len(tiles) > RECIPE.comparison.test_tiles
    np.testing.assert_array_equal(found.tiles, tiles)
    np.testing.assert_array_equal(found.labels, DATA.lots[tiles])
    members, _ = load_members(runs / "committee")
    network, _ = load_network(runs / "committee" / "dropout.pt")
    of_members = MembersPredictor(members, "").outputs(DATA.images[tiles]).logits
    expected = {
        SINGLE: pool_logits(of_members[:, :1]),
        DROPOUT: pool_logits(
            dropout_logits(network, DATA.images[tiles], RECIPE.dropout_passes, SEED)
        ),
        ENSEMBLE: pool_logits(of_members),
    }
    assert_same_answers(found.predictions, expected)


def test_other_splits_are_asked_about_a_sample_of_their_own_test_tiles(outputs):
    split = SPLITS["region-blocked"](DATA, SEED)
    found = outputs["region-blocked"]["region-blocked", TEST]
    assert len(found.tiles) == RECIPE.comparison.test_tiles < len(split.test)
    assert (np.diff(found.tiles) > 0).all()
    assert set(found.tiles) <= set(split.test)
    np.testing.assert_array_equal(found.labels, DATA.lots[found.tiles])


def test_networks_that_know_some_lots_are_judged_by_their_own_numbers(outputs, runs):
    split = SPLITS[HELD_OUT](DATA, SEED)
    known = classes(split, DATA)
    assert known.tolist() != list(range(len(known)))
    found = outputs[HELD_OUT][HELD_OUT, TEST]
    np.testing.assert_array_equal(known[found.labels], DATA.lots[found.tiles])
    for method in METHODS:
        assert found.predictions[method].probabilities.shape == (len(found.tiles), len(known))
    folder = runs / "committee-comparisons" / HELD_OUT
    assert load_members(folder)[1] == tuple(DATA.table.lot_ids[lot] for lot in known)


def test_lots_that_were_held_out_have_no_label(outputs):
    split = SPLITS[HELD_OUT](DATA, SEED)
    assert set(outputs[HELD_OUT]) == {(HELD_OUT, TEST), (HELD_OUT, UNSEEN)}
    found = outputs[HELD_OUT][HELD_OUT, UNSEEN]
    assert set(found.tiles) <= set(split.unseen)
    assert (found.labels == UNKNOWN).all()


@pytest.fixture
def nobody(monkeypatch):
    """Whoever is asked fails."""

    def fail(*_, **__):
        pytest.fail("asked again")

    monkeypatch.setattr(prediction_cache, "dropout_logits", fail)
    monkeypatch.setattr(MembersPredictor, "outputs", fail)


def test_a_second_call_asks_nobody(outputs, predictor, nobody):
    for name, expected in outputs.items():
        for key, found in predict_split(DATA, name, predictor).items():
            assert_same_answers(found.predictions, expected[key].predictions)


def test_other_tiles_are_asked_anew(outputs, predictor, nobody):
    other = replace(DATA, images=DATA.images ^ 1)
    with pytest.raises(pytest.fail.Exception, match="asked again"):
        predict_split(other, "tile-random", predictor)


def test_more_passes_are_asked_anew(outputs, predictor, nobody):
    more = PredictionCache(
        predictor.runs, replace(RECIPE, dropout_passes=RECIPE.dropout_passes + 1)
    )
    with pytest.raises(pytest.fail.Exception, match="asked again"):
        predict_split(DATA, "tile-random", more)


def test_networks_that_were_trained_anew_are_asked_anew(outputs, predictor, nobody, tmp_path):
    (tmp_path / "committee").mkdir()
    (tmp_path / prediction_cache.FOLDER).symlink_to(predictor.runs / prediction_cache.FOLDER)
    for name, source in (("member_00", "member_01"), ("member_01", "member_00")):
        content = (predictor.runs / "committee" / f"{source}.pt").read_bytes()
        (tmp_path / "committee" / f"{name}.pt").write_bytes(content)
    with pytest.raises(pytest.fail.Exception, match="asked again"):
        predict_split(DATA, "tile-random", PredictionCache(tmp_path, RECIPE))


def test_networks_that_are_missing_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="lotwise-train committee"):
        predict_split(DATA, "tile-random", PredictionCache(tmp_path, RECIPE))


def test_the_manifest_names_lots_weights_and_steps(predictor):
    stated = ensemble_result({}, DATA, predictor, "tiny", benchmark=False).manifest()
    assert stated["benchmark"] is None
    assert stated["profile"] == "tiny"
    assert stated["data_version"] == DATA.version
    assert stated["lot_ids"] == list(DATA.table.lot_ids)
    assert stated["recipes"] == list(DATA.table.recipes)
    assert set(stated["runs"]) == set(SPLITS)
    run = stated["runs"]["tile-random"]
    members, _ = load_members(predictor.runs / "committee")
    network, _ = load_network(checkpoint_path(predictor.runs, "committee/dropout"))
    assert run["weights_sha256"] == {
        ENSEMBLE: committee_sha256(members),
        DROPOUT: committee_sha256([network]),
    }
    jobs = {job.name: job for job in committee_jobs(DATA, RECIPE)}
    job = jobs["committee/member_00"]
    assert run["steps"] == job.steps
    assert run["train_tiles"] == len(job.train)
    assert run["members"] == 2
    assert run["dropout_passes"] == 3
    assert run["seconds"] > 0
    assert run["lot_ids"] == list(DATA.table.lot_ids)
    assert len(stated["runs"][HELD_OUT]["lot_ids"]) == 4


def test_lots_of_the_benchmark_have_the_frozen_version(predictor):
    stated = ensemble_result({}, DATA, predictor, "cpu", benchmark=True).manifest()
    assert stated["benchmark"] == 1
    assert stated["data_version"] == class_predictions.frozen()[1] != DATA.version


def test_shifted_sets_have_labels_where_the_lots_are_known(predictor, monkeypatch, tmp_path):
    asked = []

    def shifted(name, cache):
        asked.append(name)
        assert cache == tmp_path
        return grey_lots(5, regions=1, per_region=2, seed=len(asked))

    monkeypatch.setattr(class_predictions, "benchmark_set", shifted)
    found = shifted_predictions(tmp_path, predictor)
    assert [split for split, _ in found] == ["tile-random"] * 7
    assert [name for _, name in found] == asked
    assert asked[:4] == ["new_regions", "filament_soft", "filament_dim", "filament_bright"]
    assert set(asked[4:]) == {"ground", "between", "unrelated"}
    first = found["tile-random", "new_regions"].tiles
    assert len(first) == len(set(first.tolist())) == RECIPE.comparison.test_tiles == 8
    for number, ((_, name), each) in enumerate(found.items(), start=1):
        # The same places of every set.
        np.testing.assert_array_equal(each.tiles, first)
        assert set(each.predictions) == {SINGLE, ENSEMBLE}
        if name in ("ground", "between", "unrelated"):
            assert set(each.labels.tolist()) == {-1}
        else:
            lots = grey_lots(5, regions=1, per_region=2, seed=number).lots
            np.testing.assert_array_equal(each.labels, lots[first])
