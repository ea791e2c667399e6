"""kill -9 at any moment; several screeners at once."""

import os
import random
import time
from collections import Counter

import pytest

from lotwise.store import Store
from tests.support import store_processes
from tests.support.store_processes import start

TILES = 600
KILLS_EARLY, KILLS_AT_WORK = 5, 20


def lines(log):
    found = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    # The last line of a process that was killed may be half-written.
    return [tuple(words) for words in found if len(words) == 3]


def wait_for_lines(log, more, process):
    size = len(lines(log)) + more
    while len(lines(log)) < size and process.is_alive():
        time.sleep(0.001)


def test_kills_lose_nothing_and_double_nothing(new_address, kind, tmp_path):
    address, log = new_address(kind), tmp_path / "log"
    chance = random.Random(20261127)
    for kill in range(KILLS_EARLY + KILLS_AT_WORK):
        process = start(store_processes.screen, address, f"w{kill}", TILES, log, 3, 0.3)
        if kill < KILLS_EARLY:  # while they create the store and find tiles
            time.sleep(chance.uniform(0, 0.6))
        else:  # while they claim and record
            wait_for_lines(log, chance.randrange(1, 20), process)
            time.sleep(chance.uniform(0, 0.01))
        process.kill()
        process.join()
        assert process.exitcode == -9
    with Store.open(address, create=True) as store:
        (stored,) = store.screenings()
        assert 0 < store.progress(stored.key).pending < TILES
    last = start(store_processes.screen, address, "last", TILES, log, 50, 60)
    last.join(120)
    assert last.exitcode == 0
    with Store.open(address) as store:
        (lot,) = store.lots()
        (stored,) = store.screenings()
        results = list(store.results(stored.key))
        assert (lot.tiles, lot.repeats) == (TILES, 0)
        assert len({each.tile.id for each in results}) == len(results) == TILES
        assert (stored.outcome.tiles, stored.outcome.accepted) == (TILES, TILES)
        assert len(store.deliveries()) == 1
        # What a screener was told to be recorded is there, by it alone.
        by = {str(each.tile.id): each for each in results}
        told = [(worker, tile) for what, worker, tile in lines(log) if what == "recorded"]
        assert len(told) > 50
        first = {tile: worker for worker, tile in reversed(told)}
        assert {tile: by[tile].worker for tile in first} == first
        assert all(each.worker == each.result.looks_like for each in results)


@pytest.mark.parametrize("screeners", [2, 3])
def test_screeners_side_by_side_take_no_tile_twice(address, tmp_path, screeners):
    log = tmp_path / "log"
    workers = [f"w{at}" for at in range(screeners)]
    together = store_processes.barrier(screeners)
    running = [
        start(store_processes.screen, address, worker, TILES, log, 4, 60, together)
        for worker in workers
    ]
    for process in running:
        process.join(120)
        assert process.exitcode == 0
    claimed = [(worker, tile) for what, worker, tile in lines(log) if what == "claimed"]
    assert max(Counter(tile for _, tile in claimed).values()) == 1
    assert len(claimed) == TILES
    assert len({worker for worker, _ in claimed}) > 1, "one did it all"
    with Store.open(address) as store:
        (stored,) = store.screenings()
        assert store.progress(stored.key).accepted == TILES
        assert len(store.deliveries()) == 1


def test_stores_that_several_create_at_once_are_one(new_address, kind):
    address = new_address(kind)
    pipes = [store_processes.pipe() for _ in range(4)]
    running = [start(store_processes.open_new, address, sending) for _, sending in pipes]
    for process in running:
        process.join(60)
    assert [process.exitcode for process in running] == [0] * 4
    assert len({receiving.recv() for receiving, _ in pipes}) == 1
    with Store.open(address) as store:
        assert len(store.lots()) == 1


def test_the_killer_kills(tmp_path):
    process = start(time.sleep, 60)
    process.kill()
    process.join()
    assert process.exitcode == -9
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
