"""The fit of the referral policy, on committees whose uncertainty is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lotwise.core.errors import Contradiction
from lotwise.core.policy import ReferralPolicy
from lotwise.core.uncertainty import mutual_information, predictive_entropy, softmax
from lotwise_training.config import PolicyRecipe
from lotwise_training.models.wide_resnet import WideResNet
from lotwise_training.policy import committee_sha256, fit_policy, write_policy

WEIGHTS = "0" * 64
RECIPE = PolicyRecipe(
    target_coverage=0.9,
    unfamiliar_entropy_quantile=0.999,
    mutual_information_quantile=0.99,
    max_referred_share=0.2,
    confidence=0.95,
)


def known_tiles(n, seed):
    """Logits [n, 3, 4] of tiles from plain to ambiguous, and their true labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    logits = rng.normal(0, 0.2, (n, 3, 4))
    logits[np.arange(n), :, labels] += rng.uniform(0, 6, n)[:, None]
    return logits, labels


@pytest.fixture
def fitted():
    validation, _ = known_tiles(2000, 0)
    return fit_policy(validation, *known_tiles(2000, 1), RECIPE, weights_sha256=WEIGHTS)


def test_threshold_accepts_the_wanted_share_of_validation_tiles(fitted):
    entropy = predictive_entropy(softmax(known_tiles(2000, 0)[0]))
    accepted = (entropy <= fitted.entropy_threshold_nats).mean()
    assert 0.9 <= accepted < 0.902


def test_measured_figures_are_those_of_the_test_tiles(fitted):
    logits, labels = known_tiles(2000, 1)
    probabilities = softmax(logits)
    accepted = predictive_entropy(probabilities) <= fitted.entropy_threshold_nats
    wrong = probabilities.mean(axis=1).argmax(axis=1) != labels
    assert fitted.measured.tiles == 2000
    assert fitted.measured.coverage == accepted.mean()
    assert fitted.measured.error_among_accepted == wrong[accepted].mean()
    # Referral is of use: what is accepted is righter than all.
    assert fitted.measured.error_among_accepted < wrong.mean()


def test_disagreement_threshold_is_crossed_by_one_known_tile_in_a_hundred(fitted):
    disagreement = mutual_information(softmax(known_tiles(2000, 0)[0]))
    share = (disagreement > fitted.mutual_information_threshold_nats).mean()
    assert 0.005 < share <= 0.01


def test_policies_that_decide_differently_differ_in_name(fitted):
    validation, _ = known_tiles(2000, 0)
    test = known_tiles(2000, 1)
    again = fit_policy(validation, *test, RECIPE, weights_sha256=WEIGHTS)
    strict = replace(RECIPE, max_referred_share=0.1)
    stricter = fit_policy(validation, *test, strict, weights_sha256=WEIGHTS)
    assert fitted.policy_version == again.policy_version
    assert fitted.policy_version != stricter.policy_version
    assert stricter.max_referred_share == 0.1


def test_a_certain_committee_still_gets_a_threshold():
    logits = np.zeros((50, 2, 3))
    logits[:, :, 0] = 1e3
    policy = fit_policy(
        logits, logits, np.zeros(50, dtype=np.int64), RECIPE, weights_sha256=WEIGHTS
    )
    assert policy.entropy_threshold_nats > 0
    assert policy.measured.coverage == 1.0


def test_shapes_that_do_not_fit_are_refused():
    logits, labels = known_tiles(20, 0)
    with pytest.raises(ValueError, match=r"\[N, T, K\]"):
        fit_policy(logits[:, 0], logits, labels, RECIPE, weights_sha256=WEIGHTS)
    with pytest.raises(ValueError, match="20 test tiles have 19 labels"):
        fit_policy(logits, logits, labels[1:], RECIPE, weights_sha256=WEIGHTS)


def test_the_services_read_what_was_written(fitted, tmp_path):
    write_policy(fitted, tmp_path / "run" / "policy.json")
    assert ReferralPolicy.read(tmp_path / "run" / "policy.json") == fitted
    with pytest.raises(Contradiction, match="lotwise-train policy"):
        ReferralPolicy.read(tmp_path / "policy.json")


def test_the_hash_follows_every_weight_and_the_order_of_members():
    torch.manual_seed(0)
    first, second = WideResNet(10, 1, 2), WideResNet(10, 1, 2)
    whole = committee_sha256([first, second])
    assert len(whole) == 64
    assert whole == committee_sha256([first, second])
    assert whole != committee_sha256([second, first])
    with torch.no_grad():
        first.head.bias[0] += 1e-6
    assert whole != committee_sha256([first, second])
