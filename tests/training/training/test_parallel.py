"""How networks that train side by side come by their tiles."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from lotwise_training.training import parallel
from lotwise_training.training.base import Job
from lotwise_training.training.parallel import limit_time, read_trainings, write_trainings

JOB = Job(
    name="some",
    train=np.arange(64),
    validation=np.arange(8),
    seed=0,
    steps=8,
    head_tiles=0,
)


@dataclass(frozen=True, eq=False)
class Learning:
    tiles: np.ndarray
    rows: np.ndarray


@pytest.fixture
def trainings(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "LARGE_BYTES", 1000)
    tiles = np.random.default_rng(0).integers(0, 256, (4, 16, 16), dtype=np.uint8)
    write_trainings([Learning(tiles, np.arange(n)) for n in (2, 3)], tmp_path)
    return tiles, tmp_path


def test_trainings_come_back_as_they_were(trainings):
    tiles, folder = trainings
    first, second = read_trainings(folder)
    np.testing.assert_array_equal(first.tiles, tiles)
    assert (first.rows.tolist(), second.rows.tolist()) == ([0, 1], [0, 1, 2])


def test_tiles_that_several_learn_from_are_written_once(trainings):
    tiles, folder = trainings
    written = list(folder.glob("*.npy"))
    assert len(written) == 1
    assert (folder / parallel.TRAININGS_FILE).stat().st_size < tiles.nbytes
    first, second = read_trainings(folder)
    assert isinstance(first.tiles, np.memmap)
    assert first.tiles is second.tiles


def test_what_one_process_writes_to_its_tiles_no_other_sees(trainings):
    tiles, folder = trainings
    read_trainings(folder)[0].tiles[:] = 7
    np.testing.assert_array_equal(read_trainings(folder)[0].tiles, tiles)


def test_networks_share_the_time_by_their_steps():
    jobs = [replace(JOB, steps=steps) for steps in (2, 4, 6)]
    shared = limit_time(jobs, 60.0, parallel=1)
    assert [job.max_seconds for job in shared] == pytest.approx([10.0, 20.0, 30.0])


def test_no_network_takes_longer_than_the_run():
    jobs = [replace(JOB, steps=steps) for steps in (2, 4, 12)]
    shared = limit_time(jobs, 60.0, parallel=3)
    assert [job.max_seconds for job in shared] == pytest.approx([20.0, 40.0, 60.0])


def test_without_a_limit_steps_alone_decide():
    jobs = limit_time([JOB, JOB], None, parallel=2)
    assert [job.max_seconds for job in jobs] == [None, None]
