"""What the processes of test_processes.py train, and what one process trains to compare.

Run by torchrun: `trained_together.py FOLDER`, in which `lots` and `recipes` lie.
"""

import json
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

import torch

from lotwise_training.cli.app import app
from lotwise_training.models import wide_resnet
from lotwise_training.training import distributed
from lotwise_training.training import loop as training_loop
from lotwise_training.training.loop import train_network
from lotwise_training.training.tasks.classifier import ClassifierTrainer
from tests.training.small_lots import JOB as MEMBER
from tests.training.small_lots import TWO_LOTS as DATA
from tests.training.small_lots import WITH_OUTLIERS

RECIPE = replace(WITH_OUTLIERS, optimiser="sgd", learning_rate=0.02)
JOB = replace(MEMBER, name="whole")
BROKEN_AT = 10
"""Steps; the last checkpoint before is that of step 8."""


class Broken(Exception):
    """Somebody pulled the plug."""


@dataclass
class Watched:
    """A trainer whose losses are noted, and that breaks off."""

    trainer: ClassifierTrainer
    break_at: int | None = None
    losses: list[float] = field(default_factory=list)

    @property
    def recipe(self):
        return self.trainer.recipe

    def identity(self, job):
        return self.trainer.identity(job)

    def task(self, job, device):
        task = self.trainer.task(job, device)
        loss = task.loss

        def noted(chosen, crop_px, rng, step):
            if step == self.break_at:
                raise Broken
            result = loss(chosen, crop_px, rng, step)
            self.losses.append(distributed.mean(result).item())
            return result

        task.loss = noted
        return task


def train(run, job=JOB, break_at=None):
    """The losses of all steps that were taken; in single precision, wherever it runs."""
    watched = Watched(ClassifierTrainer(DATA, RECIPE), break_at)
    with mock.patch.object(wide_resnet, "mixed_precision", return_value=nullcontext()):
        try:
            train_network(
                watched,
                job,
                run,
                report=lambda progress, line: None,
                device=torch.device("cpu"),
            )
        except Broken:
            assert break_at is not None
    return watched.losses


def committee(run):
    """The command, on lots and a recipe that are there."""
    command = ["committee", "--lots", run / "lots", "--recipes", run / "recipes"]
    command += ["--profile", "tiny", "--only-served", "--home", run / "home"]
    app([str(each) for each in command], standalone_mode=False)


def main(run):
    saved = []
    save = training_loop.save_checkpoint

    def noted(path, state):
        saved.append(path.name)
        save(path, state)

    with (
        mock.patch.object(torch.cuda, "is_available", return_value=False),
        mock.patch.object(training_loop, "save_checkpoint", noted),
        distributed.together(),
    ):
        said = {
            "processes": distributed.count(),
            "losses": train(run),
            "broken": train(run, replace(JOB, name="broken"), BROKEN_AT),
            "saved": saved,
        }
        (run / f"said-{distributed.rank()}.json").write_text(json.dumps(said))
        committee(run)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
