"""Two processes that train one network, started as on a machine with two GPUs, but on the CPU."""

import json
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from lotwise_training.cli.app import TOGETHER, app
from lotwise_training.config.schema import LoopRecipe, RegressorNetworkRecipe
from lotwise_training.data.tiles import LOTS_FILE, read_table
from lotwise_training.inference.predict import load_members
from lotwise_training.store.checkpoint import load_checkpoint
from lotwise_training.training import distributed
from lotwise_training.training.distributed import ProcessesError
from lotwise_training.training.tasks.regression import Regression, Targets
from tests.support.triton import ROOT
from tests.training.cli.test_cli import RECIPE as COMMITTEE
from tests.training.commands import LOTS, said, write_grey_lots, write_recipes
from tests.training.trained_together import BROKEN_AT, DATA, JOB, RECIPE, train

INSTRUMENT = {
    "gain_range": 0.2,
    "offset_range": 5.0,
    "max_noise_sigma": 2.0,
    "max_blur_sigma_px": 1.0,
}


def _shared_keys(recipe):
    """What a classifier's recipe has in common with any."""
    return {field.name: getattr(recipe, field.name) for field in fields(LoopRecipe)}


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Folder of what two processes trained, and what each of them says."""
    run = tmp_path_factory.mktemp("together")
    write_grey_lots(run / "lots")
    write_recipes(run / "recipes", committee=COMMITTEE)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run(
        [sys.executable, *command, "-m", "tests.training.trained_together", run],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return run, [json.loads((run / f"said-{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, one_thread):
    run = tmp_path_factory.mktemp("alone")
    return run, train(run)


def weights(run, name="whole"):
    state = load_checkpoint(run / f"{name}.pt")
    assert state["finished"]
    return state["network"]


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        # Large weights are rounded to half precision: neighbours of it are as close as can be.
        torch.testing.assert_close(found[name], tensor, rtol=2e-3, atol=2e-4, msg=name)


def test_every_step_has_the_loss_that_one_process_has_with_the_whole_batch(together, alone):
    first, second = together[1]
    assert first["processes"] == second["processes"] == 2
    assert first["losses"] == second["losses"]
    assert len(first["losses"]) == len(alone[1]) == 16
    # Before what rounding does adds up; each share with statistics of its own would differ by 7e-4.
    np.testing.assert_allclose(first["losses"][:4], alone[1][:4], rtol=1e-5)
    np.testing.assert_allclose(first["losses"], alone[1], rtol=1e-3)
    assert alone[1][-1] < 0.7 * alone[1][0]  # it learned something, so steps matter


def test_the_network_is_the_one_of_one_process(together, alone):
    assert_close(weights(together[0]), weights(alone[0]))


def test_the_first_process_alone_writes(together):
    run, (first, second) = together
    # Every four steps and at the end; then up to where it was broken off.
    assert first["saved"] == ["whole.pt"] * 5 + ["broken.pt"] * 2
    assert second["saved"] == []
    curves = {path.parent.name: path for path in (run / "tensorboard").glob("*/*")}
    assert len(list((run / "tensorboard").glob("*/*"))) == len(curves)


def test_the_command_trains_every_member_and_notes_the_lots(together):
    run, _ = together
    members, lots = load_members(run / "home/runs/committee")
    assert len(members) == 2
    assert read_table(run / "home/runs/committee" / LOTS_FILE).lot_ids == lots == LOTS


def test_one_process_goes_on_where_two_were_broken_off(together, alone, one_thread):
    run, (first, _) = together
    assert len(first["broken"]) == BROKEN_AT
    after = train(run, replace(JOB, name="broken"))
    np.testing.assert_allclose(after, alone[1][8:], rtol=1e-3)
    assert_close(weights(run, "broken"), weights(alone[0]))


def test_a_batch_that_cannot_be_shared_equally_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "count", lambda: 3)
    distributed.check_batch(12)
    with pytest.raises(ProcessesError, match="batch of 8 cannot be shared equally by 3"):
        distributed.check_batch(12, 8)


def test_shares_of_a_batch_are_of_each_of_its_parts(monkeypatch):
    monkeypatch.setattr(distributed, "count", lambda: 2)
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    assert distributed.own_rows(4, 2).tolist() == [1, 3, 5]


def test_shares_of_a_regressors_batch_have_the_loss_of_the_whole(monkeypatch):
    recipe = RegressorNetworkRecipe(**INSTRUMENT, pool=1, **_shared_keys(RECIPE))
    targets = Targets(np.linspace(0.1, 0.9, len(DATA))[:, None], (0.0, 1.0))
    task = Regression(DATA.images, targets, recipe, torch.device("cpu"))
    task.network.eval()  # each share alone has other statistics than all

    def loss():
        return task.loss(np.arange(8), 8, np.random.default_rng(0), 0).item()

    whole = loss()
    monkeypatch.setattr(distributed, "count", lambda: 2)
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shares.append(loss())
    assert shares[0] != pytest.approx(shares[1])
    assert np.mean(shares) == pytest.approx(whole, rel=1e-5)


def test_more_processes_than_gpus_are_refused(monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(ProcessesError, match="2 processes cannot share 1 GPUs"),
        distributed.together(),
    ):
        pass


def commands():
    listed = {each.name or each.callback.__name__ for each in app.registered_commands}
    return sorted({*listed, "plan"} - {*TOGETHER})


@pytest.mark.parametrize("command", commands())
def test_what_several_processes_cannot_do_together_is_refused(command, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    # The name of a command of `plan` is not looked at any more.
    code, output = said(command, *(["tiles"] if command == "plan" else []))
    assert code == 1
    assert f"`lotwise-train {command}` is the work of one process" in output
