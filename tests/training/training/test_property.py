"""The regressors' training on a problem that takes seconds: the width of stripes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lotwise_training.config.schema import LoopRecipe
from lotwise_training.data.tiles import DatasetError
from lotwise_training.inference.predict import load_regressor, predict_property
from lotwise_training.metrics import rmse
from lotwise_training.store.checkpoint import CheckpointError
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.loop import train_network
from lotwise_training.training.tasks.property import (
    REGION_BLOCKED,
    SECOND,
    RegressorTask,
    fold_count,
    fold_name,
    lot_values,
    regressor_jobs,
    regressor_remarks,
    regressor_splits,
    served_name,
)
from lotwise_training.training.tasks.regression import RegressionTrainer
from tests.training.small_lots import folder_lots
from tests.training.striped_lots import NETWORK, RECIPE, striped_lots

DATA = striped_lots()


pytestmark = pytest.mark.usefixtures("one_thread")


def nothing(progress, line):
    pass


def train(run, recipe=NETWORK, report=nothing, job=None):
    """Where the checkpoint of the served network lies."""
    job = job or regressor_jobs(DATA, RECIPE)[0]
    return train_network(RegressionTrainer(RegressorTask, DATA, recipe), job, run, report=report)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("regressor")
    train(run)
    return run


def test_the_served_network_comes_first_then_all_that_it_is_compared_with():
    jobs = regressor_jobs(DATA, RECIPE)
    assert [job.name for job in jobs] == [
        served_name(),
        REGION_BLOCKED,
        fold_name(0),
        fold_name(1),
        SECOND,
    ]
    assert [job.steps for job in jobs] == [40, 20, 20, 20, 20]
    assert len({job.seed for job in jobs}) == 5
    limited = regressor_jobs(DATA, RECIPE, max_seconds=60.0)
    assert sum(job.max_seconds for job in limited) == pytest.approx(60.0)


def test_folds_hold_every_lot_out_once():
    splits = regressor_splits(DATA, RECIPE)
    held = [set(DATA.lots[splits[fold_name(n)].unseen].tolist()) for n in range(2)]
    assert held[0] | held[1] == set(range(5))
    assert not held[0] & held[1]
    for number, lots in enumerate(held):
        learned = DATA.lots[splits[fold_name(number)].train]
        assert lots.isdisjoint(learned.tolist())


def test_a_lot_without_a_value_is_named():
    table = replace(DATA.table, values=np.array([1.0, np.nan, 1.0, 1.0, 1.0]))
    with pytest.raises(DatasetError, match="Lot L1 has no measured property") as refused:
        regressor_jobs(replace(DATA, table=table), RECIPE)
    assert refused.value.reason == "PROPERTY_UNKNOWN"


def of_a_folder(*values, recipes=None):
    stated = {"property_name": "load", "unit": "N", "values": np.array(values)}
    return folder_lots(*[[(4, 4)] * 6] * len(values), recipes=recipes, **stated)


@pytest.mark.parametrize(
    ("values", "recipes", "folds"),
    [
        ((1.0, 2.0, 3.0), None, 3),
        ((1.0, 2.0, 3.0, 4.0), None, 2),
        ((1.0, 2.0), None, 0),
        ((1.0, 2.0, 3.0), ("a", "a", "b"), 0),
        ((1.0, 1.0, 3.0), None, 0),
    ],
)
def test_few_recipes_are_held_out_as_they_can(values, recipes, folds):
    data = of_a_folder(*values, recipes=recipes)
    assert fold_count(data, RECIPE) == folds
    names = [served_name(), *map(fold_name, range(folds)), *([SECOND] if folds else [])]
    assert list(regressor_splits(data, RECIPE)) == names
    remarks = regressor_remarks(data, RECIPE)
    assert any("No intervals" in remark for remark in remarks) == (folds == 0)


def test_lots_of_a_folder_count_alike_and_keep_tiles_to_calibrate():
    data = of_a_folder(-1.0, 0.0, 5.0)
    job = regressor_jobs(data, RECIPE)[0]
    np.testing.assert_array_equal(job.lots, data.lots[job.train])
    calibration = regressor_splits(data, RECIPE)[served_name()].calibration
    assert len(calibration) == 3 * 16
    assert {*job.train.tolist(), *job.validation.tolist()}.isdisjoint(calibration.tolist())


def test_a_property_that_is_the_same_everywhere_is_refused():
    with pytest.raises(DatasetError, match="needs 2 different ones") as caught:
        regressor_jobs(of_a_folder(4.0, 4.0, 4.0), RECIPE)
    assert caught.value.reason == "PROPERTY_CONSTANT"


def test_it_learns(trained):
    test = regressor_splits(DATA, RECIPE)[served_name()].test
    network = load_regressor(checkpoint_path(trained, served_name()))
    predicted = predict_property(network, DATA.images[test])
    true = lot_values(DATA)[test]
    assert predicted.shape == (10,)
    assert rmse(predicted, true) < 0.5 * rmse(np.full(10, true.mean()), true)


def test_the_answer_lies_within_the_learned_range(trained):
    answer = predict_property(load_regressor(checkpoint_path(trained, served_name())), DATA.images)
    # 200 to 800 lie on +-0.9 of tanh, by their logarithms.
    beyond = (800.0 / 200.0) ** (0.5 / 0.9)
    assert ((answer > 400.0 / beyond) & (answer < 400.0 * beyond)).all()


def test_what_was_validated_is_said_in_the_unit_of_the_property(trained):
    state = torch.load(checkpoint_path(trained, served_name()), weights_only=True)
    assert state["line"].startswith("validation RMSE ")
    assert " N, MAPE " in state["line"]
    assert state["property_range"] == [200.0, 800.0]


def test_the_range_is_that_of_the_lots_that_were_learned_from(tmp_path):
    job = next(job for job in regressor_jobs(DATA, RECIPE) if job.name == fold_name(0))
    state = torch.load(train(tmp_path, job=replace(job, steps=1)), weights_only=True)
    learned = lot_values(DATA)[job.train]
    assert state["property_range"] == [learned.min(), learned.max()]


def test_scores_are_learned_beside_the_property_and_are_not_served(trained):
    state = torch.load(checkpoint_path(trained, served_name()), weights_only=True)
    assert state["shape"] == [10, 1, 1 + len(DATA.table.attribute_names), 4]
    network = load_regressor(checkpoint_path(trained, served_name()))
    image = torch.from_numpy(DATA.images[::20, None])
    assert network(image).shape == (len(image), 1)
    with torch.no_grad():
        read = torch.tanh(network.network(network.network_input(image)))[:, 1].numpy()
    widths = DATA.table.attributes[DATA.lots[::20], 0]
    assert np.corrcoef(read, widths)[0, 1] > 0.7


def begun(data, recipe, run):
    """Where a network lies that has hardly learned."""
    job = replace(regressor_jobs(data, RECIPE)[0], steps=3)
    return train_network(RegressionTrainer(RegressorTask, data, recipe), job, run, report=nothing)


@pytest.mark.parametrize("scores", ["none", "unknown", "switched off"])
def test_lots_without_scores_are_learned_all_the_same(scores, tmp_path):
    n = len(DATA.table.lot_ids)
    names, values = {
        "none": ((), np.empty((n, 0))),
        "unknown": (("width",), np.full((n, 1), np.nan)),
        "switched off": (DATA.table.attribute_names, DATA.table.attributes),
    }[scores]
    data = replace(DATA, table=replace(DATA.table, attribute_names=names, attributes=values))
    recipe = replace(NETWORK, score_weight=0.0) if scores == "switched off" else NETWORK
    job = replace(regressor_jobs(data, RECIPE)[0], steps=3)
    path = train_network(
        RegressionTrainer(RegressorTask, data, recipe), job, tmp_path, report=nothing
    )
    assert np.isfinite(predict_property(load_regressor(path), DATA.images[:4])).all()


def test_a_property_that_is_not_positive_is_learned_as_it_is(tmp_path):
    data = replace(DATA, table=replace(DATA.table, values=DATA.table.values - 250.0))
    job = replace(regressor_jobs(data, RECIPE)[0], steps=3)
    path = train_network(
        RegressionTrainer(RegressorTask, data, NETWORK), job, tmp_path, report=nothing
    )
    assert not load_regressor(path).logarithmic
    # Errors relative to values near zero say nothing.
    assert "MAPE" not in torch.load(path, weights_only=True)["line"]
    assert np.abs(predict_property(load_regressor(path), DATA.images[:4]) - 250.0).max() < 340.0


def test_a_finished_regressor_is_read_not_trained_again(trained):
    path = checkpoint_path(trained, served_name())
    before = path.stat().st_mtime_ns
    train(trained)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(CheckpointError, match="another recipe"):
        train(trained, replace(NETWORK, pool=2))


def test_a_training_that_was_broken_off_ends_with_the_same_weights(tmp_path):
    def kill(progress, line):
        raise InterruptedError

    job = replace(regressor_jobs(DATA, RECIPE)[0], steps=30)
    assert isinstance(NETWORK, LoopRecipe)
    whole = torch.load(train(tmp_path / "whole", job=job), weights_only=True)
    # The report of step 20 comes after the checkpoint of step 10 and before that of step 20.
    reports = iter([nothing, kill])
    with pytest.raises(InterruptedError):
        train(tmp_path / "broken", report=lambda *a: next(reports)(*a), job=job)
    path = checkpoint_path(tmp_path / "broken", served_name())
    with pytest.raises(CheckpointError, match="no finished regressor"):
        load_regressor(path)
    resumed = torch.load(train(tmp_path / "broken", job=job), weights_only=True)
    assert resumed["step"] == whole["step"] == 30
    for name, tensor in whole["network"].items():
        assert torch.equal(resumed["network"][name], tensor), name
