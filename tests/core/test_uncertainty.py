import numpy as np
import pytest
import scipy.special
import scipy.stats

from lotwise.core import uncertainty

MEMBERS = np.random.default_rng(0).dirichlet(np.full(6, 0.4), (50, 7))  # [N, T, K]


def test_softmax_agrees_with_scipy():
    logits = np.random.default_rng(0).normal(0, 20, (30, 5))
    np.testing.assert_allclose(
        uncertainty.softmax(logits), scipy.special.softmax(logits, axis=-1), rtol=1e-12
    )


def test_softmax_of_huge_logits_neither_overflows_nor_loses_the_largest():
    logits = np.array([[1e4, 0.0, -1e4], [-1e300, -1e300, -1e300], [88.0, 89.0, 1e308]])
    probabilities = uncertainty.softmax(logits.tolist())
    np.testing.assert_allclose(probabilities, [[1, 0, 0], [1 / 3] * 3, [0, 0, 1]], atol=1e-15)


def test_softmax_takes_single_precision_and_answers_in_double():
    probabilities = uncertainty.softmax(np.array([[1.0, 2.0, 3.0]], dtype=np.float32))
    assert probabilities.dtype == np.float64
    assert probabilities.sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("k", [2, 6, 100])
def test_the_entropy_of_equal_probabilities_is_the_logarithm_of_their_number(k):
    assert uncertainty.entropy(np.full(k, 1 / k)) == pytest.approx(np.log(k))


def test_certainty_has_no_entropy():
    assert uncertainty.entropy(np.eye(4)).tolist() == [0, 0, 0, 0]


def test_the_entropy_of_a_known_distribution():
    # 1/2 ln 2 + 1/4 ln 4 + 1/4 ln 4 = 1.5 ln 2
    assert uncertainty.entropy(np.array([0.5, 0.25, 0.25])) == pytest.approx(1.5 * np.log(2))


def test_entropy_agrees_with_scipy_on_any_leading_axes():
    np.testing.assert_allclose(
        uncertainty.entropy(MEMBERS), scipy.stats.entropy(MEMBERS, axis=-1), rtol=1e-9
    )


def test_members_count_equally_in_the_committees_probabilities():
    members = np.array([[[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.5, 0.5]]])
    np.testing.assert_allclose(uncertainty.committee_probabilities(members), [[0.5, 0.5]])


def test_predictive_entropy_is_that_of_the_mean():
    np.testing.assert_allclose(
        uncertainty.predictive_entropy(MEMBERS),
        scipy.stats.entropy(MEMBERS.mean(axis=1), axis=-1),
        rtol=1e-9,
    )


def test_the_entropy_is_what_members_agree_is_ambiguous_plus_their_disagreement():
    np.testing.assert_allclose(
        uncertainty.predictive_entropy(MEMBERS),
        uncertainty.mean_member_entropy(MEMBERS) + uncertainty.mutual_information(MEMBERS),
        rtol=1e-12,
    )


def test_mutual_information_is_the_mean_divergence_from_the_committee():
    mean = MEMBERS.mean(axis=1, keepdims=True)
    divergence = scipy.stats.entropy(MEMBERS, np.broadcast_to(mean, MEMBERS.shape), axis=-1)
    np.testing.assert_allclose(
        uncertainty.mutual_information(MEMBERS), divergence.mean(axis=1), rtol=1e-6
    )


def test_members_that_agree_have_no_mutual_information_and_it_is_never_negative():
    alike = np.repeat(MEMBERS[:, :1], 5, axis=1)
    information = uncertainty.mutual_information(alike)
    assert (information >= 0).all()
    np.testing.assert_allclose(information, 0, atol=1e-12)


def test_sure_members_that_contradict_each_other_disagree_in_full():
    opposed = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    assert uncertainty.mean_member_entropy(opposed) == pytest.approx(0)
    assert uncertainty.mutual_information(opposed) == pytest.approx(np.log(2))


def test_entropies_lie_between_none_and_that_of_a_guess():
    for measure in (
        uncertainty.predictive_entropy,
        uncertainty.mean_member_entropy,
        uncertainty.mutual_information,
    ):
        values = measure(MEMBERS)
        assert values.shape == (50,)
        assert (values >= 0).all()
        assert (values <= np.log(6)).all()
