import numpy as np
import pytest
from scipy.stats import binom

from lotwise.core.verdict import Decision, LotTally, Reason, Verdict


def tally(accepted=0, referred=0, failed=0, *, share=0.1, confidence=0.95):
    made = LotTally(share, confidence)
    for _ in range(accepted):
        made.add(Decision.ACCEPT)
    for _ in range(referred):
        made.add(Decision.REFER, (Reason.AMBIGUOUS,))
    for _ in range(failed):
        made.add_failure()
    return made


def test_an_empty_lot_is_undecided_for_want_of_tiles():
    empty = tally()
    assert empty.verdict() is Verdict.UNDECIDED
    assert empty.verdict_reasons() == (Reason.TOO_FEW_TILES,)
    assert empty.bounds() == (0, 1)


def test_clean_tiles_accept_a_lot_once_there_are_enough():
    assert tally(42).verdict() is Verdict.UNDECIDED
    assert tally(42).verdict_reasons() == (Reason.TOO_FEW_TILES,)
    assert tally(43).verdict() is Verdict.ACCEPT
    assert tally(43).verdict_reasons() == ()
    assert (tally(60).settled_after, tally(42).settled_after) == (43, 0)


def test_a_lot_of_referred_tiles_is_referred_with_its_reason():
    assert tally(0, 1).verdict() is Verdict.UNDECIDED
    assert tally(0, 3).verdict() is Verdict.REFER
    assert tally(0, 3).verdict_reasons() == (Reason.AMBIGUOUS,)


def test_what_comes_after_an_acceptance_counts_only_against_it():
    lot = tally(43)
    assert lot.verdict() is Verdict.ACCEPT
    for _ in range(5):
        lot.add(Decision.REFER, (Reason.UNFAMILIAR,))
    assert lot.verdict() is Verdict.ACCEPT
    for _ in range(20):
        lot.add(Decision.REFER, (Reason.UNFAMILIAR,))
    assert lot.verdict() is Verdict.REFER
    assert 48 < lot.settled_after < 68
    for _ in range(2000):
        lot.add(Decision.ACCEPT)
    assert lot.verdict() is Verdict.REFER


def test_an_undecided_lot_with_referred_tiles_names_both_causes():
    assert tally(10, 1).verdict() is Verdict.UNDECIDED
    assert tally(10, 1).verdict_reasons() == (Reason.AMBIGUOUS, Reason.TOO_FEW_TILES)


def test_a_tile_that_could_not_be_read_counts_against_the_lot():
    assert tally(42, failed=1).verdict() is Verdict.UNDECIDED
    assert tally(failed=5).verdict() is Verdict.REFER
    assert tally(failed=5).verdict_reasons() == (Reason.UNREADABLE,)
    assert tally(10, 4, 3).bounds() == tally(10, 7).bounds()
    assert tally(10, 4, 3).tiles == 17


def test_the_commonest_reason_comes_first_and_a_tile_counts_by_its_first():
    lot = LotTally(0.1, 0.95)
    for _ in range(2):
        lot.add(Decision.REFER, (Reason.POOR_QUALITY, Reason.AMBIGUOUS))
    for _ in range(3):
        lot.add(Decision.REFER, (Reason.UNFAMILIAR,))
    lot.add_failure()
    assert lot.verdict_reasons() == (Reason.UNFAMILIAR, Reason.POOR_QUALITY, Reason.UNREADABLE)


def test_reasons_of_an_accepted_tile_are_not_counted():
    lot = LotTally(0.1, 0.95)
    lot.add(Decision.ACCEPT, (Reason.POOR_QUALITY,), "B")
    lot.add(Decision.ACCEPT, (), "B")
    lot.add(Decision.REFER, (), "C")
    lot.add(Decision.ACCEPT)
    assert dict(lot.looks_like) == {"B": 2, "C": 1}
    assert not lot.reasons
    assert (lot.accepted, lot.referred, lot.failed) == (3, 1, 0)


@pytest.mark.parametrize("accepted", [0, 20, 29, 60, 200])
def test_referred_or_failed_tiles_never_move_a_verdict_towards_acceptance(accepted):
    order = [Verdict.ACCEPT, Verdict.UNDECIDED, Verdict.REFER]
    referred = [order.index(tally(accepted, bad).verdict()) for bad in range(60)]
    failed = [order.index(tally(accepted, failed=bad).verdict()) for bad in range(60)]
    assert referred == sorted(referred) == failed
    assert referred[-1] == order.index(Verdict.REFER) or accepted == 200


@pytest.mark.parametrize("referred", [0, 3, 40])
def test_accepted_tiles_never_move_a_verdict_towards_referral(referred):
    order = [Verdict.REFER, Verdict.UNDECIDED, Verdict.ACCEPT]
    moves = [order.index(tally(good, referred).verdict()) for good in range(0, 700, 10)]
    assert moves == sorted(moves)
    assert moves[-1] == order.index(Verdict.ACCEPT)


def test_a_lot_at_its_limit_is_accepted_no_more_often_than_the_confidence_allows():
    rng, accepted, lots = np.random.default_rng(3), 0, 300
    for _ in range(lots):
        lot = LotTally(0.1, 0.95)
        for referred in rng.random(64) < 0.1:
            lot.add(Decision.REFER if referred else Decision.ACCEPT)
        accepted += lot.verdict() is Verdict.ACCEPT
    assert 0 < accepted <= binom.ppf(0.999, lots, 0.05)
