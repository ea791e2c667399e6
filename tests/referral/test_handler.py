"""Decisions at the policy's edges; the uncertainty service behind them is tested elsewhere."""

import dataclasses

import pytest

from lotwise.core.errors import Contradiction
from lotwise.core.policy import MeasuredRisk, ReferralPolicy
from lotwise.core.verdict import Decision, Reason
from lotwise.referral.handler import Assessed, ReferralHandler
from lotwise.v1 import tile_pb2

GOOD = tile_pb2.Quality(verdict=tile_pb2.QUALITY_VERDICT_GOOD)
POOR = tile_pb2.Quality(verdict=tile_pb2.QUALITY_VERDICT_POOR)
POLICY = ReferralPolicy(
    policy_version="for these tests",
    weights_sha256="f" * 64,
    n_tiles=1000,
    target_coverage=0.95,
    entropy_threshold_nats=0.7,
    unfamiliar_entropy_nats=1.1,
    mutual_information_threshold_nats=0.05,
    max_referred_share=0.4,
    confidence=0.95,
    measured=MeasuredRisk(tiles=1000, coverage=0.95, error_among_accepted=0.0),
)


class Says:
    """An uncertainty service that always gives this answer."""

    def __init__(self, answer):
        self.answer = answer

    async def assess(self, tile):
        return self.answer

    async def ready(self):
        return True


def seen(**changes):
    answer = Assessed(
        looks_like="R01",
        confidence=0.9,
        predictive_entropy=POLICY.entropy_threshold_nats,
        mutual_information=POLICY.mutual_information_threshold_nats,
        weights_sha256=POLICY.weights_sha256,
        quality=GOOD,
        provenance=tile_pb2.Provenance(),
    )
    return dataclasses.replace(answer, **changes)


async def decide(**changes):
    handler = ReferralHandler(Says(seen(**changes)), POLICY)
    return await handler.decide(tile_pb2.Tile())


async def test_at_the_threshold_a_tile_is_accepted():
    decided = await decide()
    assert (decided.decision, decided.reasons) == (Decision.ACCEPT, ())


async def test_doubt_that_the_members_share_is_ambiguity():
    decided = await decide(predictive_entropy=POLICY.entropy_threshold_nats + 1e-9)
    assert (decided.decision, decided.reasons) == (Decision.REFER, (Reason.AMBIGUOUS,))


async def test_disagreement_is_unfamiliar():
    decided = await decide(
        predictive_entropy=POLICY.entropy_threshold_nats + 1e-9,
        mutual_information=POLICY.mutual_information_threshold_nats + 1e-9,
    )
    assert decided.reasons == (Reason.UNFAMILIAR,)


async def test_more_doubt_than_any_known_tile_raises_is_unfamiliar():
    decided = await decide(
        predictive_entropy=POLICY.unfamiliar_entropy_nats + 1e-9, mutual_information=0.0
    )
    assert decided.reasons == (Reason.UNFAMILIAR,)


async def test_disagreement_alone_refers_nothing():
    decided = await decide(mutual_information=1.0)
    assert decided.decision is Decision.ACCEPT


async def test_a_poor_picture_is_referred_however_sure_the_committee_is():
    decided = await decide(predictive_entropy=0.0, quality=POOR)
    assert (decided.decision, decided.reasons) == (Decision.REFER, (Reason.POOR_QUALITY,))


async def test_a_policy_of_other_weights_decides_nothing():
    with pytest.raises(Contradiction) as refused:
        await decide(weights_sha256="0" * 64)
    assert refused.value.reason == "POLICY_MISMATCH"
