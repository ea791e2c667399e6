"""A full disk stops cleanly, says so, and all goes on once there is space."""

import contextlib
import os
import resource
import shutil
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from lotwise.store import Store, StoreError
from lotwise.store.backup import write_backup
from lotwise.store.export import export_results
from tests.support.disks import full_disk, small_disk
from tests.support.stores import begin, fill, found, outcome, result, screened, work_off

MIB = 2**20


@contextlib.contextmanager
def max_pages(store, path):
    """SQLite's own limit, which gives its own error for a full disk."""

    def limit(connection, _):
        connection.execute("PRAGMA max_page_count = 120").close()

    sa.event.listen(store.database.engine, "connect", limit)
    store.database.engine.dispose()
    yield
    sa.event.remove(store.database.engine, "connect", limit)
    store.database.engine.dispose()


@contextlib.contextmanager
def largest_file(store, path, size=3 * MIB // 2):
    """The system's limit on the size of files, as a quota would be."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def reason_when_full(call):
    with pytest.raises(StoreError) as full:
        call()
    assert "Free some space" in full.value.message
    return full.value.reason


def fill_up(store, lot):
    for start in range(0, 20_000, 250):
        store.add_tiles(lot, [found(index) for index in range(start, start + 250)])


@pytest.mark.parametrize("limited", [max_pages, largest_file])
def test_a_store_that_cannot_grow_says_so_and_goes_on(tmp_path, limited):
    path = tmp_path / "store.sqlite"
    with Store.open(path, create=True) as store:
        lot = fill(store, 300)
        screening = begin(store, lot)
        recorded = store.record(
            screening, "w", [result(tile) for tile in store.claim(screening, "w", 100, 60)]
        )
        with limited(store, path):
            assert reason_when_full(lambda: fill_up(store, lot)) == "STORE_FULL"
            tiles = store.lots()[0].tiles
            assert 300 < tiles < 20_000
            assert (tiles - 300) % 50 == 0, "part of a batch was kept"
        assert store.progress(screening).done == recorded == 100
        store.add_tiles(lot, [found(index) for index in range(tiles + 500)])
        assert work_off(store, screening, limit=500) == tiles + 400
        assert store.finish(screening, outcome(store, screening)) == "finished"


def test_a_full_disk_while_recording(tmp_path):
    with small_disk(tmp_path / "disk", "16m"):
        path = tmp_path / "disk" / "store.sqlite"
        with Store.open(path, create=True) as store:
            screening = begin(store, fill(store, 1500))
            with full_disk(store, path):
                kept = 0

                def screen():
                    nonlocal kept
                    while tiles := store.claim(screening, "w", 50, 60):
                        kept += store.record(screening, "w", [result(tile) for tile in tiles])

                assert reason_when_full(screen) == "STORE_FULL"
                assert store.progress(screening).done == kept < 1500
            store.release(screening, "w")
            assert work_off(store, screening, limit=50) == 1500 - kept


def test_a_full_disk_outlives_the_program(tmp_path):
    with small_disk(tmp_path / "disk", "16m"):
        path = tmp_path / "disk" / "store.sqlite"
        with Store.open(path, create=True) as store:
            lot = fill(store, 500)
            screening = begin(store, lot)
            with full_disk(store, path):
                assert reason_when_full(lambda: work_off(store, screening)) == "STORE_FULL"
                done = store.progress(screening).done
                store.close()
        with Store.open(path) as store:
            store.release(screening, "w")
            assert work_off(store, screening) == 500 - done


def test_no_space_for_a_new_store(tmp_path):
    with small_disk(tmp_path / "disk"):
        path = tmp_path / "disk" / "store.sqlite"
        with full_disk(None, path):
            assert reason_when_full(lambda: Store.open(path, create=True)) == "STORE_FULL"
        Store.open(path, create=True).close()


def test_a_server_with_a_full_disk(server, tmp_path):
    owner = Path(f"/proc/{server.process.pid}").stat()
    folder = Path(tempfile.mkdtemp(prefix="lotwise-disk-"))  # pytest's are closed to others
    folder.chmod(0o755)
    with small_disk(folder / "disk", "24m", (owner.st_uid, owner.st_gid)):
        (folder / "disk" / "space").mkdir()
        os.chown(folder / "disk" / "space", owner.st_uid, owner.st_gid)
        server.run(
            f"CREATE TABLESPACE small LOCATION '{folder}/disk/space'",
            "CREATE DATABASE full_disk TEMPLATE template0 TABLESPACE small STRATEGY file_copy",
        )
        try:
            with Store.open(server.url("full_disk"), create=True) as store:
                lot = fill(store, 300)
                with full_disk(store, folder / "disk" / "store"):
                    assert reason_when_full(lambda: fill_up(store, lot)) == "STORE_FULL"
                    tiles = store.lots()[0].tiles
                    assert 300 <= tiles < 20_000
                assert store.add_tiles(lot, [found(index) for index in range(tiles + 500)]) == 500
        finally:
            server.run("DROP DATABASE full_disk WITH (FORCE)", "DROP TABLESPACE small")
    shutil.rmtree(folder)


@pytest.mark.parametrize("how", ["parquet", "csv", "backup"])
def test_a_file_that_cannot_be_written_leaves_the_old_one(store, tmp_path, how):
    screened(store, 600)
    path = tmp_path / "out" / f"results.{how}"
    path.parent.mkdir()

    def write():
        if how == "backup":
            write_backup(store, path)
        else:
            export_results(store, path, format_=how)

    path.write_bytes(b"the old one")
    with largest_file(store, path, size=4096), pytest.raises(StoreError) as full:
        write()
    assert full.value.reason == "OUTPUT_UNWRITABLE"
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == b"the old one"
    write()
    assert path.stat().st_size > 4096
    path = tmp_path / "nowhere" / "results"
    with pytest.raises(StoreError, match="cannot be written"):
        write()
