"""Expert scores: quantised, noisy, and the lot's own."""

import numpy as np
import pytest

from lotwise_simulator.attributes import Attributes
from lotwise_simulator.expert import SCATTER, STEP, expert_scores
from lotwise_simulator.lots import Lot

MIDDLE = Attributes(size=0.5, porosity=0.45, polydispersity=0.4, facetness=0.55)


def test_scores_are_multiples_of_the_step_within_the_scale() -> None:
    extreme = Attributes(size=0.0, porosity=1.0, polydispersity=2.0, facetness=1.0)
    scores = expert_scores(extreme, np.random.default_rng(0), 200)
    assert scores.shape == (200, 4)
    assert scores.min() >= 0.0
    assert scores.max() <= 1.0
    assert set(np.unique(scores)) <= {round(STEP * k, 1) for k in range(11)}
    assert (scores[:, 2] == 1.0).all()


def test_scores_scatter_about_the_truth_as_stated() -> None:
    scores = expert_scores(MIDDLE, np.random.default_rng(0), 20_000)
    np.testing.assert_allclose(scores.mean(axis=0), [0.5, 0.45, 0.4, 0.55], atol=0.003)
    # Rounding adds the variance of a uniform error.
    np.testing.assert_allclose(scores.std(axis=0), np.hypot(SCATTER, STEP / 12**0.5), rtol=0.03)


def test_a_lots_scores_are_the_same_at_every_call() -> None:
    lot = Lot("x", MIDDLE, seed=3)
    assert np.array_equal(lot.expert_scores(), lot.expert_scores())
    assert not np.array_equal(lot.expert_scores(), Lot("x", MIDDLE, seed=4).expert_scores())


def test_nobody_looking_is_an_error() -> None:
    with pytest.raises(ValueError, match="experts"):
        expert_scores(MIDDLE, np.random.default_rng(0), 0)
