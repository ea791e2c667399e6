"""Old lots leave the store; moved lots are found again."""

import hashlib
from datetime import timedelta

import pytest

from lotwise.core.errors import Contradiction, InvalidRequest, NotFound
from lotwise.store import FoundTile, Store
from lotwise.store.moving import relocate
from lotwise.store.retention import old_lots, prune
from tests.support.stocked import contents
from tests.support.stores import OTHER, begin, fill, outcome, screened, work_off


def test_old_lots_go_with_all_that_is_known_of_them(store, clock):
    started = clock()
    screened(store, 3, "old", notify={"lims": {}})
    store.delivered(store.due_deliveries(1, 60)[0])
    screened(store, 3, "untold", notify={"lims": {}})
    twice, _ = screened(store, 3, "screened again")
    begun, _ = screened(store, 3, "begun again")
    fill(store, 3, "never screened")
    begin(store, fill(store, 3, "unfinished"))
    clock.advance(10 * 86400)
    second = begin(store, twice, OTHER)
    work_off(store, second)
    store.finish(second, outcome(store, second))
    begin(store, begun, OTHER)
    before = clock() - timedelta(days=5)
    assert old_lots(store, started) == []
    old = old_lots(store, before)
    assert [(each.lot.name, each.tiles, each.goes) for each in old] == [
        ("old", 3, True),
        ("untold", 3, False),
    ]
    assert len(store.lots()) == 6
    assert prune(store, before) == [old[0]]
    assert prune(store, before) == []
    assert {lot.key.name for lot in store.lots()} == {
        *("untold", "screened again", "begun again", "never screened", "unfinished")
    }
    rows = contents(store)
    assert len(rows["tiles"]) == 15
    assert len(rows["results"]) == 12
    assert len(rows["deliveries"]) == 1


def test_pruning_gives_space_back(new_address, clock):
    path = new_address("sqlite", ready=True)
    with Store.open(path, clock=clock) as store:
        screened(store, 3000)
        assert len(prune(store, clock() + timedelta(seconds=1))) == 1
        pages = "PRAGMA page_count"
        with store.database.reading() as connection:
            assert connection.exec_driver_sql(pages).scalar() < 60


def test_numbers_of_what_was_removed_are_not_given_again(store, clock):
    lot, screening = screened(store, 3)
    prune(store, clock() + timedelta(seconds=1))
    again, second = screened(store, 3)
    assert again.id > lot.id
    assert second.id > screening.id
    with pytest.raises(NotFound) as missing:
        store.claim(screening, "w", 1, 60)
    assert missing.value.reason == "SCREENING_UNKNOWN"


@pytest.fixture
def folder(tmp_path):
    """A lot of files, and how to find them."""
    here = tmp_path / "here"
    (here / "a").mkdir(parents=True)
    entries = []
    for at in range(30):
        content = f"tile {at}".encode()
        (here / "a" / f"{at}.png").write_bytes(content)
        entries.append(
            FoundTile(
                sha256=hashlib.sha256(content).hexdigest(),
                tile_id=f"{at}.png",
                path=f"a/{at}.png",
                bytes=len(content),
            )
        )
    return here, entries


def test_a_moved_lot_is_found_again(store, folder, tmp_path):
    here, entries = folder
    lot = store.register_lot("R01", str(here))
    store.add_tiles(lot, entries)
    screening = begin(store, lot)
    work_off(store, screening)
    there = tmp_path / "there"
    here.rename(there)
    moved = relocate(store, lot, there)
    assert (moved.id, moved.source) == (lot.id, str(there))
    assert store.register_lot("R01", str(there)) == moved
    assert store.add_tiles(moved, entries) == 0
    assert begin(store, moved) == screening
    assert store.progress(screening).pending == 0


def test_a_lot_does_not_move_to_where_it_is_not(store, folder, tmp_path):
    here, entries = folder
    lot = store.register_lot("R01", str(here))
    store.add_tiles(lot, entries)
    (here / "a" / "7.png").write_bytes(b"another")
    with pytest.raises(Contradiction, match="7.png has other content") as differs:
        relocate(store, lot, here, sample=1000)
    assert differs.value.reason == "LOT_DIFFERS"
    (tmp_path / "empty").mkdir()
    with pytest.raises(Contradiction, match="cannot be read"):
        relocate(store, lot, tmp_path / "empty")
    with pytest.raises(InvalidRequest) as missing:
        relocate(store, lot, tmp_path / "nowhere")
    assert missing.value.reason == "LOT_MISSING"
    assert store.lots()[0].key == lot


def test_a_lot_does_not_move_onto_another(store, folder, tmp_path):
    here, entries = folder
    lot = store.register_lot("R01", "/elsewhere")
    store.add_tiles(lot, entries)
    store.register_lot("R01", str(here))
    with pytest.raises(Contradiction) as twice:
        relocate(store, lot, here)
    assert twice.value.reason == "LOT_TWICE"
    assert {each.key.source for each in store.lots()} == {"/elsewhere", str(here)}


def test_a_moved_store_is_the_same_store(tmp_path):
    (tmp_path / "a").mkdir()
    with Store.open(tmp_path / "a" / "store.sqlite", create=True) as store:
        _, screening = screened(store, 5)
    (tmp_path / "a").rename(tmp_path / "b")
    with Store.open(tmp_path / "b" / "store.sqlite") as store:
        assert store.progress(screening).done == 5
