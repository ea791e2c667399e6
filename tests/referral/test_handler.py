"""Decisions at the policy's edges; the uncertainty service behind them is tested elsewhere."""

import dataclasses

import pytest

from lotwise.core.errors import Contradiction
from lotwise.core.verdict import Decision, Reason
from lotwise.referral.handler import Assessed, ReferralHandler
from lotwise.v1 import tile_pb2

GOOD = tile_pb2.Quality(verdict=tile_pb2.QUALITY_VERDICT_GOOD)
POOR = tile_pb2.Quality(verdict=tile_pb2.QUALITY_VERDICT_POOR)


class Says:
    """An uncertainty service that always gives this answer."""

    def __init__(self, answer):
        self.answer = answer

    async def assess(self, tile):
        return self.answer

    async def ready(self):
        return True


def seen(policy, **changes):
    answer = Assessed(
        looks_like="A",
        confidence=0.9,
        predictive_entropy=policy.entropy_threshold_nats,
        mutual_information=policy.mutual_information_threshold_nats,
        weights_sha256=policy.weights_sha256,
        quality=GOOD,
        provenance=tile_pb2.Provenance(),
    )
    return dataclasses.replace(answer, **changes)


async def decide(policy, **changes):
    handler = ReferralHandler(Says(seen(policy, **changes)), policy)
    return await handler.decide(tile_pb2.Tile())


async def test_at_the_threshold_a_tile_is_accepted(policy):
    decided = await decide(policy)
    assert (decided.decision, decided.reasons) == (Decision.ACCEPT, ())


async def test_doubt_that_the_members_share_is_ambiguity(policy):
    decided = await decide(policy, predictive_entropy=policy.entropy_threshold_nats + 1e-9)
    assert (decided.decision, decided.reasons) == (Decision.REFER, (Reason.AMBIGUOUS,))


async def test_disagreement_is_unfamiliar(policy):
    decided = await decide(
        policy,
        predictive_entropy=policy.entropy_threshold_nats + 1e-9,
        mutual_information=policy.mutual_information_threshold_nats + 1e-9,
    )
    assert decided.reasons == (Reason.UNFAMILIAR,)


async def test_more_doubt_than_any_known_tile_raises_is_unfamiliar(policy):
    decided = await decide(
        policy, predictive_entropy=policy.unfamiliar_entropy_nats + 1e-9, mutual_information=0.0
    )
    assert decided.reasons == (Reason.UNFAMILIAR,)


async def test_disagreement_alone_refers_nothing(policy):
    decided = await decide(policy, mutual_information=1.0)
    assert decided.decision is Decision.ACCEPT


async def test_a_poor_picture_is_referred_however_sure_the_committee_is(policy):
    decided = await decide(policy, predictive_entropy=0.0, quality=POOR)
    assert (decided.decision, decided.reasons) == (Decision.REFER, (Reason.POOR_QUALITY,))


async def test_a_policy_of_other_weights_decides_nothing(policy):
    with pytest.raises(Contradiction) as refused:
        await decide(policy, weights_sha256="0" * 64)
    assert refused.value.reason == "POLICY_MISMATCH"
