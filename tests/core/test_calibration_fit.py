"""What is fitted on labelled tiles keeps what it promises on others."""

import dataclasses

import numpy as np
import pytest

from lotwise.core.calibration_fit import (
    LEAST_TILES,
    Fitted,
    calibrate,
    check_tiles,
    divide,
    scored,
    tiles_sha256,
)
from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.errors import Contradiction, InvalidRequest
from lotwise.core.policy import PolicyRequest
from lotwise.core.policy_fit import Scored, accepted_tiles, fit_threshold, tested_tiles_needed
from tests.support.committees import COVERAGE, LOTS, WEIGHTS, known_tiles, labelled

RISK = COVERAGE.model_copy(update={"kind": "risk", "target": 0.1})


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return calibrate(labelled(4000, sharpness=2.0), RISK, WEIGHTS)


@pytest.fixture(scope="module")
def others():
    return known_tiles(20_000, 77, sharpness=2.0)


def on_others(fitted, others):
    return scored(*others, fitted.calibrated)


def test_the_temperature_undoes_what_is_too_sharp(fitted):
    calibration = fitted.calibrated.calibration
    assert calibration.temperature == pytest.approx(2.0, rel=0.1)
    assert calibration.nll_after_nats < calibration.nll_before_nats


def test_the_promised_risk_holds_on_tiles_that_took_no_part(fitted, others):
    found = accepted_tiles(
        fitted.policy.request, fitted.policy.max_score, on_others(fitted, others)
    )
    assert 0.0 < found.error <= 0.1
    assert found.coverage == pytest.approx(fitted.policy.fitted.coverage, abs=0.05)
    assert fitted.policy.risk_bound <= 0.1
    assert fitted.policy.fitted.error < fitted.policy.risk_bound
    promised = fitted.policy.guarantee
    assert (promised.target, promised.confidence) == (0.1, 0.95)
    assert "at most 10.0% of the accepted tiles" in promised.statement


def test_the_promised_coverage_holds_on_tiles_that_took_no_part(others):
    fitted = calibrate(labelled(4000, sharpness=2.0), COVERAGE, WEIGHTS)
    found = accepted_tiles(COVERAGE, fitted.policy.max_score, on_others(fitted, others))
    assert 0.8 <= found.coverage < 0.86
    assert fitted.policy.guarantee.bound >= 0.8
    assert found.error <= fitted.policy.risk_bound


def test_a_given_threshold_is_taken_as_it_is_and_promises_nothing_beforehand():
    request = COVERAGE.model_copy(update={"kind": "threshold", "target": 0.25})
    policy = calibrate(labelled(), request, WEIGHTS).policy
    assert policy.max_score == 0.25
    assert policy.guarantee.target is None
    assert policy.guarantee.bound == policy.risk_bound > policy.fitted.error
    assert policy.guarantee.statement.startswith("Nothing was promised")


def test_unfamiliar_tiles_are_never_accepted(fitted):
    strange = known_tiles(500, 5, sharpness=2.0, shift=4.0)
    found = accepted_tiles(
        fitted.policy.request, fitted.policy.max_score, on_others(fitted, strange)
    )
    assert found.coverage < 0.02


def test_a_risk_that_cannot_be_met_says_what_can():
    request = RISK.model_copy(update={"target": 0.01})
    with pytest.raises(Contradiction) as refused:
        calibrate(labelled(3000), request, WEIGHTS)
    assert refused.value.reason == "POLICY_UNREACHABLE"
    assert "1.0%" in refused.value.message
    # And what is offered is kept.
    offered = float(refused.value.message.split("On these tiles ")[1].split("%")[0]) / 100
    calibrate(
        labelled(3000),
        request.model_copy(update={"target": offered}),
        WEIGHTS,
    )


def test_a_coverage_that_cannot_be_met_says_what_can():
    # Chance, or tiles unlike the others, left only 780 of 1,000 familiar.
    familiarity = np.where(np.arange(1000) < 780, 0.5, 0.01)
    tiles = Scored(np.zeros(1000), familiarity, np.zeros(1000, dtype=bool))
    with pytest.raises(Contradiction) as refused:
        fit_threshold(COVERAGE, tiles, tiles)
    assert refused.value.reason == "POLICY_UNREACHABLE"
    assert "of 1,000 tiles 780 are familiar enough" in refused.value.message
    offered = float(refused.value.message.split("At most ")[1].split("%")[0]) / 100
    fit_threshold(COVERAGE.model_copy(update={"target": offered}), tiles, tiles)


def test_versions_are_named_by_weights_and_content_not_by_the_day(fitted):
    again = calibrate(labelled(4000, sharpness=2.0), RISK, WEIGHTS)
    assert again.policy == fitted.policy
    later = dataclasses.replace(
        labelled(4000, sharpness=2.0), date=labelled(40).date.replace(year=2025)
    )
    assert calibrate(later, RISK, WEIGHTS).policy.policy_version == fitted.policy.policy_version
    stricter = calibrate(
        labelled(4000, sharpness=2.0), RISK.model_copy(update={"confidence": 0.9}), WEIGHTS
    )
    assert stricter.policy.policy_version != fitted.policy.policy_version
    other = calibrate(labelled(4000, 1, sharpness=2.0), RISK, WEIGHTS)
    versions = [each.calibrated.calibration.calibration_version for each in (fitted, other)]
    assert versions[0] != versions[1]
    assert fitted.policy.policy_version.startswith(WEIGHTS[:8])
    assert fitted.policy.calibration_version == versions[0]


def test_the_set_that_it_rests_on_is_stated(fitted):
    for stated in (fitted.policy.calibration_set, fitted.calibrated.calibration.calibration_set):
        assert (stated.tiles, stated.lots, stated.origin) == (4000, 4, "laboratory")
        assert stated.sha256 == "b" * 64
        assert stated.date.year == 2026


def test_further_tiles_measure_and_change_nothing(fitted, others):
    measured = calibrate(labelled(4000, sharpness=2.0), RISK, WEIGHTS, measured=others).policy
    assert measured.max_score == fitted.policy.max_score
    assert measured.measured.tiles == 20_000
    assert fitted.policy.measured is None


def test_no_tile_takes_part_twice():
    labels = np.repeat(np.arange(5), [10, 50, 33, 400, 11])
    parts = divide(labels)
    rows = np.concatenate([parts.reference, parts.tails, parts.fused, parts.tested])
    assert sorted(rows.tolist()) == list(range(len(labels)))
    for part in (parts.reference, parts.tails, parts.fused, parts.tested):
        assert set(labels[part]) == set(range(5))


@pytest.mark.parametrize(
    ("labels", "reason", "said"),
    [
        (np.zeros(5000, dtype=np.int64), "CALIBRATION_ONE_LOT", "one lot"),
        (np.empty(0, dtype=np.int64), "CALIBRATION_ONE_LOT", "one lot"),
        (np.append(np.arange(5000) % 3, 3), "CALIBRATION_LOT_TOO_SMALL", "Lot D has 1 tile;"),
        (np.arange(4 * LEAST_TILES) % 4, "CALIBRATION_TOO_SMALL", "at least"),
    ],
)
def test_tiles_that_nothing_can_rest_on_are_refused(labels, reason, said):
    with pytest.raises(InvalidRequest) as refused:
        check_tiles(labels, LOTS, COVERAGE)
    assert refused.value.reason == reason
    assert said in refused.value.message


@pytest.mark.parametrize("kind", ["risk", "coverage"])
def test_the_number_that_is_asked_for_suffices_for_a_perfect_committee(kind):
    target = {"risk": 0.02, "coverage": 0.9}[kind]
    request = PolicyRequest(
        kind=kind, target=target, min_familiarity=0.05, max_referred_share=0.4, confidence=0.95
    )
    with pytest.raises(InvalidRequest) as refused:
        check_tiles(np.arange(100) % 4, LOTS, request)
    needed = int(refused.value.message.split("at least ")[1].split(" ")[0].replace(",", ""))
    assert needed >= tested_tiles_needed(request)
    outputs, labels = known_tiles(needed + 8, 3)
    certain = 20.0 * np.eye(4)[labels][:, None] + np.zeros((1, 3, 1))
    sure = dataclasses.replace(
        labelled(needed + 8), outputs=CommitteeOutputs(certain, outputs.blocks), labels=labels
    )
    calibrate(sure, request, WEIGHTS)


def test_the_hash_follows_pixels_and_lots_but_not_the_order():
    images = np.arange(4 * 9, dtype=np.uint8).reshape(4, 3, 3)
    labels = np.array([0, 1, 2, 3])
    whole = tiles_sha256(images, labels, LOTS)
    assert whole == tiles_sha256(images[::-1], labels[::-1], LOTS)
    assert whole != tiles_sha256(images, labels[::-1], LOTS)
    assert whole != tiles_sha256(images ^ 1, labels, LOTS)
