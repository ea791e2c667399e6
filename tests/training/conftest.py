"""What tests of trainings share."""

import os
from dataclasses import replace

import pytest
import torch
from filelock import FileLock

from lotwise_training.training.loop import train_network
from lotwise_training.training.tasks.property import RegressorTask, regressor_jobs
from lotwise_training.training.tasks.regression import RegressionTrainer
from tests.training.striped_lots import RECIPE, striped_lots


@pytest.fixture(scope="module")
def one_thread():
    """For where bits are compared: the order of sums has to stay."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def regressor_runs(tmp_path_factory):
    """Runs of regressors of the striped lots, two steps each, trained once for all workers.

    Only to be read.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    runs, data = shared / "regressor-runs", striped_lots()
    with FileLock(shared / "regressor-runs.lock"):
        # Finished networks are kept, so the second worker trains none.
        for job in regressor_jobs(data, RECIPE):
            trainer = RegressionTrainer(RegressorTask, data, RECIPE.network)
            train_network(trainer, replace(job, steps=2), runs, report=lambda *_: None)
    return runs
