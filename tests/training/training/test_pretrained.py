"""A network that begins with the trunk of another."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lotwise_training.models.wide_resnet import WideResNet
from lotwise_training.pipelines.pretrained import find_pretrained
from lotwise_training.store.checkpoint import CheckpointError, load_checkpoint
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.loop import train_network
from lotwise_training.training.pretrained import Pretrained, PretrainedMismatch
from lotwise_training.training.tasks.classifier import ClassifierTrainer
from lotwise_training.training.tasks.ensemble import committee_jobs
from tests.training.commands import said, write_grey_lots
from tests.training.small_lots import NETWORK, RECIPE, grey_lots
from tests.training.small_runs import write_committee

CPU = torch.device("cpu")
DATA = grey_lots(n_lots=3)


def nothing(progress, line):
    pass


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Runs of a committee that told other lots apart."""
    runs = tmp_path_factory.mktemp("runs")
    write_committee(runs / "committee")
    return runs


def test_the_trunk_is_taken_over_and_the_last_layer_is_not(source):
    found = find_pretrained(source, "committee")
    assert len(found) == 2
    torch.manual_seed(0)
    network = WideResNet(NETWORK.depth, NETWORK.widen, 3)
    head = network.head.weight.clone()
    found[1].load_trunk(network)
    torch.testing.assert_close(network.stem.weight, found[1].weights["stem.weight"])
    assert torch.equal(network.head.weight, head)


def test_a_training_begins_there_and_is_not_taken_for_one_that_did_not(source, tmp_path):
    job = replace(committee_jobs(DATA, RECIPE)[0], steps=1)
    trainer = ClassifierTrainer(DATA, replace(NETWORK, head_tiles=0, learning_rate=1e-6))
    begun = replace(job, pretrained=find_pretrained(source, "committee")[0])
    train_network(trainer, begun, tmp_path, report=nothing, device=CPU)
    stem = load_checkpoint(checkpoint_path(tmp_path, job.name))["network"]["stem.weight"]
    np.testing.assert_allclose(stem, begun.pretrained.weights["stem.weight"], atol=1e-3)
    with pytest.raises(CheckpointError, match="another recipe"):
        train_network(trainer, job, tmp_path, report=nothing, device=CPU)


def test_another_shape_is_refused_before_anything_is_trained():
    pretrained = Pretrained("shipped/member_00", WideResNet(16, 2, 30).state_dict())
    pretrained.check_shape(16, 2, 1)
    with pytest.raises(PretrainedMismatch, match="WRN-16-2 of 1 input channels.* WRN-10-1 of 4"):
        pretrained.check_shape(10, 1, 4)


def test_a_folder_without_networks_is_named(tmp_path):
    lots = write_grey_lots(tmp_path / "lots")
    home = ("--home", tmp_path / "home", "--lots", lots)
    code, text = said("committee", *home, "--from", tmp_path / "nowhere")
    assert code == 1
    assert "nowhere holds no committee to begin with" in text
    assert not (tmp_path / "home" / "runs").exists()


def test_the_shipped_committee_and_regressor_can_be_begun_with(repository):
    committee = find_pretrained(repository, "committee")
    assert len(committee) >= 4
    for each in committee:
        each.check_shape(16, 2, 1)
    (regressor,) = find_pretrained(repository, "regressor")
    regressor.check_shape(28, 1, 4)
