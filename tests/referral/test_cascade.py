"""Decisions by the cascade, where a request or the settings ask for it."""

import grpc
import pytest

from lotwise.core.cascade import CASCADE_POLICY_FILE
from lotwise.core.errors import Contradiction
from lotwise.core.policy import ReferralPolicy
from lotwise.referral import __main__ as referral
from lotwise.referral.handler import ReferralHandler
from lotwise.referral.settings import ReferralSettings
from lotwise.runtime.status import reason_of
from lotwise.v1 import referral_pb2

POLICY_FILE = "referral_policy.json"


@pytest.fixture(scope="module")
def few_first(repository):
    return ReferralPolicy.read(repository / "committee" / CASCADE_POLICY_FILE)


async def decided(stubs, tile, policy=""):
    return await stubs.referral.Decide(referral_pb2.DecideRequest(tile=tile, policy=policy))


async def test_a_request_names_the_cascade_or_its_policy(stubs, make_tile, policy, few_first):
    for word in ("cascade", few_first.policy_version):
        answer = await decided(stubs, make_tile(), word)
        assert answer.provenance.policy_version == few_first.policy_version
        assert answer.threshold == few_first.max_score
        assert answer.guarantee.statement == few_first.guarantee.statement
    for word in ("", "full", policy.policy_version):
        answer = await decided(stubs, make_tile(), word)
        assert answer.provenance.policy_version == policy.policy_version


async def test_both_decide_alike(stubs, make_tile, pictures):
    for number in range(len(pictures)):
        tile = make_tile(number)
        by_all, few = [await decided(stubs, tile, word) for word in ("full", "cascade")]
        assert (few.decision, few.decision == 1 and few.looks_like) == (
            by_all.decision,
            by_all.decision == 1 and by_all.looks_like,
        )


async def test_an_unknown_policy_is_answered_with_those_that_there_are(
    stubs, make_tile, policy, few_first
):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await decided(stubs, make_tile(), "another")
    assert reason_of(refused.value) == "POLICY_UNKNOWN"
    for version in (policy.policy_version, few_first.policy_version):
        assert version in refused.value.details()


async def test_a_lot_is_decided_on_by_the_policy_of_its_first_message(
    stubs, make_tile, pictures, few_first
):
    async def requests():
        for number in range(len(pictures)):
            policy = "cascade" if number == 0 else "full"
            yield referral_pb2.DecideLotRequest(tile=make_tile(number), policy=policy)

    *_, end = [event async for event in stubs.referral.DecideLot(requests())]
    assert end.verdict.provenance.policy_version == few_first.policy_version
    assert end.verdict.guarantee.statement == few_first.guarantee.statement


def test_settings_say_who_decides_where_nobody_is_named(repository, policy, few_first):
    file = repository / "committee" / POLICY_FILE
    usual = referral.rulings(ReferralSettings(policy_file=file))
    assert [each.policy for each in usual] == [policy, few_first]
    by_cascade = referral.rulings(ReferralSettings(policy_file=file, cascade=True))
    assert [each.cascade for each in by_cascade] == [True, False]
    # Lots are told apart in the space of those who are asked about every tile.
    assert by_cascade[0].lots != by_cascade[1].lots
    handler = ReferralHandler(None, *by_cascade)
    assert handler.select("").policy == few_first
    assert handler.select("full").policy == policy


def test_a_service_that_is_to_decide_by_a_missing_cascade_does_not_start(tmp_path, repository):
    (tmp_path / POLICY_FILE).symlink_to(repository / "committee" / POLICY_FILE)
    settings = ReferralSettings(policy_file=tmp_path / POLICY_FILE)
    assert len(referral.rulings(settings)) == 1
    with pytest.raises(Contradiction) as refused:
        referral.rulings(settings.model_copy(update={"cascade": True}))
    assert refused.value.reason == "CASCADE_MISSING"
