"""Decisions and verdicts as the protocol says them."""

from __future__ import annotations

from typing import Any, Final

from lotwise.core.verdict import Decision, LotTally, Reason, Verdict
from lotwise.referral.handler import ReferralHandler, TileDecision
from lotwise.runtime.calibration_messages import calibration_set_message, guarantee_message
from lotwise.runtime.request import current_request
from lotwise.v1 import referral_pb2, tile_pb2

_DECISIONS: Final = {
    Decision.ACCEPT: referral_pb2.DECISION_ACCEPT,
    Decision.REFER: referral_pb2.DECISION_REFER,
}
_VERDICTS: Final = {
    Verdict.ACCEPT: referral_pb2.VERDICT_ACCEPT,
    Verdict.REFER: referral_pb2.VERDICT_REFER,
    Verdict.UNDECIDED: referral_pb2.VERDICT_UNDECIDED,
}
REASONS: Final[dict[Reason, Any]] = {
    reason: referral_pb2.Reason.Value(f"REASON_{reason.name}") for reason in Reason
}


def decision(decided: TileDecision, tile_id: str, lot_id: str) -> referral_pb2.DecideResponse:
    """A decision on a tile."""
    policy = decided.policy
    response = referral_pb2.DecideResponse(
        tile_id=tile_id,
        lot_id=lot_id,
        decision=_DECISIONS[decided.decision],
        reasons=[REASONS[reason] for reason in decided.reasons],
        threshold=policy.max_score,
        min_familiarity=policy.request.min_familiarity,
        guarantee=guarantee_message(policy.guarantee),
        calibration_set=calibration_set_message(policy.calibration_set),
        provenance=_provenance(decided, policy.policy_version),
    )
    seen = decided.assessed
    if seen is not None:
        response.score = seen.error_probability
        response.familiarity = seen.familiarity
        response.looks_like = seen.looks_like
        response.confidence = seen.confidence
        response.quality.CopyFrom(seen.quality)
        response.reading.CopyFrom(seen.reading)
    return response


def verdict(
    lot_id: str, tally: LotTally, last: TileDecision | None, handler: ReferralHandler
) -> referral_pb2.LotVerdict:
    """The verdict on a lot as the tally stands."""
    lower, upper = tally.bounds()
    favourite = tally.looks_like.most_common(1)
    judged = sum(tally.looks_like.values())
    return referral_pb2.LotVerdict(
        lot_id=lot_id,
        verdict=_VERDICTS[tally.verdict()],
        reasons=[REASONS[reason] for reason in tally.verdict_reasons()],
        tiles=tally.tiles,
        accepted=tally.accepted,
        referred=tally.referred,
        failed=tally.failed,
        referred_share_lower=lower,
        referred_share_upper=upper,
        confidence=tally.confidence,
        max_referred_share=tally.max_referred_share,
        reason_counts=[
            referral_pb2.ReasonCount(reason=REASONS[reason], tiles=count)
            for reason, count in tally.reasons.most_common()
        ],
        looks_like=favourite[0][0] if favourite else "",
        looks_like_share=favourite[0][1] / judged if favourite else 0.0,
        provenance=_provenance(last, handler.policy.policy_version),
        guarantee=guarantee_message(handler.policy.guarantee),
        calibration_set=calibration_set_message(handler.policy.calibration_set),
    )


def _provenance(decided: TileDecision | None, policy_version: str) -> tile_pb2.Provenance:
    provenance = tile_pb2.Provenance()
    if decided is not None and decided.assessed is not None:
        provenance.CopyFrom(decided.assessed.provenance)
    provenance.policy_version = policy_version
    provenance.request_id = current_request().trace.trace_id
    return provenance
