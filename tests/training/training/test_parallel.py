"""How networks that train side by side come by their tiles."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from lotwise_training.training import parallel as lanes
from lotwise_training.training.loop import Job
from lotwise_training.training.parallel import read_works, timed, write_works
from tests.training.striped_lots import NETWORK

JOB = Job(
    name="some",
    train=np.arange(64),
    validation=np.arange(8),
    seed=0,
    epochs=1,
    max_seconds=1.0,
    head_tiles=0,
)


@dataclass(frozen=True, eq=False)
class Learning:
    tiles: np.ndarray
    rows: np.ndarray


@pytest.fixture
def works(tmp_path, monkeypatch):
    monkeypatch.setattr(lanes, "LARGE_BYTES", 1000)
    tiles = np.random.default_rng(0).integers(0, 256, (4, 16, 16), dtype=np.uint8)
    write_works([Learning(tiles, np.arange(n)) for n in (2, 3)], tmp_path)
    return tiles, tmp_path


def test_works_come_back_as_they_were(works):
    tiles, folder = works
    first, second = read_works(folder)
    np.testing.assert_array_equal(first.tiles, tiles)
    assert (first.rows.tolist(), second.rows.tolist()) == ([0, 1], [0, 1, 2])


def test_tiles_that_several_learn_from_are_written_once(works):
    tiles, folder = works
    written = list(folder.glob("*.npy"))
    assert len(written) == 1
    assert (folder / lanes.WORKS_FILE).stat().st_size < tiles.nbytes
    first, second = read_works(folder)
    assert isinstance(first.tiles, np.memmap)
    assert first.tiles is second.tiles


def test_what_one_process_writes_to_its_tiles_no_other_sees(works):
    tiles, folder = works
    read_works(folder)[0].tiles[:] = 7
    np.testing.assert_array_equal(read_works(folder)[0].tiles, tiles)


def test_networks_share_the_time_by_their_steps():
    jobs = [replace(JOB, epochs=epochs) for epochs in (2, 4, 6)]
    shared = timed(jobs, NETWORK, max_seconds=60.0, parallel=1)
    assert [job.max_seconds for job in shared] == pytest.approx([10.0, 20.0, 30.0])


def test_no_network_takes_longer_than_the_run():
    jobs = [replace(JOB, epochs=epochs) for epochs in (2, 4, 12)]
    shared = timed(jobs, NETWORK, max_seconds=60.0, parallel=3)
    assert [job.max_seconds for job in shared] == pytest.approx([20.0, 40.0, 60.0])
