"""Policy files and requests: what is read, and what is refused and why."""

import json

import pytest

from lotwise.core.calibration_fit import calibrate
from lotwise.core.errors import Contradiction
from lotwise.core.policy import PolicyRequest, ReferralPolicy, write_policy
from tests.support.committees import COVERAGE, WEIGHTS, labelled

TOML = """
kind = "risk"
target = 0.02
min_familiarity = 0.05
max_referred_share = 0.4
confidence = 0.95
"""


@pytest.fixture(scope="module")
def policy():
    return calibrate(labelled(), COVERAGE, WEIGHTS).policy


def refused(read, path):
    with pytest.raises(Contradiction) as caught:
        read(path)
    return caught.value


def test_a_request_is_read(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(TOML)
    request = PolicyRequest.read(path)
    assert (request.kind, request.target, request.min_familiarity) == ("risk", 0.02, 0.05)
    assert (request.max_referred_share, request.confidence) == (0.4, 0.95)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("target = 0.02\n", "", "target"),
        ("target", "goal", "target"),
        ('"risk"', '"hope"', "kind"),
        ("0.02", "2", "target"),
        ("0.95", "0.4", "confidence"),
        ("0.05", '"few"', "min_familiarity"),
        ("0.95", "0.95\nmax_entropy = 1.0", "max_entropy"),
        ("kind = ", "kind ", "TOML"),
    ],
)
def test_a_request_with_a_slip_is_refused_by_its_name(tmp_path, old, new, said):
    path = tmp_path / "policy.toml"
    path.write_text(TOML.replace(old, new))
    error = refused(PolicyRequest.read, path)
    assert error.reason == "POLICY_INVALID"
    assert said in error.message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_referred_share": 0.05}, "refers every lot"),
        ({"kind": '"coverage"', "target": 0.9, "max_referred_share": 0.1}, "refers every lot"),
        ({"kind": '"coverage"', "target": 0.95}, "cannot be reached"),
    ],
)
def test_a_request_that_contradicts_itself_is_refused(tmp_path, changes, said):
    lines = [line for line in TOML.split("\n") if line.split(" ")[0] not in changes]
    lines += [f"{key} = {value}" for key, value in changes.items()]
    path = tmp_path / "policy.toml"
    path.write_text("\n".join(lines))
    error = refused(PolicyRequest.read, path)
    assert error.reason == "POLICY_CONTRADICTORY"
    assert said in error.message


def test_files_that_are_not_there_are_named(tmp_path):
    for read in (PolicyRequest.read, ReferralPolicy.read):
        error = refused(read, tmp_path / "mine")
        assert error.reason == "POLICY_MISSING"
        assert str(tmp_path / "mine") in error.message


def test_a_policy_is_read_as_it_was_written(policy, tmp_path):
    write_policy(policy, tmp_path / "run" / "policy.json")
    assert ReferralPolicy.read(tmp_path / "run" / "policy.json") == policy


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        (lambda p: p.pop("max_score"), "POLICY_INVALID", "max_score"),
        (lambda p: p.update(max_score=1.5), "POLICY_INVALID", "max_score"),
        (lambda p: p.update(max_score=float("nan")), "POLICY_INVALID", "max_score"),
        (lambda p: p.update(weights_sha256="short"), "POLICY_INVALID", "weights_sha256"),
        (lambda p: p.update(entropy_threshold_nats=1.0), "POLICY_INVALID", "entropy"),
        (lambda p: p["calibration_set"].pop("origin"), "POLICY_INVALID", "calibration_set.origin"),
        (lambda p: p["calibration_set"].update(date="2026-01-01T00:00:00"), "POLICY_INVALID", ""),
        (
            lambda p: p["request"].update(max_referred_share=0.1),
            "POLICY_CONTRADICTORY",
            "refers every lot",
        ),
    ],
)
def test_a_policy_that_was_changed_by_hand_is_refused(policy, tmp_path, change, reason, said):
    content = json.loads(policy.model_dump_json())
    change(content)
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(content))
    error = refused(ReferralPolicy.read, path)
    assert error.reason == reason
    assert said in error.message


def test_what_is_no_json_is_refused(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text("{")
    assert refused(ReferralPolicy.read, path).reason == "POLICY_INVALID"
