"""Which networks a full run trains, and that they are trained side by side, whatever happens."""

import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from lotwise_training.data.splits import SPLITS, classes
from lotwise_training.data.tiles import DatasetError
from lotwise_training.inference.predict import MembersPredictor, load_members, load_network
from lotwise_training.store.checkpoint import CheckpointError
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.parallel import TrainingFailed, train_networks
from lotwise_training.training.tasks.classifier import ClassifierTrainer
from lotwise_training.training.tasks.ensemble import committee_jobs, committee_variants
from tests.training.small_lots import NETWORK, RECIPE, folder_lots, grey_lots

LIMIT = 600.0
DATA = grey_lots(n_lots=4, regions=10, per_region=4, recipes=("a", "a", "b", "c"))


@pytest.fixture(scope="module")
def jobs():
    return committee_jobs(DATA, RECIPE)


def named(jobs, part):
    return [job for job in jobs if part in job.name]


def test_the_committee_that_is_served_comes_first_then_all_that_it_is_compared_with(jobs):
    networks = ("member_00", "member_01", "dropout")
    assert [job.name for job in jobs] == [
        *(f"committee/{name}" for name in networks),
        *(f"committee-comparisons/region-blocked/{name}" for name in networks),
        *(f"committee-comparisons/lot-held-out/{name}" for name in networks),
    ]


def test_another_split_can_be_served():
    jobs = committee_jobs(DATA, replace(RECIPE, split="region-blocked"))
    np.testing.assert_array_equal(
        jobs[0].train, SPLITS["region-blocked"](DATA, RECIPE.network.seed).train
    )
    assert jobs[0].name == "committee/member_00"
    assert len(named(jobs, "comparisons/tile-random/")) == 3
    assert not named(jobs, "comparisons/region-blocked/")


def test_the_served_split_is_learnt_once_more_as_short_as_the_others():
    recipe = replace(RECIPE, comparison=replace(RECIPE.comparison, short_members=3))
    jobs = committee_jobs(DATA, recipe)
    short = named(jobs, "comparisons/tile-random-short/")
    assert [job.name.rsplit("/")[-1] for job in short] == [
        "member_00",
        "member_01",
        "member_02",
        "dropout",
    ]
    other = named(jobs, "comparisons/region-blocked/")[0]
    for job in short:
        assert job.steps == other.steps
        np.testing.assert_array_equal(job.train, jobs[0].train)
    assert len({job.seed for job in named(jobs, "member")}) == len(named(jobs, "member"))


def test_no_two_members_start_alike(jobs):
    seeds = [job.seed for job in named(jobs, "member")]
    assert len(set(seeds)) == len(seeds)


def test_more_members_keep_the_seeds_of_fewer(jobs):
    more = committee_jobs(DATA, replace(RECIPE, members=3))
    seeds = {job.name: job.seed for job in more}
    assert all(seeds[job.name] == job.seed for job in jobs)


def test_the_network_with_dropout_differs_from_the_first_member_in_nothing_else(jobs):
    for split in ("committee/", "region-blocked/", "lot-held-out/"):
        first, dropout = named(jobs, f"{split}member_00") + named(jobs, f"{split}dropout")
        assert dropout.dropout == RECIPE.dropout
        same = replace(dropout, name=first.name, dropout=0.0)
        assert vars(same) == vars(first)
    assert all(job.dropout == 0 for job in named(jobs, "member"))


def test_every_split_trains_on_its_own_tiles_and_lots(jobs):
    for name, split in SPLITS.items():
        wanted = split(DATA, RECIPE.network.seed)
        folder = "committee/" if name == RECIPE.split else f"/{name}/"
        for job in named(jobs, folder):
            np.testing.assert_array_equal(job.train, wanted.train)
            np.testing.assert_array_equal(job.validation, wanted.validation)
            np.testing.assert_array_equal(job.classes, classes(wanted, DATA))
            assert not set(job.train) & {*wanted.validation, *wanted.test, *wanted.unseen}
    assert len(named(jobs, "lot-held-out")[0].classes) < 4


def test_steps_are_those_of_the_recipe(jobs):
    assert {job.steps for job in named(jobs, "committee/")} == {NETWORK.steps}
    others = {RECIPE.comparison.other_splits_steps}
    assert {job.steps for job in named(jobs, "region-blocked")} == others
    assert {job.steps for job in named(jobs, "lot-held-out")} == others
    assert {job.max_seconds for job in jobs} == {None}


def test_heads_are_refitted_on_the_tiles_of_the_recipe(jobs):
    for job in jobs:
        served = job.name.startswith("committee/")
        recipe = RECIPE.network if served else RECIPE.comparison
        assert job.head_tiles == recipe.head_tiles


@pytest.mark.parametrize("parallel", [1, 2])
def test_the_time_of_all_networks_fits_into_the_limit(parallel):
    jobs = committee_jobs(DATA, replace(RECIPE, parallel=parallel), max_seconds=LIMIT)
    assert sum(job.max_seconds for job in jobs) == pytest.approx(LIMIT * parallel)
    # Each as long as its steps.
    paces = [job.max_seconds / job.steps for job in jobs]
    np.testing.assert_allclose(paces, paces[0])


def test_no_network_outlasts_the_run_where_all_are_trained_side_by_side():
    jobs = committee_jobs(DATA, replace(RECIPE, parallel=50), max_seconds=LIMIT)
    given = {job.steps: job.max_seconds for job in jobs}
    assert len(given) > 1
    assert given[max(given)] == LIMIT
    assert all(0 < seconds <= LIMIT for seconds in given.values())
    assert min(given.values()) < LIMIT


def test_lots_that_cannot_be_split_are_refused_before_anything_is_trained():
    with pytest.raises(DatasetError, match="recipes"):
        committee_jobs(grey_lots(n_lots=4, recipes=("a", "a", "b", "b")), RECIPE)


FOLDER = folder_lots([(4, 4)] * 6, [(4, 4)] * 12, [(4, 4)] * 6, recipes=("a", "b", "c"))


def test_lots_of_a_folder_learn_by_region_and_count_alike():
    jobs = committee_jobs(FOLDER, RECIPE)
    assert {job.name.split("/")[-2] for job in jobs} == {"committee", "lot-held-out"}
    for job in jobs:
        np.testing.assert_array_equal(job.lots, FOLDER.lots[job.train])
    split = SPLITS["region-blocked"](FOLDER, RECIPE.network.seed)
    np.testing.assert_array_equal(jobs[0].train, split.train)
    seen = {*jobs[0].train.tolist(), *jobs[0].validation.tolist()}
    assert len(split.calibration)
    assert seen.isdisjoint(split.calibration.tolist())


def test_simulated_lots_are_drawn_tile_by_tile(jobs):
    assert all(job.lots is None for job in jobs)


def test_what_lots_of_a_folder_cannot_carry_is_named_and_left_out():
    splits, remarks = committee_variants(folder_lots([(4, 4)] * 6, [(4, 4)] * 6), RECIPE)
    assert list(splits) == ["region-blocked"]
    assert any("Not compared with tile-random" in remark for remark in remarks)
    assert any("Not compared with lot-held-out: Of 2 recipes" in remark for remark in remarks)


def test_one_lot_is_no_committee():
    with pytest.raises(DatasetError, match="at least 2") as caught:
        committee_jobs(folder_lots([(8, 8)]), RECIPE)
    assert caught.value.reason == "LOTS_TOO_FEW"


SHORT = replace(RECIPE, network=replace(NETWORK, steps=4))


@pytest.fixture(scope="module")
def short_jobs():
    jobs = committee_jobs(DATA, SHORT)
    return [*named(jobs, "committee/"), *named(jobs, "lot-held-out/member_00")]


@pytest.fixture(scope="module")
def run(short_jobs, tmp_path_factory):
    """Four networks that two workers trained."""
    run = tmp_path_factory.mktemp("run")
    train_networks(ClassifierTrainer(DATA, SHORT.network), short_jobs, run, parallel=2)
    return run


def test_workers_leave_finished_networks(run, short_jobs):
    for job in short_jobs:
        _, lot_ids = load_network(checkpoint_path(run, job.name))
        assert lot_ids == tuple(DATA.table.lot_ids[lot] for lot in job.classes)
    members, lot_ids = load_members(run / "committee")
    assert lot_ids == DATA.table.lot_ids
    logits = MembersPredictor(members, "").outputs(DATA.images[:5]).logits
    assert logits.shape == (5, 2, 4)
    assert np.abs(logits[:, 0] - logits[:, 1]).max() > 1e-3


@pytest.mark.parametrize("parallel", [1, 2])
def test_finished_networks_are_kept_and_a_failing_one_is_reported_with_its_traceback(
    run, short_jobs, parallel
):
    def written():
        return [checkpoint_path(run, job.name).stat().st_mtime_ns for job in short_jobs]

    before = written()
    failing = replace(short_jobs[0], name="failing", train=np.arange(10) + len(DATA))
    trainer = ClassifierTrainer(DATA, SHORT.network)
    with pytest.raises(TrainingFailed) as caught:
        train_networks(trainer, [*short_jobs, failing], run, parallel=parallel)
    assert "Traceback" in str(caught.value)
    assert f"IndexError: index {len(DATA)} is out of bounds" in str(caught.value)
    assert written() == before
    assert not multiprocessing.active_children()


def test_a_worker_that_is_killed_is_noticed(tmp_path):
    killed = []

    def kill():
        while not (workers := multiprocessing.active_children()):
            time.sleep(0.01)
        killed.append(workers[0].pid)
        os.kill(workers[0].pid, signal.SIGKILL)

    endless = replace(committee_jobs(DATA, RECIPE)[0], steps=10**9)
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with pytest.raises(TrainingFailed, match="exited without a result"):
        train_networks(
            ClassifierTrainer(DATA, NETWORK),
            [endless, replace(endless, name="another")],
            tmp_path,
            parallel=2,
        )
    killer.join(timeout=10)
    assert killed


def test_no_members_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(CheckpointError, match="lotwise-train committee"):
        load_members(tmp_path)


def test_members_of_different_lots_are_no_committee(run, tmp_path):
    for name, source in (("member_00", "committee"), ("member_01", "lot-held-out")):
        folder = run / source if source == "committee" else run / "committee-comparisons" / source
        (tmp_path / f"{name}.pt").write_bytes((folder / "member_00.pt").read_bytes())
    with pytest.raises(CheckpointError, match="trained on different lots"):
        load_members(tmp_path)
