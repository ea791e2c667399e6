import json

import pytest
from pydantic import ValidationError

from lotwise.core.errors import Contradiction
from lotwise.core.policy import ReferralPolicy

VALID = {
    "policy_version": "2024-1",
    "weights_sha256": "ab" * 32,
    "n_tiles": 500,
    "target_coverage": 0.9,
    "entropy_threshold_nats": 0.42,
    "unfamiliar_entropy_nats": 2.0,
    "mutual_information_threshold_nats": 0.11,
    "max_referred_share": 0.2,
    "confidence": 0.95,
    "measured": {"tiles": 300, "coverage": 0.88, "error_among_accepted": 0.01},
}


def written(path, **changes):
    content = {**VALID, **changes}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))
    return path


def refusal(path):
    with pytest.raises(Contradiction) as refused:
        ReferralPolicy.read(path)
    assert str(path) in refused.value.message
    return refused.value


def test_a_policy_is_read_as_it_was_written(tmp_path):
    policy = ReferralPolicy.read(written(tmp_path / "policy.json"))
    assert policy.model_dump() == VALID
    (tmp_path / "again.json").write_text(policy.model_dump_json())
    assert ReferralPolicy.read(tmp_path / "again.json") == policy


def test_a_policy_cannot_be_changed_after_it_was_read(tmp_path):
    policy = ReferralPolicy.read(written(tmp_path / "policy.json"))
    with pytest.raises(ValidationError):
        policy.entropy_threshold_nats = 9.0


def test_an_absent_policy_is_missing_and_the_message_names_the_remedy(tmp_path):
    for path in (tmp_path / "policy.json", tmp_path):
        refused = refusal(path)
        assert refused.reason == "POLICY_MISSING"
        assert "lotwise-train policy" in refused.message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("policy_version", ""),
        ("weights_sha256", "abc"),
        ("n_tiles", 0),
        ("target_coverage", 1),
        ("entropy_threshold_nats", 0),
        ("entropy_threshold_nats", -0.1),
        ("entropy_threshold_nats", float("inf")),
        ("entropy_threshold_nats", float("nan")),
        ("unfamiliar_entropy_nats", 0.01),
        ("mutual_information_threshold_nats", 0),
        ("max_referred_share", 0),
        ("max_referred_share", 1),
        ("confidence", 0.5),
        ("confidence", 1),
        ("measured", {"tiles": 3, "coverage": 1.5, "error_among_accepted": 0}),
        ("threshold", 0.3),
        *((name, ...) for name in VALID),
    ],
)
def test_every_field_must_be_there_and_make_sense(tmp_path, field, value):
    refused = refusal(written(tmp_path / "policy.json", **{field: value}))
    assert refused.reason == "POLICY_INVALID"
    assert field in refused.message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b'{"a": 1'])
def test_a_file_that_is_no_json_object_is_invalid(tmp_path, content):
    path = tmp_path / "policy.json"
    path.write_bytes(content)
    assert refusal(path).reason == "POLICY_INVALID"
