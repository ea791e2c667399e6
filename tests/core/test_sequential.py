import math

import numpy as np
import pytest

from lotwise.core.sequential import anytime_bounds, log_evidence_above, log_evidence_below

NEEDED = math.log(20.0)


def ever(share, limit, evidence, tiles):
    """Exact chance that the evidence is strong enough at any of so many tiles."""
    chances, crossed = {0: 1.0}, 0.0
    for n in range(1, tiles + 1):
        after = {}
        for k, chance in chances.items():
            after[k] = after.get(k, 0.0) + chance * (1 - share)
            after[k + 1] = after.get(k + 1, 0.0) + chance * share
        for k in [k for k in after if evidence(k, n, limit) >= NEEDED]:
            crossed += after.pop(k)
        chances = after
    return crossed


@pytest.mark.parametrize("limit", [0.05, 0.4, 0.7])
@pytest.mark.parametrize("beyond", [0.0, 0.1])
def test_whoever_stops_at_the_first_strong_evidence_is_wrong_no_more_often_than_promised(
    limit, beyond
):
    assert ever(limit + beyond, limit, log_evidence_below, 150) <= 0.05
    assert ever(max(limit - beyond, 0.0), limit, log_evidence_above, 150) <= 0.05


def test_at_the_limit_the_promise_is_not_far_from_what_happens():
    assert ever(0.4, 0.4, log_evidence_below, 300) > 0.01


def test_clear_shares_are_known_early():
    assert ever(0.1, 0.4, log_evidence_below, 40) > 0.9
    assert ever(0.9, 0.4, log_evidence_above, 20) > 0.9
    # Nine clean tiles; six would do for a single look.
    assert log_evidence_below(0, 8, 0.4) < NEEDED <= log_evidence_below(0, 9, 0.4)


def test_the_evidence_is_a_mean_likelihood_ratio():
    k, n, limit = 3, 17, 0.4
    for evidence, low, high in (
        (log_evidence_below, 0.0, limit),
        (log_evidence_above, limit, 1.0),
    ):
        edges = np.linspace(low, high, 20_001)
        middles = (edges[1:] + edges[:-1]) / 2
        ratios = (middles / limit) ** k * ((1 - middles) / (1 - limit)) ** (n - k)
        assert evidence(k, n, limit) == pytest.approx(math.log(ratios.mean()), abs=1e-6)


def test_no_tile_is_no_evidence():
    assert log_evidence_below(0, 0, 0.3) == pytest.approx(0.0)
    assert log_evidence_above(0, 0, 0.3) == pytest.approx(0.0)
    assert anytime_bounds(0, 0, 0.95) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("k", "n"), [(0, 9), (3, 30), (30, 30), (29, 30), (700, 10_000), (0, 10**5)]
)
def test_bounds_are_where_the_evidence_becomes_strong(k, n):
    lower, upper = anytime_bounds(k, n, 0.95)
    assert 0.0 <= lower <= k / n <= upper <= 1.0
    if lower:
        assert log_evidence_above(k, n, lower) == pytest.approx(NEEDED, abs=1e-6)
    if upper < 1:
        assert log_evidence_below(k, n, upper) == pytest.approx(NEEDED, abs=1e-6)
    assert (lower > 0.0) == (k > 0)


def test_more_tiles_of_the_same_share_narrow_the_bounds():
    widths = [np.diff(anytime_bounds(n // 10, n, 0.95))[0] for n in (10, 100, 1_000, 10_000)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.025


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (1, 0)])
def test_an_impossible_count_is_refused(k, n):
    with pytest.raises(ValueError, match="no share"):
        anytime_bounds(k, n, 0.95)
