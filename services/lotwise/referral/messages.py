"""Decisions and verdicts as the protocol says them."""

from __future__ import annotations

from typing import Any, Final

from lotwise.core import verdict as verdicts
from lotwise.core.verdict import Decision, Reason, Verdict
from lotwise.referral.handler import ReferralHandler, TileDecision
from lotwise.referral.lot_so_far import LotSoFar
from lotwise.runtime.calibration_messages import calibration_set_message, guarantee_message
from lotwise.runtime.diagnosis_messages import diagnosis_message, lot_diagnosis_message
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
VERDICT_NAMES: Final = {number: kind.value for kind, number in _VERDICTS.items()}
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
        response.predictive_entropy_nats = seen.entropy_nats
        response.looks_like = seen.looks_like
        response.confidence = seen.confidence
        response.calibration_scores.CopyFrom(seen.scores)
        response.quality.CopyFrom(seen.quality)
        response.reading.CopyFrom(seen.reading)
        if seen.diagnosis is not None:
            response.diagnosis.CopyFrom(diagnosis_message(seen.diagnosis))
    return response


def verdict(
    lot: LotSoFar, last: TileDecision | None, handler: ReferralHandler, *, concluded: bool = False
) -> referral_pb2.LotVerdict:
    """The verdict on a lot as things stand.

    Args:
        lot: As far as its tiles have come.
        last: Decision on the last tile.
        handler: Of the policies.
        concluded: Whether no more tiles come: only then tests on the lot as a whole count.
    """
    tally = lot.tally
    lower, upper = tally.bounds()
    favourite = tally.looks_like.most_common(1)
    judged = sum(tally.looks_like.values())
    policy = handler.select(lot.policy_version).policy
    diagnosis = handler.diagnose_lot(lot.places, lot.policy_version)
    said, reasons = verdicts.concluded(tally, diagnosis if concluded else None)
    return referral_pb2.LotVerdict(
        lot_id=lot.lot_id,
        verdict=_VERDICTS[said],
        reasons=[REASONS[reason] for reason in reasons],
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
        provenance=_provenance(last, policy.policy_version),
        guarantee=guarantee_message(policy.guarantee),
        calibration_set=calibration_set_message(policy.calibration_set),
        settled=tally.settled is not None,
        settled_after=tally.settled_after,
        repeated=lot.repeated,
        diagnosis=None if diagnosis is None else lot_diagnosis_message(diagnosis),
    )


def _provenance(decided: TileDecision | None, policy_version: str) -> tile_pb2.Provenance:
    provenance = tile_pb2.Provenance()
    if decided is not None and decided.assessed is not None:
        provenance.CopyFrom(decided.assessed.provenance)
    provenance.policy_version = policy_version
    provenance.request_id = current_request().trace.trace_id
    return provenance
