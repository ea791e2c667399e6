"""Notifications: kept with the verdict, sent until they arrive."""

from datetime import timedelta

from lotwise.store import Store
from tests.support.stores import begin, fill, found, outcome, screened, work_off

NOTIFY = {"lims": {"lot": "R01", "verdict": "accept"}, "chat": {"text": "R01: accept"}}


def test_notifications_are_kept_with_the_verdict(store):
    _, screening = screened(store, notify=NOTIFY)
    due = store.due_deliveries(10, 60)
    assert {each.target: each.payload for each in due} == NOTIFY
    assert {each.screening for each in due} == {screening}
    assert {each.attempts for each in due} == {1}


def test_no_verdict_no_notification(store):
    screening = begin(store, fill(store, 2))
    assert store.finish(screening, outcome(store, screening), notify=NOTIFY) == "pending"
    assert store.deliveries() == []
    work_off(store, screening)
    for expected in ("finished", "already"):
        assert store.finish(screening, outcome(store, screening), notify=NOTIFY) == expected
    assert len(store.deliveries()) == 2


def test_a_notification_is_in_one_hand_at_a_time(store, clock):
    screened(store, notify=NOTIFY)
    assert len(store.due_deliveries(1, 60)) == 1
    assert len(store.due_deliveries(10, 60)) == 1
    assert store.due_deliveries(10, 60) == []
    clock.advance(60)
    # Both senders were killed.
    assert {each.attempts for each in store.due_deliveries(10, 60)} == {2}


def test_what_arrived_is_not_sent_again(store, clock):
    screened(store, notify=NOTIFY)
    for each in store.due_deliveries(10, 60):
        store.delivered(each)
    clock.advance(3600)
    assert store.due_deliveries(10, 60) == store.deliveries(undelivered=True) == []
    assert len(store.deliveries()) == 2


def test_what_failed_waits_for_its_time(store, clock):
    screened(store, notify=NOTIFY)
    first, second = store.due_deliveries(10, 60)
    retry_at = clock() + timedelta(seconds=300)
    store.delivery_failed(first, "refused <b>", retry_at)
    store.delivery_failed(second, "gone", None)
    clock.advance(299)
    assert store.due_deliveries(10, 60) == []
    clock.advance(1)
    (again,) = store.due_deliveries(10, 60)
    assert (again.id, again.attempts, again.last_error) == (first.id, 2, "refused <b>")
    given_up = next(each for each in store.deliveries(undelivered=True) if each.id == second.id)
    assert given_up.next_attempt_at is None


def test_a_slow_sender_takes_nothing_back(store, clock):
    screened(store, notify={"lims": {}})
    (slow,) = store.due_deliveries(1, 60)
    clock.advance(61)
    (fast,) = store.due_deliveries(1, 60)
    store.delivered(fast)
    store.delivery_failed(slow, "timed out", clock())
    assert store.deliveries(undelivered=True) == []


def test_a_sender_whose_lease_ran_out_may_still_say_that_it_arrived(store, clock):
    screened(store, notify={"lims": {}})
    (slow,) = store.due_deliveries(1, 60)
    clock.advance(61)
    store.due_deliveries(1, 60)
    store.delivered(slow)
    assert store.deliveries(undelivered=True) == []


def test_a_verdict_that_was_taken_back_is_told_anew(store):
    lot, screening = screened(store, notify={"lims": {"verdict": "accept"}})
    (first,) = store.due_deliveries(1, 60)
    store.delivered(first)
    store.reopen(screening)
    store.add_tiles(lot, [found(index) for index in range(10)])
    work_off(store, screening)
    store.finish(screening, outcome(store, screening), notify={"lims": {"verdict": "refer"}})
    (second,) = store.due_deliveries(1, 60)
    assert (second.payload, second.attempts) == ({"verdict": "refer"}, 1)


def test_notifications_outlive_the_program(address):
    with Store.open(address) as store:
        screened(store, notify=NOTIFY)
    with Store.open(address) as store:
        assert len(store.due_deliveries(10, 60)) == 2
