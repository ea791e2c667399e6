"""Backups: portable, of one moment, restored wholly or not at all."""

import json
import random
import time
import zipfile

import pytest

from lotwise.store import Store, StoreError
from lotwise.store.backup import FORMAT, restore_backup, write_backup
from lotwise.store.migrating import head
from tests.support import store_processes
from tests.support.stocked import contents, stock
from tests.support.stores import begin, fill, outcome, screened


@pytest.fixture
def stocked(store, clock):
    """A store with some of everything."""
    stock(store, clock)
    return store


@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
def test_a_backup_is_restored_into_either_database(stocked, new_address, tmp_path, clock, into):
    path = tmp_path / "backup.zip"
    made = write_backup(stocked, path)
    before = contents(stocked)
    assert made.rows == {name: len(rows) for name, rows in before.items()}
    assert made.rows["results"] == 11
    with Store.open(new_address(into, ready=True), clock=clock) as other:
        assert restore_backup(path, other) == made
        assert contents(other) == before
        # What comes next gets numbers of its own, and the screening goes on.
        assert fill(other, 3, "R09").id > max(lot.key.id for lot in stocked.lots())
        (unfinished,) = other.screenings(other.lot("R01", "/tuesday").key)
        assert other.progress(unfinished.key).pending == 0
        assert other.finish(unfinished.key, outcome(other, unfinished.key)) == "finished"
        with pytest.raises(StoreError) as refused:
            restore_backup(path, other)
        assert refused.value.reason == "STORE_NOT_EMPTY"


def test_a_backup_is_of_one_moment_and_without_leases(store, tmp_path):
    screening = begin(store, fill(store, 5))
    store.claim(screening, "w", 3, 60)
    write_backup(store, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert "claims.jsonl" not in archive.namelist()


def reason_of_restoring(path, store):
    with pytest.raises(StoreError) as refused:
        restore_backup(path, store)
    assert store.lots() == []
    return refused.value.reason


def reason_if_refused(path, store):
    try:
        restore_backup(path, store)
    except StoreError as error:
        return error.reason
    return None


def test_damaged_backups_are_refused_wholly(stocked, new_address, tmp_path, clock):
    path, damaged = tmp_path / "backup.zip", tmp_path / "damaged.zip"
    write_backup(stocked, path)
    whole = path.read_bytes()
    before = contents(stocked)
    chance = random.Random(7)
    address = new_address("sqlite", ready=True)
    refused = 0
    for at in sorted(chance.sample(range(len(whole)), 60)):
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with Store.open(address, clock=clock) as other:
            if reason := reason_if_refused(damaged, other):
                assert reason in ("BACKUP_INVALID", "STORE_NEWER")
                assert other.lots() == []
                refused += 1
            else:  # in bytes that say nothing, such as the time of a member
                assert contents(other) == before
                address = new_address("sqlite", ready=True)
    assert refused > 40
    with Store.open(new_address("sqlite", ready=True)) as other:
        for length in chance.sample(range(len(whole)), 10):
            damaged.write_bytes(whole[:length])
            assert reason_of_restoring(damaged, other) == "BACKUP_INVALID"
        assert reason_of_restoring(tmp_path / "nowhere.zip", other) == "BACKUP_INVALID"
        assert reason_of_restoring(tmp_path, other) == "BACKUP_INVALID"


def rewritten(path, target, **changes):
    """The archive with members replaced; None removes one."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = changes.get(name.split(".")[0], old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target


def test_archives_that_are_whole_but_wrong(stocked, new_address, tmp_path):
    path, target = tmp_path / "backup.zip", tmp_path / "wrong.zip"
    write_backup(stocked, path)
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        tiles = archive.read("tiles.jsonl")
    assert (manifest["format"], manifest["schema_version"]) == (FORMAT, head())

    def stating(**changes):
        return {"manifest": json.dumps(manifest | changes)}

    wrong = {
        "one tile less": {"tiles": tiles[: tiles.rindex(b"\n", 0, -1) + 1]},
        "one tile changed": {"tiles": tiles.replace(b'"bytes": 1000', b'"bytes": 1001', 1)},
        "no results": {"results": None},
        "no manifest": {"manifest": None},
        "a manifest that is none": {"manifest": "{}"},
        "another format": stating(format="something-else"),
        "other tables": stating(tables={}),
    }
    with Store.open(new_address("sqlite", ready=True)) as other:
        for changes in wrong.values():
            rewritten(path, target, **changes)
            assert reason_of_restoring(target, other) == "BACKUP_INVALID", changes
        rewritten(path, target, **stating(schema_version="9999"))
        assert reason_of_restoring(target, other) == "STORE_NEWER"


def test_a_backup_of_the_first_schema_is_restored(stocked, new_address, tmp_path):
    path, old = tmp_path / "backup.zip", tmp_path / "old.zip"
    write_backup(stocked, path)
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    del manifest["tables"]["deliveries"]
    manifest["schema_version"] = "0001"
    rewritten(path, old, manifest=json.dumps(manifest), deliveries=None)
    with Store.open(new_address("sqlite", ready=True)) as other:
        restore_backup(old, other)
        assert len(other.lots()) == 2
        assert other.deliveries() == []


def test_a_restore_that_is_killed_leaves_nothing(new_address, kind, tmp_path):
    with Store.open(new_address("sqlite", ready=True)) as store:
        screened(store, 2500)
        write_backup(store, tmp_path / "backup.zip")
    address = new_address(kind, ready=True)
    chance = random.Random(3)
    killed = 0
    for _ in range(6):
        process = store_processes.start(store_processes.restore, tmp_path / "backup.zip", address)
        time.sleep(chance.uniform(0.02, 0.5))
        process.kill()
        process.join()
        with Store.open(address) as store:
            tiles = [lot.tiles for lot in store.lots()]
            assert tiles in ([], [2500])
            if tiles:
                break
            killed += 1
    else:
        process = store_processes.start(store_processes.restore, tmp_path / "backup.zip", address)
        process.join(60)
        assert process.exitcode == 0
    with Store.open(address) as store:
        assert store.progress(store.screenings()[0].key).done == 2500
    assert killed > 0
