"""Lots and tiles: everything once, under whatever name it comes."""

import dataclasses

import pytest

from lotwise.core.errors import InvalidRequest, NotFound
from lotwise.store import LotKey
from tests.support.stores import begin, fill, found, result, sha, work_off

ODD_NAMES = [
    "Probe Nr. 7 – Kühlung.png",
    "zeile\neins.png",
    "<script>alert('x')</script>.png",
    "[red]not markup[/red].png",
    '=HYPERLINK("http://x").png',
    "'; DROP TABLE tiles; --.png",
    "\udce9t\udcff.png",  # bytes that are no UTF-8, as os.listdir gives them
    "𝟙😀.png",
    "%s%(x)s{0}.png",
    "\x00\x01.png",
    " .png",
    "e\u0301.png",
    "\u00e9.png",
]


def test_the_same_lot_is_registered_once(store):
    lot = store.register_lot("R01", "/lots/R01", um_per_px=1.0)
    assert store.register_lot("R01", "/lots/R01", um_per_px=2.0, simulated=True) == lot
    (stored,) = store.lots()
    assert stored.key == lot
    assert (stored.um_per_px, stored.simulated) == (2.0, True)


def test_registering_again_does_not_move_the_time_of_the_first_sight(store, clock):
    before = clock()
    store.register_lot("R01", "/lots/R01")
    clock.advance(60)
    store.register_lot("R01", "/lots/R01")
    assert store.lots()[0].first_seen == before


def test_two_lots_of_one_name_stay_apart_and_are_told_apart(store):
    first = fill(store, 3, "R01", "/monday/R01")
    second = fill(store, 2, "R01", "/tuesday/R01")
    fill(store, 1, "R02", "/tuesday/R02")
    shown = {lot.shown: lot.tiles for lot in store.lots()}
    assert shown == {"R01 (/monday/R01)": 3, "R01 (/tuesday/R01)": 2, "R02": 1}
    with pytest.raises(InvalidRequest, match="/monday/R01, /tuesday/R01") as refused:
        store.lot("R01")
    assert refused.value.reason == "LOT_AMBIGUOUS"
    assert store.lot("R01", "/tuesday/R01").key == second != first
    with pytest.raises(NotFound) as missing:
        store.lot("R03")
    assert missing.value.reason == "LOT_UNKNOWN"


def test_adding_tiles_again_adds_none(store):
    lot = fill(store, 1234)
    assert store.add_tiles(lot, [found(index) for index in range(1234)]) == 0
    assert store.add_tiles(lot, [found(index) for index in range(1230, 1240)]) == 6
    (stored,) = store.lots()
    assert (stored.tiles, stored.repeats) == (1240, 0)


def test_a_repeated_picture_is_one_tile_with_all_its_names(store, clock):
    lot = store.register_lot("R01", "/lots/R01")
    again = [found(7, path="a/copy.png", content=0), found(8, path="b/copy.png", content=0)]
    assert store.add_tiles(lot, [found(0), again[0], found(1)]) == 2
    clock.advance(1)
    for _ in range(2):
        assert store.add_tiles(lot, [again[1], again[0], found(0)]) == 0
    (stored,) = store.lots()
    assert (stored.tiles, stored.repeats) == (2, 2)
    first = store.claim(begin(store, lot), "w", 1, 60)[0]
    assert first.path == "00000.png"
    assert store.names_of(first.id) == ["00000.png", "a/copy.png", "b/copy.png"]


def test_one_picture_in_two_lots_is_a_tile_of_each(store):
    fill(store, 2, "R01")
    lot = store.register_lot("R02", "/lots/R02")
    assert store.add_tiles(lot, [found(0), found(1)]) == 2


def test_a_file_with_new_content_is_another_tile(store):
    lot = fill(store, 1)
    assert store.add_tiles(lot, [found(0, content="rewritten")]) == 1


def test_odd_names_come_back_as_they_were(store):
    for name in ODD_NAMES:
        lot = store.register_lot(name, f"/lots/{name}")
        store.add_tiles(lot, [found(0, path=f"{name}/{name}")])
        screening = begin(store, lot)
        work_off(store, screening, worker=name, error_message=name)
        (stored,) = store.results(screening)
        assert stored.tile.path == f"{name}/{name}"
        assert stored.tile.tile_id == name.rsplit("/", 1)[-1]
        assert stored.result.error_message == stored.worker == name
        assert store.lots(name)[0].key == lot


def test_odd_names_are_all_different(store):
    lot = store.register_lot("odd", "/lots/odd")
    tiles = [found(at, path=name) for at, name in enumerate(ODD_NAMES)]
    same_place = [dataclasses.replace(tile, row=None, column=None) for tile in tiles]
    assert store.add_tiles(lot, same_place) == len(ODD_NAMES)
    screening = begin(store, lot)
    work_off(store, screening)
    assert {stored.tile.path for stored in store.results(screening)} == set(ODD_NAMES)


def test_order_of_names_does_not_depend_on_the_database(store):
    lot = store.register_lot("R01", "/lots/R01")
    names = ["b.png", "B.png", "a.png", "_.png", "ä.png", "Z.png"]
    tiles = [found(at, path=name) for at, name in enumerate(names)]
    store.add_tiles(lot, [dataclasses.replace(tile, row=None, column=None) for tile in tiles])
    screening = begin(store, lot)
    work_off(store, screening)
    assert [each.tile.path for each in store.results(screening)] == sorted(names)


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "ab"},
        {"sha256": sha(0).upper()},
        {"path": "/etc/passwd"},
        {"path": "a/../../b.png"},
        {"path": ""},
        {"path": "x" * 2001},
    ],
    ids=lambda change: next(iter(change)),
)
def test_entries_that_mean_no_tile_are_refused(store, change):
    lot = store.register_lot("R01", "/lots/R01")
    with pytest.raises(InvalidRequest) as refused:
        store.add_tiles(lot, [found(0), dataclasses.replace(found(1), **change)])
    assert refused.value.reason == "TILE_ENTRY_INVALID"
    assert store.lots()[0].tiles == 0


def test_the_longest_names_are_kept(store):
    lot = store.register_lot("\U0001f600" * 125, "/" + "\u00e9" * 999)
    assert store.add_tiles(lot, [found(0, path="\U0001f600" * 500)]) == 1
    assert store.add_tiles(lot, [found(0, path="\U0001f601" * 500)]) == 0


@pytest.mark.parametrize("name", ["", "x" * 501])
def test_names_of_lots_have_a_length(store, name):
    with pytest.raises(InvalidRequest) as refused:
        store.register_lot(name, "/lots/R01")
    assert refused.value.reason == "LOT_NAME_INVALID"


def test_a_lot_that_is_not_there_gets_no_tiles(store):
    with pytest.raises(NotFound) as missing:
        store.add_tiles(LotKey(99, "R01", "/lots/R01"), [found(0)])
    assert missing.value.reason == "LOT_UNKNOWN"


def test_a_result_for_a_tile_of_another_lot_is_refused(store):
    first, second = fill(store, 2, "R01"), fill(store, 2, "R02")
    theirs = store.claim(begin(store, second), "w", 1, 60)
    screening = begin(store, first)
    mine = store.claim(screening, "w", 1, 60)
    with pytest.raises(InvalidRequest) as refused:
        store.record(screening, "w", [result(mine[0]), result(theirs[0])])
    assert refused.value.reason == "TILE_OF_OTHER_LOT"
    assert store.progress(screening).done == 0
