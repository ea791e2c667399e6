import numpy as np
import pytest
from pydantic import ValidationError

from lotwise.core.drift import DriftWindow, ScoreBins, population_stability_index


def test_bins_hold_about_equally_many_scores():
    bins = ScoreBins.of(np.random.default_rng(0).random(5000))
    assert len(bins.edges) == 9
    np.testing.assert_allclose(bins.shares, 0.1, atol=0.001)


def test_scores_that_tie_share_a_bin():
    bins = ScoreBins.of(np.append(np.zeros(600), np.linspace(0.1, 1, 400)))
    assert bins.edges[0] == 0.0
    assert bins.shares[0] == pytest.approx(0.6)
    assert sum(bins.shares) == pytest.approx(1)


@pytest.mark.parametrize(
    "changes",
    [{"edges": (0.2, 0.1)}, {"shares": (0.5, 0.5)}, {"shares": (0.5, 0.6, 0.7)}, {"edges": ()}],
)
def test_bins_that_are_no_distribution_are_refused(changes):
    with pytest.raises(ValidationError):
        ScoreBins(**{"edges": (0.1, 0.2), "shares": (0.3, 0.3, 0.4), **changes})


def test_the_index_is_its_formula():
    index = population_stability_index(np.array([0.5, 0.5]), np.array([0.25, 0.75]), 100)
    assert index == pytest.approx(0.25 * np.log(2) + 0.25 * np.log(1.5))


def test_the_same_kind_of_tiles_shows_none_and_another_kind_shows_it():
    rng = np.random.default_rng(1)
    window = DriftWindow(ScoreBins.of(rng.random(5000)), 500)
    early = [window.add(score) for score in rng.random(499)]
    assert set(early) == {None}
    alike = [window.add(score) for score in rng.random(2000)]
    assert max(alike) < 0.1
    assert window.add(0.5) > 0
    drifted = [window.add(score) for score in 0.5 + rng.random(500) / 2]
    assert drifted[-1] > 0.25
    # Old tiles are forgotten.
    back = [window.add(score) for score in rng.random(500)]
    assert back[-1] < 0.1
