"""Screenings: leases, results that are kept once, verdicts, comparisons."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from lotwise.core.errors import InvalidRequest, NotFound
from lotwise.store import Progress, ScreeningKey, fingerprint_of
from tests.support.stores import (
    OTHER,
    STATED,
    begin,
    fill,
    found,
    outcome,
    result,
    screened,
    work_off,
)

EVERYTHING = {
    "reasons": ("unfamiliar", "poor_quality"),
    "score": 0.25,
    "familiarity": 0.001,
    "looks_like": "R07",
    "confidence": 0.75,
    "entropy_nats": 1.5,
    "diagnosis": {"synthesis": 0.5, "none": 0.5},
    "property_name": "peak stress",
    "value": 2000.125,
    "interval_low": 1800.0,
    "interval_high": 2200.5,
    "unit": "psi",
    "quality": {"verdict": "good", "faults": []},
    "error_reason": "TILE_TRUNCATED",
    "error_message": "The file breaks off.",
    "provenance": {"models": [{"name": "committee"}], "engine": "triton"},
}


def test_a_fingerprint_is_that_of_the_statement_not_of_its_order():
    assert fingerprint_of({"a": 1, "b": [1, 2]}) == fingerprint_of({"b": [1, 2], "a": 1})
    assert fingerprint_of(STATED) != fingerprint_of(OTHER)


def test_a_screening_is_begun_once(store):
    lot = fill(store, 2)
    screening = begin(store, lot)
    assert begin(store, lot) == screening
    (stored,) = store.screenings(lot)
    assert stored.key == screening
    assert (stored.stated, stored.lot) == (STATED, lot)
    assert stored.finished is stored.outcome is None


def test_a_result_comes_back_as_it_was(store, clock):
    screening = begin(store, fill(store, 1))
    (tile,) = store.claim(screening, "w", 5, 60)
    clock.advance(5)
    given = result(tile, "refer", **EVERYTHING)
    assert store.record(screening, "me", [given]) == 1
    (stored,) = store.results(screening)
    assert (stored.result, stored.tile, stored.worker) == (given, tile, "me")
    assert stored.screened_at == clock()


def test_every_field_of_a_result_is_kept_by_the_test_above():
    fields = {field.name for field in dataclasses.fields(result(found_tile()))}
    assert fields == set(EVERYTHING) | {"tile", "decision"}


def found_tile():
    return type("Tile", (), {"id": 1})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("field", ["score", "quality"])
def test_what_is_no_number_is_refused_and_nothing_is_kept(store, number, field):
    screening = begin(store, fill(store, 2))
    good, bad = store.claim(screening, "w", 5, 60)
    value = {"black_share": number} if field == "quality" else number
    with pytest.raises(InvalidRequest) as refused:
        store.record(screening, "w", [result(good), result(bad, **{field: value})])
    assert refused.value.reason == "STORE_VALUE_INVALID"
    assert store.progress(screening).done == 0


def test_the_first_result_of_a_tile_stays(store):
    screening = begin(store, fill(store, 2))
    tiles = store.claim(screening, "w", 5, 60)
    assert store.record(screening, "w", [result(tiles[0], "refer")]) == 1
    assert store.record(screening, "v", [result(each) for each in tiles * 2]) == 1
    assert [each.result.decision for each in store.results(screening)] == ["refer", "accept"]
    assert store.record(screening, "v", []) == 0


def test_no_tile_is_claimed_twice_while_its_lease_holds(store, clock):
    screening = begin(store, fill(store, 10))
    first = store.claim(screening, "a", 6, 60)
    second = store.claim(screening, "b", 6, 60)
    assert [tile.path for tile in first] == [f"{at:05}.png" for at in range(6)]
    assert [tile.path for tile in second] == [f"{at:05}.png" for at in range(6, 10)]
    assert store.claim(screening, "c", 6, 60) == []
    clock.advance(59.9)
    assert store.claim(screening, "c", 6, 60) == []
    clock.advance(0.1)
    assert store.claim(screening, "c", 6, 60) == first


def test_a_renewed_lease_holds_on(store, clock):
    screening = begin(store, fill(store, 4))
    store.claim(screening, "a", 3, 60)
    clock.advance(50)
    assert store.renew(screening, "a", 60) == 3
    clock.advance(50)
    assert len(store.claim(screening, "b", 6, 60)) == 1
    assert store.renew(screening, "nobody", 60) == 0


def test_who_was_taken_over_is_told_so_by_renewing(store, clock):
    screening = begin(store, fill(store, 3))
    mine = store.claim(screening, "a", 3, 60)
    clock.advance(61)
    store.claim(screening, "b", 2, 60)
    assert store.renew(screening, "a", 60) == 1
    # What it had finished all the same is as good as another's.
    assert store.record(screening, "a", [result(tile) for tile in mine]) == 3
    assert store.progress(screening) == Progress(3, 3, 0, 0, 0)


def test_released_tiles_are_free_again(store):
    screening = begin(store, fill(store, 5))
    first = store.claim(screening, "a", 3, 60)
    store.record(screening, "a", [result(first[0])])
    assert store.release(screening, "a") == 2
    assert store.claim(screening, "b", 3, 60)[:2] == first[1:]


def test_tiles_that_come_later_are_claimed_too(store):
    lot = fill(store, 3)
    screening = begin(store, lot)
    assert work_off(store, screening, limit=2) == 3
    store.add_tiles(lot, [found(index) for index in range(6)])
    assert work_off(store, screening, limit=2) == 3
    assert store.progress(screening).pending == 0


def test_progress_counts_by_decision(store, clock):
    screening = begin(store, fill(store, 10))
    tiles = store.claim(screening, "a", 8, 60)
    decisions = ["accept"] * 3 + ["refer"] * 2 + ["failed"]
    answers = [result(tile, decision) for tile, decision in zip(tiles, decisions, strict=False)]
    store.record(screening, "a", answers)
    progress = store.progress(screening)
    assert progress == Progress(tiles=10, accepted=3, referred=2, failed=1, claimed=2)
    assert (progress.done, progress.pending) == (6, 4)
    clock.advance(61)
    assert store.progress(screening).claimed == 0


def test_progress_takes_as_many_queries_for_many_tiles_as_for_few(store):
    counted = []
    sa.event.listen(store.database.engine, "before_cursor_execute", lambda *a: counted.append(a[2]))

    def queries(screening):
        counted.clear()
        store.progress(screening)
        return len([each for each in counted if each.lstrip().upper().startswith("SELECT")])

    few = begin(store, fill(store, 1, "few"))
    many = begin(store, fill(store, 1500, "many"))
    work_off(store, many, limit=1000)
    assert queries(few) == queries(many) == 2


def test_results_come_in_the_order_of_the_mosaic(store):
    lot = store.register_lot("R01", "/lots/R01")
    backwards = [found(index, columns=5) for index in reversed(range(25))]
    unplaced = dataclasses.replace(found(99), row=None, column=None)
    store.add_tiles(lot, [*backwards, unplaced])
    screening = begin(store, lot)
    work_off(store, screening)
    places = [(each.tile.row, each.tile.column) for each in store.results(screening)]
    assert places == [(None, None), *((row, column) for row in range(5) for column in range(5))]


def test_results_are_those_of_one_moment(store):
    screening = begin(store, fill(store, 2500))
    for _ in range(2):
        tiles = store.claim(screening, "w", 1100, 60)
        store.record(screening, "w", [result(tile) for tile in tiles])
    reading = store.results(screening)
    next(reading)
    work_off(store, screening)
    assert sum(1 for _ in reading) == 2199
    assert sum(1 for _ in store.results(screening)) == 2500


def test_a_screening_is_finished_once(store, clock):
    screening = begin(store, fill(store, 4))
    work_off(store, screening)
    said = outcome(store, screening, "refer")
    ended = clock()
    assert store.finish(screening, said) == "finished"
    clock.advance(60)
    assert store.finish(screening, outcome(store, screening, "accept")) == "already"
    (stored,) = store.screenings()
    assert (stored.outcome, stored.finished) == (said, ended)
    assert store.claim(screening, "w", 5, 60) == []


def test_a_screening_with_tiles_left_is_not_finished_unless_early(store):
    screening = begin(store, fill(store, 4))
    tiles = store.claim(screening, "w", 4, 60)
    store.record(screening, "w", [result(tiles[0])])
    assert store.finish(screening, outcome(store, screening)) == "pending"
    assert store.screenings()[0].finished is None
    assert store.finish(screening, outcome(store, screening), early=True) == "finished"
    assert store.progress(screening).claimed == 0


def test_a_result_on_its_way_when_the_lot_was_finished_is_kept_and_changes_no_verdict(store):
    screening = begin(store, fill(store, 2))
    tiles = store.claim(screening, "w", 4, 60)
    store.record(screening, "w", [result(tiles[0])])
    said = outcome(store, screening)
    store.finish(screening, said, early=True)
    assert store.record(screening, "w", [result(tiles[1], "refer")]) == 1
    assert store.screenings()[0].outcome == said


def test_a_lot_that_grew_is_opened_again(store):
    lot, screening = screened(store, 3)
    store.add_tiles(lot, [found(index) for index in range(5)])
    assert store.claim(screening, "w", 5, 60) == []
    assert store.reopen(screening) is True
    assert store.reopen(screening) is False
    (stored,) = store.screenings()
    assert stored.outcome is stored.finished is None
    assert work_off(store, screening) == 2
    assert store.finish(screening, outcome(store, screening)) == "finished"
    assert store.screenings()[0].outcome.tiles == 5


def test_other_models_screen_the_same_tiles_beside_the_first_ones(store):
    lot, first = screened(store, 5)
    second = begin(store, lot, OTHER)
    assert second != first
    assert work_off(store, second, decide=lambda tile: "refer") == 5
    assert {each.result.decision for each in store.results(first)} == {"accept"}
    assert {each.result.decision for each in store.results(second)} == {"refer"}


def test_tiles_whose_decision_changed(store):
    lot, first = screened(store, 6)
    second = begin(store, lot, OTHER)
    tiles = store.claim(second, "w", 5, 60)
    decisions = ["accept", "refer", "accept", "failed", "accept"]
    store.record(second, "w", [result(t, d) for t, d in zip(tiles, decisions, strict=True)])
    changed = [(c.tile.path, c.before, c.after) for c in store.changed_tiles(first, second)]
    assert changed == [
        ("00001.png", "accept", "refer"),
        ("00003.png", "accept", "failed"),
        ("00005.png", "accept", None),
    ]
    assert list(store.changed_tiles(first, first)) == []


def test_tiles_of_two_lots_are_not_compared(store):
    _, first = screened(store, 1, "R01")
    _, second = screened(store, 1, "R02")
    with pytest.raises(InvalidRequest) as refused:
        store.changed_tiles(first, second)
    assert refused.value.reason == "SCREENINGS_OF_OTHER_LOTS"


def test_lots_whose_verdict_changed(store):
    verdicts = {"R01": "refer", "R02": "accept", "R03": None}
    for name, verdict in verdicts.items():
        lot, _ = screened(store, 2, name)
        second = begin(store, lot, OTHER)
        work_off(store, second)
        if verdict:
            store.finish(second, outcome(store, second, verdict))
    changed = store.changed_lots(fingerprint_of(STATED), fingerprint_of(OTHER))
    assert [(c.lot.name, c.verdict_before, c.verdict_after) for c in changed] == [
        ("R01", "accept", "refer")
    ]
    assert [(c.before, c.after) for c in changed] == [
        tuple(each.key for each in store.screenings(changed[0].lot))
    ]


@pytest.mark.parametrize(
    "call",
    [
        lambda store, key: store.claim(key, "w", 1, 60),
        lambda store, key: store.renew(key, "w", 60),
        lambda store, key: store.release(key, "w"),
        lambda store, key: store.record(key, "w", [result(found_tile())]),
        lambda store, key: store.reopen(key),
    ],
    ids=["claim", "renew", "release", "record", "reopen"],
)
def test_a_screening_that_is_gone_is_said_to_be(store, call):
    with pytest.raises(NotFound) as missing:
        call(store, ScreeningKey(99, 1))
    assert missing.value.reason == "SCREENING_UNKNOWN"


def test_threads_of_one_program_share_a_store(store):
    screening = begin(store, fill(store, 200))
    with ThreadPoolExecutor(4) as threads:
        working = [threads.submit(work_off, store, screening, f"w{at}", limit=5) for at in range(4)]
        assert sum(each.result() for each in working) == 200
    assert store.progress(screening) == Progress(200, 200, 0, 0, 0)
