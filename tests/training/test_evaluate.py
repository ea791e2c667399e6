"""The report on a committee."""

import io

import numpy as np
import pytest
from rich.console import Console

from lotwise.core.policy import MeasuredRisk, ReferralPolicy
from lotwise_training.data import UNKNOWN
from lotwise_training.evaluate import as_json, evaluate_committee, member_logits, show_committee

POLICY = ReferralPolicy(
    policy_version="test",
    weights_sha256="0" * 64,
    n_tiles=1,
    target_coverage=0.95,
    entropy_threshold_nats=0.5,
    unfamiliar_entropy_nats=9.0,
    mutual_information_threshold_nats=0.1,
    max_referred_share=0.2,
    confidence=0.95,
    measured=MeasuredRisk(tiles=1, coverage=1.0, error_among_accepted=0.0),
)


@pytest.fixture
def sets():
    sure = np.tile(np.array([9.0, 0.0]), (4, 2, 1))
    unsure = np.zeros((3, 2, 2))
    logits = {"test": sure, "ground": unsure}
    labels = {"test": np.array([0, 0, 0, 1]), "ground": np.full(3, UNKNOWN)}
    return logits, labels


def test_known_tiles_have_answers_and_unknown_ones_have_none(sets):
    report = evaluate_committee(*sets, POLICY)
    assert report["test"].accuracy == 0.75
    assert report["test"].referred_share == 0.0
    assert report["test"].auroc_entropy is None
    assert report["ground"].accuracy is None
    assert report["ground"].entropy_nats == pytest.approx(np.log(2))
    assert report["ground"].referred_share == 1.0
    assert report["ground"].auroc_entropy == 1.0
    # The members agree on being unsure, so their disagreement tells nothing.
    assert report["ground"].auroc_mutual_information == pytest.approx(0.5)


def test_without_a_policy_nothing_is_referred_or_kept(sets):
    assert evaluate_committee(*sets)["test"].referred_share is None


def test_one_member_alone_is_a_committee_of_one(sets):
    logits, labels = sets
    logits["test"][:, 1] = [0.0, 9.0]
    assert member_logits(logits, 1)["test"].shape == (4, 1, 2)
    assert evaluate_committee(member_logits(logits, 1), labels)["test"].accuracy == 0.25


def test_the_table_and_the_json_show_every_set(sets):
    report = evaluate_committee(*sets, POLICY)
    console = Console(file=io.StringIO(), width=120)
    show_committee("Committee", report, console)
    shown = console.file.getvalue()
    assert "75.0%" in shown
    assert "0.693" in shown
    assert as_json(report)["ground"]["accuracy"] is None
