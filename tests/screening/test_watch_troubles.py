"""What goes wrong in a watched folder is told once, holds no other lot up, and is tried again."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest

from lotwise.core.errors import InvalidRequest
from lotwise.core.lot_sidecar import COMPLETE
from lotwise.screening import watching as watching_module
from lotwise.screening.services import Services
from lotwise.screening.sources import FolderSource
from lotwise.screening.spool import Spool
from lotwise.screening.watching import GrowingFolder, Watch
from lotwise.store import Store, StoreError
from lotwise_simulator import mosaic
from lotwise_simulator.benchmark import reference_lots
from tests.support.disks import NOBODY, fill_disk, small_disk, without_rights
from tests.support.tiles import png
from tests.support.watches import watching

REGION = 8_125


@pytest.fixture(scope="module")
def images():
    return [tile.image for tile in mosaic(reference_lots()[2], 8, region=REGION)]


def spooled(folder, images, lot, count=1):
    spool = Spool(folder)
    for number, image in enumerate(images[:count]):
        spool.add(image, lot_id=lot, row=0, column=number, um_per_px=1.0)
    spool.complete(lot)
    return spool


async def test_a_lot_that_is_wrong_does_not_hold_others_up(images, addresses, tmp_path):
    spool = Spool(tmp_path / "spool")
    (spool.folder / "wrong").mkdir()
    (spool.folder / "wrong" / "lot.json").write_text("{")
    spool.add(images[0], lot_id="right", row=0, column=0, um_per_px=1.0)
    spool.complete("right")
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        async with watching(spool.folder, store, addresses) as (_, troubles, until):
            await until(1)
            await asyncio.sleep(0.3)
        assert troubles == [("wrong", "LOT_SIDECAR_INVALID")]


async def test_a_folder_that_is_none_is_refused(addresses, tmp_path):
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        async with Services(addresses) as services:
            with pytest.raises(InvalidRequest) as refused:
                await Watch(tmp_path / "none", store, services).run(asyncio.Event())
    assert refused.value.reason == "LOT_MISSING"


async def test_a_file_that_cannot_be_read_is_told_of_and_the_lot_goes_on_without_it(
    images, addresses, tmp_path, monkeypatch
):
    monkeypatch.setattr(watching_module, "FIRST_RETRY_S", 0.3)
    spool = Spool(tmp_path / "spool")
    spool.add(images[0], lot_id="A", row=0, column=0, um_per_px=1.0)
    # Nobody can read the beginning of a process's memory, not even root.
    (spool.folder / "A" / "r0_c1.png").symlink_to("/proc/self/mem")
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        async with watching(spool.folder, store, addresses) as (verdicts, troubles, until):
            spool.complete("A")
            async with asyncio.timeout(60):
                while not troubles:
                    await asyncio.sleep(0.05)
            (screening,) = store.screenings()
            assert store.progress(screening.key).done == 1
            await asyncio.sleep(1.0)  # tried again meanwhile, told once
            assert troubles == [("A", "TILES_UNREADABLE")]
            assert verdicts == []
            (spool.folder / "A" / "r0_c1.png").unlink()
            await until(1)
        assert verdicts[0].outcome.tiles == 1


async def test_a_folder_without_rights_is_told_of_and_taken_once_it_can_be_read(
    images, addresses, monkeypatch
):
    monkeypatch.setattr(watching_module, "FIRST_RETRY_S", 0.3)
    # pytest's own folders are its user's alone.
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        spool = spooled(folder / "spool", images, "open")
        spooled(folder / "spool", images, "closed")
        spooled(folder / "spool", images, "late", 2)
        if os.geteuid() == 0:
            for each in (folder, *folder.rglob("*")):
                os.chown(each, NOBODY, NOBODY)
        with Store.open(folder / "store.sqlite", create=True) as store:
            if os.geteuid() == 0:
                for each in folder.glob("store.sqlite*"):
                    os.chown(each, NOBODY, NOBODY)
            async with watching(spool.folder, store, addresses) as (verdicts, troubles, until):
                with without_rights(spool.folder / "closed"):
                    await until(2)
                    assert ("closed", "TILES_UNREADABLE") in troubles
                await until(3)
            assert {each.lot.name for each in verdicts} == {"open", "late", "closed"}
            assert len(troubles) == 1


def test_a_folder_that_cannot_be_listed_says_so(tmp_path):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        plain = FolderSource.of(folder, None)
        growing = GrowingFolder(plain.name, plain.source, None, simulated=False)
        with without_rights(folder):
            with pytest.raises(InvalidRequest) as refused:
                assert growing.empty
            assert not growing.called_complete
            with pytest.raises(InvalidRequest) as unread:
                FolderSource.of(folder, None)
        assert refused.value.reason == unread.value.reason == "TILES_UNREADABLE"
        assert growing.empty


def test_what_was_renamed_is_not_waited_for(tmp_path):
    plain = FolderSource.of(tmp_path, None)
    growing = GrowingFolder(plain.name, plain.source, None, simulated=False)
    (tmp_path / "a.png").write_bytes(b"x")
    assert list(growing.found()) == []
    assert growing.unsettled
    (tmp_path / "a.png").rename(tmp_path / "a.tmp")
    assert list(growing.found()) == []
    assert not growing.unsettled


async def test_a_finished_lot_is_looked_at_when_its_folder_changes(
    images, addresses, tmp_path, monkeypatch
):
    looks = []
    found = GrowingFolder.found

    def counted(self):
        looks.append(self.name)
        return found(self)

    monkeypatch.setattr(GrowingFolder, "found", counted)
    spool = spooled(tmp_path / "spool", images, "A")
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        async with watching(spool.folder, store, addresses) as (verdicts, _, until):
            await until(1)
            await asyncio.sleep(0.3)
            before = len(looks)
            await asyncio.sleep(0.6)  # six looks at the folders
            assert len(looks) == before
            (spool.folder / "A" / "r0_c1.png").write_bytes(png(images[1]))
            await until(2)
        assert verdicts[-1].outcome.tiles == 2


async def test_a_full_disk_ends_a_watch_and_another_goes_on(images, addresses, tmp_path):
    spool = spooled(tmp_path / "spool", images, "A", 6)
    with small_disk(tmp_path / "disk", "4m"):
        path = tmp_path / "disk" / "store.sqlite"
        with Store.open(path, create=True) as store:
            fill_disk(tmp_path / "disk" / "other")
            async with Services(addresses, batch=False) as services:
                watch = Watch(spool.folder, store, services, settled_s=0.2, look_s=0.1)
                with pytest.raises(StoreError) as full:
                    await asyncio.wait_for(watch.run(asyncio.Event()), 60)
        assert full.value.reason == "STORE_FULL"
        assert (spool.folder / "A" / COMPLETE).exists()
        (tmp_path / "disk" / "other").unlink()
        with Store.open(path) as store:
            async with watching(spool.folder, store, addresses) as (verdicts, troubles, until):
                await until(1)
        assert verdicts[0].outcome.tiles == 6
        assert troubles == []
