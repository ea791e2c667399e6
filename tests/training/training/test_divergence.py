"""A training whose loss or gradient is no number stops, and keeps its last good checkpoint."""

from dataclasses import replace

import pytest
import torch

from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.divergence import TrainingDiverged
from lotwise_training.training.loop import train_network
from lotwise_training.training.parallel import train_networks
from lotwise_training.training.tasks.classifier import (
    ClassifierTask,
    ClassifierTrainer,
)
from tests.training.small_lots import JOB, NETWORK
from tests.training.small_lots import TWO_LOTS as DATA

CPU = torch.device("cpu")


def nothing(progress, line):
    pass


class Exploding(ClassifierTask):
    """Its loss is no number from a step on."""

    def __init__(self, *arguments, at):
        super().__init__(*arguments)
        self.at = at

    def loss(self, chosen, crop_px, rng, step):
        return super().loss(chosen, crop_px, rng, step) * (float("nan") if step >= self.at else 1)


class ExplodingTrainer(ClassifierTrainer):
    def task(self, job, device):
        return Exploding(self.data, job, self.recipe, device, at=6)


def test_a_loss_that_is_no_number_stops_the_training_and_leaves_the_last_checkpoint(tmp_path):
    trainer = ExplodingTrainer(DATA, NETWORK)
    with pytest.raises(
        TrainingDiverged, match=r"some/member_00: .* step 6, .* rate of 0\.00"
    ) as said:
        train_network(trainer, JOB, tmp_path, report=nothing, device=CPU)
    assert said.value.exit_code == 3
    state = torch.load(checkpoint_path(tmp_path, JOB.name), weights_only=True)
    assert (state["step"], state["finished"]) == (4, False)
    assert all(torch.isfinite(each).all() for each in state["network"].values())


def test_workers_stop_where_a_loss_is_no_number(tmp_path):
    jobs = [replace(JOB, name=f"some/member_{n:02d}") for n in range(2)]
    with pytest.raises(TrainingDiverged, match="step 6"):
        train_networks(ExplodingTrainer(DATA, NETWORK), jobs, tmp_path, parallel=2)


class ExplodingGradient(ClassifierTask):
    """From a step on, a finite loss has a gradient that is none."""

    def loss(self, chosen, crop_px, rng, step):
        value = super().loss(chosen, crop_px, rng, step)
        if step >= 6:
            value.register_hook(lambda gradient: gradient * float("nan"))
        return value


class ExplodingGradientTrainer(ClassifierTrainer):
    def task(self, job, device):
        return ExplodingGradient(self.data, job, self.recipe, device)


def test_a_gradient_that_is_no_number_does_not_reach_a_checkpoint(tmp_path):
    trainer = ExplodingGradientTrainer(DATA, replace(NETWORK, checkpoint_every=1))
    with pytest.raises(TrainingDiverged, match="step 6"):
        train_network(trainer, JOB, tmp_path, report=nothing, device=CPU)
    state = torch.load(checkpoint_path(tmp_path, JOB.name), weights_only=True)
    assert (state["step"], state["finished"]) == (6, False)
    assert all(torch.isfinite(each).all() for each in state["network"].values())
