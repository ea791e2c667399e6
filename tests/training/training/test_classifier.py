"""One network's training, on two lots of which one is dark and one is bright."""

import builtins
from dataclasses import replace

import numpy as np
import pytest
import torch

from lotwise.core.uncertainty import softmax
from lotwise_training.data.outliers import outlier_tiles
from lotwise_training.inference import predict as prediction
from lotwise_training.inference.predict import load_network, predict_logits
from lotwise_training.metrics import negative_log_likelihood
from lotwise_training.models.wide_resnet import TileClassifier
from lotwise_training.store.checkpoint import CheckpointError, save_checkpoint
from lotwise_training.training.base import Validation, checkpoint_path
from lotwise_training.training.loop import rate_factor, train_network
from lotwise_training.training.schedule import halving, one_cycle
from lotwise_training.training.tasks.classifier import (
    ClassifierTask,
    ClassifierTrainer,
)
from tests.training.small_lots import JOB, NETWORK, TILES, WITH_OUTLIERS, grey_lots
from tests.training.small_lots import TWO_LOTS as DATA

TEST = TILES[8 * 8 + 1 :: 2]
STEPS = 16
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def _one_thread_of_the_cpu(one_thread):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction, "best_device", lambda: torch.device("cpu"))
        yield


def nothing(progress, line):
    pass


def train(run, job=JOB, recipe=NETWORK, data=DATA, report=nothing):
    """The state that a training leaves."""
    trainer = ClassifierTrainer(data, recipe)
    return torch.load(
        train_network(trainer, job, run, report=report, device=CPU), weights_only=True
    )


class Broken(Exception):
    """Somebody pulled the plug."""


def train_in_pieces(run, breaks, job=JOB, recipe=NETWORK):
    """A training that is broken off at its n-th report, again and again, and then finished."""
    for at in breaks:
        reports = iter(range(at - 1, -1, -1))

        def report(progress, line, left=reports):
            if next(left) == 0:
                raise Broken

        with pytest.raises(Broken):
            train(run, job, recipe, report=report)
    return train(run, job, recipe)


def assert_same_weights(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = tmp_path_factory.mktemp("finished")
    return run, train(run)


def test_dark_and_bright_lots_are_told_apart(finished):
    run, state = finished
    network, lot_ids = load_network(checkpoint_path(run, JOB.name))
    assert lot_ids == ("L0", "L1")
    logits = predict_logits(TileClassifier(network), DATA.images[TEST])
    np.testing.assert_array_equal(logits.argmax(axis=1), DATA.lots[TEST])
    assert state["step"] == STEPS
    assert state["line"].startswith("validation 100.0%, NLL ")


def test_with_dropout_and_outliers_they_are_told_apart_too(tmp_path):
    train(tmp_path, replace(JOB, dropout=0.3, steps=32), WITH_OUTLIERS)
    network, _ = load_network(checkpoint_path(tmp_path, JOB.name))
    logits = predict_logits(TileClassifier(network), DATA.images[TEST])
    np.testing.assert_array_equal(logits.argmax(axis=1), DATA.lots[TEST])


def test_finished_weights_are_rounded_as_they_are_served(finished):
    kernel = finished[1]["network"]["blocks.0.conv1.weight"]
    assert torch.equal(kernel, kernel.half().float())


def test_a_seed_gives_one_network_and_another_seed_another(finished, tmp_path):
    again = train(tmp_path / "again")["network"]
    assert_same_weights(again, finished[1]["network"])
    other = train(tmp_path / "other", replace(JOB, seed=8))["network"]
    assert not torch.equal(other["head.weight"], again["head.weight"])


@pytest.mark.parametrize("recipe", [NETWORK, WITH_OUTLIERS], ids=["plain", "outliers"])
def test_a_refitted_head_changes_nothing_else_and_fits_the_features_that_are_served(
    recipe, tmp_path
):
    plain = train(tmp_path / "plain", JOB, recipe)
    refitted = train(tmp_path / "refitted", replace(JOB, head_tiles=48), recipe)
    head = {"head.weight", "head.bias"}
    rest = {name: tensor for name, tensor in plain["network"].items() if name not in head}
    assert_same_weights({name: refitted["network"][name] for name in rest}, rest)
    for name in head:
        assert not torch.equal(refitted["network"][name], plain["network"][name])
    nll = {}
    for name in ("plain", "refitted"):
        network, _ = load_network(checkpoint_path(tmp_path / name, JOB.name))
        logits = predict_logits(TileClassifier(network), DATA.images[TEST])
        nll[name] = negative_log_likelihood(softmax(logits), DATA.lots[TEST])
    assert nll["refitted"] < 0.5 * nll["plain"]


def test_a_refitted_head_stays_unsure_of_pictures_of_no_lot(tmp_path):
    # Without outliers the same pictures are taken for a lot.
    confidence = {}
    pictures = outlier_tiles(12, DATA.images[JOB.train], JOB.seed)
    for name, recipe in (("plain", NETWORK), ("outliers", WITH_OUTLIERS)):
        train(tmp_path / name, replace(JOB, head_tiles=48), recipe)
        network, _ = load_network(checkpoint_path(tmp_path / name, JOB.name))
        logits = predict_logits(TileClassifier(network), pictures)
        confidence[name] = softmax(logits).max(axis=1).mean()
    assert confidence["outliers"] < confidence["plain"]


# Checkpoints come every four steps and the report just before each, so the third report is that of
# step 12, and what it breaks off goes on from step 8.
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize(
    "recipe",
    [NETWORK, WITH_OUTLIERS, replace(NETWORK, optimiser="sgd")],
    ids=["plain", "outliers", "sgd"],
)
@pytest.mark.parametrize("breaks", [(3,), (1, 2, 2)], ids=["once", "thrice"])
def test_a_training_that_was_broken_off_ends_with_the_same_weights(
    breaks, recipe, dropout, tmp_path
):
    # Validations fall between checkpoints, so what was best is the checkpoint's, too.
    recipe = replace(recipe, validations=5)
    job = replace(JOB, dropout=dropout, head_tiles=16)
    whole = train(tmp_path / "whole", job, recipe)
    pieces = train_in_pieces(tmp_path / "pieces", breaks, job, recipe)
    assert_same_weights(pieces["network"], whole["network"])
    assert pieces["step"] == whole["step"] == STEPS
    assert pieces["best_error"] == whole["best_error"]


def test_half_a_training_is_not_taken_for_a_whole_one(tmp_path):
    def plug(progress, line):
        if progress > 0.5:
            raise Broken

    with pytest.raises(Broken):
        train(tmp_path, report=plug)
    with pytest.raises(CheckpointError, match="no finished network"):
        load_network(checkpoint_path(tmp_path, JOB.name))


def test_a_finished_network_is_not_trained_again(finished):
    run, _ = finished
    path = checkpoint_path(run, JOB.name)
    before = path.stat().st_mtime_ns
    said = []
    train(run, report=lambda progress, line: said.append((progress, line)))
    assert path.stat().st_mtime_ns == before
    assert said == [(1.0, finished[1]["line"])]


OTHERS = {
    "recipe": {"recipe": replace(NETWORK, weight_decay=1e-3)},
    "data": {"data": grey_lots(n_lots=2, regions=8, per_region=8, seed=1)},
    "training tiles": {"job": replace(JOB, train=TILES[1 : 8 * 8])},
    "validation tiles": {"job": replace(JOB, validation=TILES[8 * 8 :])},
    "seed": {"job": replace(JOB, seed=8)},
    "dropout": {"job": replace(JOB, dropout=0.3)},
    "steps": {"job": replace(JOB, steps=24)},
    "tiles of the head": {"job": replace(JOB, head_tiles=8)},
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_network_of_another_origin_is_not_taken_for_this_one(what, finished):
    with pytest.raises(CheckpointError, match="another recipe"):
        train(finished[0], **OTHERS[what])


def test_how_fast_it_goes_is_no_part_of_what_a_network_is(finished):
    hurried = replace(JOB, max_seconds=1.0)
    state = train(finished[0], hurried, replace(NETWORK, checkpoint_every=100))
    assert_same_weights(state["network"], finished[1]["network"])


def test_time_that_runs_out_ends_the_schedule_early(tmp_path):
    state = train(tmp_path, replace(JOB, max_seconds=1e-3))
    assert state["finished"]
    assert state["step"] < STEPS


@pytest.fixture
def nlls(monkeypatch):
    """Sets what validations say; gives the weights that each was of."""
    seen = []

    def set_series(*series):
        told = iter(series)
        seen.clear()

        def validate(task):
            seen.append({k: v.clone() for k, v in task.network.state_dict().items()})
            return Validation(next(told), {}, "")

        monkeypatch.setattr(ClassifierTask, "validate", validate)
        return seen

    return set_series


def test_training_stops_where_nothing_gets_better_and_keeps_what_was_best(nlls, tmp_path):
    # Every fourth step; the second is best, then two in a row are not better. At the end the last
    # weights are asked once more, and then the rounded ones.
    seen = nlls(0.9, 0.5, 0.5, 0.6, 0.7, 0.55)
    state = train(
        tmp_path,
        replace(JOB, steps=32),
        replace(NETWORK, validations=8, patience=2, checkpoint_every=3),
    )
    assert state["step"] == 4 * 4
    assert len(seen) == 6
    assert state["best_error"] == 0.5
    best = seen[1]["head.weight"]
    torch.testing.assert_close(state["network"]["head.weight"], best, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(state["network"]["head.weight"], seen[3]["head.weight"], atol=1e-4)


def test_patience_counts_on_after_a_break(nlls, tmp_path):
    nlls(0.9, 0.5, 0.6)
    recipe = replace(NETWORK, validations=8, patience=2, checkpoint_every=1)
    job = replace(JOB, steps=32)
    reports = iter(range(12))

    def plug(progress, line):
        if next(reports, None) is None:
            raise Broken

    with pytest.raises(Broken):
        train(tmp_path, job, recipe, report=plug)
    seen = nlls(0.7, 0.8, 0.55)
    state = train(tmp_path, job, recipe)
    assert state["step"] == 16
    assert state["best_error"] == 0.5
    assert len(seen) == 3


def test_a_better_validation_starts_patience_anew(nlls, tmp_path):
    nlls(0.9, 1.0, 0.8, 0.9, 0.7, 0.7, 0.7, 0.7, 0.7)
    state = train(
        tmp_path,
        replace(JOB, steps=32),
        replace(NETWORK, validations=8, patience=2, crops=((0, 8),)),
    )
    assert state["step"] == 7 * 4


def test_halvings_come_at_the_steps_of_the_recipe():
    recipe = replace(NETWORK, schedule="halving", halve_every=50)
    job = replace(JOB, steps=200)
    at = {step: rate_factor(step / 200, job, recipe) for step in (0, 49, 50, 99, 100, 199)}
    assert at == {0: 1.0, 49: 1.0, 50: 0.5, 99: 0.5, 100: 0.25, 199: 0.125}
    # A training of half the steps halves half as often.
    assert rate_factor(0.999, replace(job, steps=100), recipe) == 0.5
    assert halving(0.0, 4.0) == 1.0


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing():
    rates = [rate_factor(share, JOB, NETWORK) for share in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert rates == pytest.approx([1 / 25, (1 + 1 / 25) / 2, 1.0, 0.5, 0.0])
    assert max(one_cycle(share / 100, 0.2) for share in range(101)) == 1.0


@pytest.mark.parametrize("schedule", ["one-cycle", "halving"])
def test_the_optimiser_follows_the_schedule(schedule, tmp_path, monkeypatch):
    recipe = replace(NETWORK, schedule=schedule, halve_every=4)
    rates = []
    step = torch.optim.Adam.step

    def note(self, *arguments, **options):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.Adam, "step", note)
    train(tmp_path, JOB, recipe)
    expected = [NETWORK.learning_rate * rate_factor(n / STEPS, JOB, recipe) for n in range(16)]
    assert rates == pytest.approx(expected)
    if schedule == "halving":
        assert rates[::4] == pytest.approx([5e-3, 2.5e-3, 1.25e-3, 0.625e-3])


def test_a_network_of_some_lots_numbers_them_in_their_own_order(tmp_path):
    data = grey_lots(n_lots=4, regions=8, per_region=4)
    known = np.array([1, 3])
    tiles = np.flatnonzero(np.isin(data.lots, known))
    job = replace(JOB, train=tiles[:40], validation=tiles[40:], classes=known, steps=20)
    state = train(tmp_path, job, data=data)
    assert state["lot_ids"] == ["L1", "L3"]
    assert state["shape"][2] == 2
    network, _ = load_network(checkpoint_path(tmp_path, job.name))
    logits = predict_logits(TileClassifier(network), data.images[tiles[40:]])
    np.testing.assert_array_equal(known[logits.argmax(axis=1)], data.lots[tiles[40:]])


def test_curves_are_written_for_tensorboard(finished):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run, state = finished
    curves = reader.EventAccumulator(str(run / "tensorboard" / JOB.name)).Reload()
    wanted = {"validation/nll", "validation/accuracy", "train/loss", "train/learning_rate"}
    assert set(curves.Tags()["scalars"]) == wanted
    assert [point.step for point in curves.Scalars("validation/nll")] == [4, 8, 12, 16]
    assert curves.Scalars("validation/accuracy")[-1].value == 1.0
    assert state["finished"]


def test_curves_of_a_training_that_was_broken_off_have_every_point_once(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train_in_pieces(tmp_path, (3,))
    curves = reader.EventAccumulator(str(tmp_path / "tensorboard" / JOB.name)).Reload()
    for name in ("validation/nll", "train/loss"):
        assert [point.step for point in curves.Scalars(name)] == [4, 8, 12, 16]


def test_without_tensorboard_the_same_network_is_trained(finished, tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments, **options):
        if "tensorboard" in name:
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    state = train(tmp_path)
    assert_same_weights(state["network"], finished[1]["network"])
    assert not (tmp_path / "tensorboard").exists()


def test_an_unfinished_training_of_an_older_recipe_is_refused_by_name(tmp_path):
    path = checkpoint_path(tmp_path, JOB.name)
    save_checkpoint(path, {"fingerprint": "of epochs", "finished": False, "step": 3})
    with pytest.raises(CheckpointError, match="member_00.pt is an unfinished training of an older"):
        train(tmp_path)


def test_what_was_trained_says_how(finished):
    _, state = finished
    assert (state["step"], state["steps"], state["max_seconds"]) == (STEPS, STEPS, None)
    assert state["device"] == "cpu"


def test_a_time_limit_is_stated_though_the_rest_was_trained_without(tmp_path):
    def plug(progress, line):
        raise Broken

    recipe = replace(NETWORK, checkpoint_every=2)
    reports = iter([nothing, plug])
    with pytest.raises(Broken):
        train(
            tmp_path,
            replace(JOB, max_seconds=600.0),
            recipe,
            report=lambda *said: next(reports)(*said),
        )
    assert train(tmp_path, JOB, recipe)["max_seconds"] == 600.0
