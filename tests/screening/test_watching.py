"""A watched folder: half-written files are waited for, lots get their verdict when complete."""

import asyncio

import pytest

from lotwise.core.lot_sidecar import COMPLETE
from lotwise.screening.sources import FolderSource
from lotwise.screening.spool import Spool
from lotwise.screening.watching import GrowingFolder
from lotwise.store import Store
from lotwise_simulator import mosaic
from lotwise_simulator.benchmark import reference_lots
from tests.support.watches import watching

REGION = 8_124


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def growing(tmp_path, clock):
    plain = FolderSource.of(tmp_path, None)
    return GrowingFolder(
        plain.name, plain.source, None, simulated=False, settled_s=2.0, clock=clock
    )


def names(source):
    return [tile.tile_id for tile in source.found()]


def test_a_file_is_taken_once_it_has_settled(growing, tmp_path, clock):
    (tmp_path / "a.png").write_bytes(b"half")
    assert names(growing) == []
    assert growing.unsettled
    clock.now = 1.0
    (tmp_path / "a.png").write_bytes(b"half and half")
    assert names(growing) == []
    clock.now = 2.5
    assert names(growing) == []
    clock.now = 3.0
    assert names(growing) == ["a.png"]
    assert not growing.unsettled
    assert names(growing) == []
    # Written anew, it is another tile.
    (tmp_path / "a.png").write_bytes(b"other")
    assert names(growing) == []
    clock.now = 5.0
    assert names(growing) == ["a.png"]


@pytest.mark.parametrize("name", ["a.png.part", ".a.png", "a.tif.tmp", COMPLETE, "notes.txt"])
def test_what_is_no_tile_yet_is_left_alone(growing, tmp_path, clock, name):
    (tmp_path / name).write_bytes(b"x")
    assert names(growing) == []
    clock.now = 10.0
    assert names(growing) == []
    assert not growing.unsettled


@pytest.fixture(scope="module")
def images():
    return [tile.image for tile in mosaic(reference_lots()[2], 8, region=REGION)]


async def test_tiles_are_screened_as_they_come_and_lots_when_they_are_complete(
    images, addresses, tmp_path
):
    spool = Spool(tmp_path / "spool")
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        async with watching(spool.folder, store, addresses) as (verdicts, troubles, until):
            for number, image in enumerate(images[:6]):
                lot = "first" if number < 4 else "second"
                spool.add(image, lot_id=lot, row=0, column=number, um_per_px=1.0)
            spool.complete("first")
            await until(1)
            # The other goes on without a verdict, its tiles are decided on.
            async with asyncio.timeout(60):
                while len(store.screenings()) < 2:
                    await asyncio.sleep(0.05)
            assert [each.lot.name for each in verdicts] == ["first"]
            spool.add(images[6], lot_id="second", row=0, column=6, um_per_px=1.0)
            spool.complete("second")
            await until(2)
        assert troubles == []
        assert [(each.lot.name, each.outcome.tiles) for each in verdicts] == [
            ("first", 4),
            ("second", 3),
        ]
        # The folder that is watched holds no tiles itself: it is no lot.
        assert [lot.key.name for lot in store.lots()] == ["first", "second"]


async def test_a_watch_goes_on_with_what_the_one_before_left(images, addresses, tmp_path):
    spool = Spool(tmp_path / "spool")
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        async with watching(spool.folder, store, addresses):
            spool.add(images[0], lot_id="A", row=0, column=0, um_per_px=1.0)
            async with asyncio.timeout(60):
                while not any(s for s in store.screenings() if store.progress(s.key).done):
                    await asyncio.sleep(0.05)
        # Nobody watches now.
        spool.complete("A")
        async with watching(spool.folder, store, addresses) as (verdicts, _, until):
            await until(1)
            assert verdicts[0].outcome.tiles == 1
        async with watching(spool.folder, store, addresses) as (verdicts, _, until):
            await asyncio.sleep(0.5)
            assert verdicts == []  # it has its verdict


async def test_a_lot_that_falls_silent_is_complete(images, addresses, tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.add(images[0], lot_id="A", row=0, column=0, um_per_px=1.0)
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        async with watching(spool.folder, store, addresses, quiet_s=0.3) as (verdicts, _, until):
            await until(1)
            spool.add(images[1], lot_id="A", row=0, column=1, um_per_px=1.0)
            await until(2)
        # What came later is counted, too.
        assert [each.outcome.tiles for each in verdicts] == [1, 2]
        assert verdicts[0].key == verdicts[1].key
