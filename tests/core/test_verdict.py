import pytest
from scipy.stats import binom, binomtest

from lotwise.core.verdict import Decision, LotTally, Reason, Verdict, clopper_pearson


def tally(accepted=0, referred=0, failed=0, *, share=0.1, confidence=0.95):
    made = LotTally(share, confidence)
    for _ in range(accepted):
        made.add(Decision.ACCEPT)
    for _ in range(referred):
        made.add(Decision.REFER, (Reason.AMBIGUOUS,))
    for _ in range(failed):
        made.add_failure()
    return made


@pytest.mark.parametrize("confidence", [0.6, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(
    ("k", "n"), [(0, 1), (1, 1), (0, 30), (3, 30), (29, 30), (30, 30), (7, 999)]
)
def test_the_bounds_are_those_of_a_two_sided_interval_of_twice_the_error(k, n, confidence):
    interval = binomtest(k, n).proportion_ci(1 - 2 * (1 - confidence), method="exact")
    lower, upper = clopper_pearson(k, n, confidence)
    assert lower == pytest.approx(interval.low, abs=1e-9)
    assert upper == pytest.approx(interval.high, abs=1e-9)


@pytest.mark.parametrize("n", [1, 10, 64])
@pytest.mark.parametrize("share", [0.001, 0.03, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_each_bound_holds_as_often_as_it_promises(n, share, confidence):
    upper_holds = lower_holds = 0.0
    for k in range(n + 1):
        lower, upper = clopper_pearson(k, n, confidence)
        upper_holds += binom.pmf(k, n, share) * (upper >= share)
        lower_holds += binom.pmf(k, n, share) * (lower <= share)
    assert upper_holds >= confidence - 1e-9
    assert lower_holds >= confidence - 1e-9


def test_no_trial_tells_nothing():
    assert clopper_pearson(0, 0, 0.95) == (0, 1)


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (1, 0)])
def test_an_impossible_count_is_refused(k, n):
    with pytest.raises(ValueError, match="no share"):
        clopper_pearson(k, n, 0.95)


def test_an_empty_lot_is_undecided_for_want_of_tiles():
    empty = tally()
    assert empty.verdict() is Verdict.UNDECIDED
    assert empty.verdict_reasons() == (Reason.TOO_FEW_TILES,)
    assert empty.bounds() == (0, 1)


def test_clean_tiles_accept_a_lot_once_there_are_enough():
    # 1 - 0.05 ** (1 / n) <= 0.1 from n = 29 on.
    assert tally(28).verdict() is Verdict.UNDECIDED
    assert tally(28).verdict_reasons() == (Reason.TOO_FEW_TILES,)
    assert tally(29).verdict() is Verdict.ACCEPT
    assert tally(29).verdict_reasons() == ()


def test_a_lot_of_referred_tiles_is_referred_with_its_reason():
    assert tally(0, 1).verdict() is Verdict.UNDECIDED
    assert tally(0, 2).verdict() is Verdict.REFER
    assert tally(0, 2).verdict_reasons() == (Reason.AMBIGUOUS,)


def test_an_undecided_lot_with_referred_tiles_names_both_causes():
    assert tally(10, 1).verdict() is Verdict.UNDECIDED
    assert tally(10, 1).verdict_reasons() == (Reason.AMBIGUOUS, Reason.TOO_FEW_TILES)


def test_a_tile_that_could_not_be_read_counts_against_the_lot():
    assert tally(60).verdict() is Verdict.ACCEPT
    assert tally(60, failed=3).verdict() is Verdict.UNDECIDED
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
    risk = sum(
        binom.pmf(k, 64, 0.1) for k in range(65) if tally(64 - k, k).verdict() is Verdict.ACCEPT
    )
    assert 0 < risk <= 0.05
