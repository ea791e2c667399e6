"""The committee's training on a problem that takes seconds: stripes that lie or stand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lotwise_training.checkpoint import CheckpointError
from lotwise_training.committee import TrainingFailed, train_committee, train_member
from lotwise_training.config import CommitteeDataRecipe, CommitteeRecipe, PolicyRecipe
from lotwise_training.data import CommitteeData, LabelledTiles
from lotwise_training.prediction import committee_logits, load_members, member_path

RECIPE = CommitteeRecipe(
    members=2,
    depth=10,
    widen=1,
    steps=60,
    batch_size=16,
    learning_rate=5e-3,
    warmup_share=0.2,
    weight_decay=5e-4,
    crops=((0.0, 8), (0.6, 16)),
    outliers=24,
    outlier_batch_size=4,
    outlier_weight=0.5,
    parallel=2,
    max_seconds=600.0,
    checkpoint_every=20,
    seed=0,
    data=CommitteeDataRecipe(train_tiles=1, validation_tiles=1, test_tiles=1, shift_tiles=1),
    policy=PolicyRecipe(0.95, 0.999, 0.99, 0.2, 0.95),
)


def stripes(n, seed):
    """Tiles of 16 px; label 1 where the stripes stand."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    lines = np.where(np.arange(16) % 4 < 2, 180, 60)
    tiles = np.stack(
        [np.tile(lines, (16, 1)) if one else np.tile(lines, (16, 1)).T for one in labels]
    )
    noisy = tiles + rng.normal(0, 10, tiles.shape)
    return LabelledTiles(noisy.clip(0, 255).astype(np.uint8), labels)


@pytest.fixture(scope="module")
def data():
    return CommitteeData(("lying", "standing"), stripes(64, 0), stripes(32, 1), stripes(32, 2), "x")


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def nothing(member, progress, line):
    pass


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("committee")
    train_committee(data, RECIPE, run)
    return run


def test_members_learn_and_differ(trained, data):
    members, lot_ids = load_members(trained)
    assert lot_ids == ("lying", "standing")
    logits = committee_logits(members, data.test.images)
    assert logits.shape == (32, 2, 2)
    for member in range(2):
        assert (logits[:, member].argmax(axis=1) == data.test.labels).mean() >= 0.9
    assert np.abs(logits[:, 0] - logits[:, 1]).max() > 1e-3


def test_finished_weights_are_rounded_as_they_are_served(trained):
    members, _ = load_members(trained)
    kernel = members[0].network.blocks[0].conv1.weight
    torch.testing.assert_close(kernel, kernel.half().float(), rtol=0, atol=0)


def test_a_training_that_was_broken_off_ends_with_the_same_weights(data, tmp_path):
    class Killed(Exception):
        pass

    def kill(member, progress, line):
        raise Killed

    whole = train_member(data, RECIPE, tmp_path / "whole", 0, report=nothing)
    # The report of step 40 comes after the checkpoint of step 20 and before that of step 40.
    reports = iter([nothing, kill])
    with pytest.raises(Killed):
        train_member(data, RECIPE, tmp_path / "broken", 0, report=lambda *a: next(reports)(*a))
    with pytest.raises(CheckpointError, match="not finished"):
        load_members(tmp_path / "broken")
    resumed = train_member(data, RECIPE, tmp_path / "broken", 0, report=nothing)
    expected = torch.load(whole, weights_only=True)["network"]
    found = torch.load(resumed, weights_only=True)["network"]
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)


def test_finished_members_are_not_trained_again(trained, data):
    before = member_path(trained, 1).stat().st_mtime_ns
    train_member(data, RECIPE, trained, 1, report=nothing)
    assert member_path(trained, 1).stat().st_mtime_ns == before


def test_members_of_another_recipe_are_not_taken_for_ours(trained, data):
    with pytest.raises(CheckpointError, match="another recipe"):
        train_member(data, replace(RECIPE, weight_decay=1e-3), trained, 0, report=nothing)
    # How fast it goes is no part of what it is.
    train_member(data, replace(RECIPE, max_seconds=5.0, parallel=1), trained, 0, report=nothing)


def test_time_that_runs_out_ends_the_schedule_early(data, tmp_path):
    hurried = replace(RECIPE, max_seconds=1e-3)
    path = train_member(data, hurried, tmp_path, 0, report=nothing)
    state = torch.load(path, weights_only=True)
    assert state["finished"]
    assert state["step"] < RECIPE.steps


def test_a_member_that_fails_is_reported_with_its_reason(tmp_path):
    tiles = stripes(4, 0)  # fewer than a batch
    with pytest.raises(TrainingFailed, match="a batch of 16 cannot be drawn from 4 items"):
        train_committee(
            CommitteeData(("a", "b"), tiles, tiles, tiles, "y"),
            replace(RECIPE, members=1),
            tmp_path,
        )


def test_no_members_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(CheckpointError, match="lotwise-train committee"):
        load_members(tmp_path)
