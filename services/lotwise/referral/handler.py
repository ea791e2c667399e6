"""Tile -> decision with reasons, under a fitted policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from lotwise.core.errors import Contradiction, InvalidTile, NotFound
from lotwise.core.policy import ReferralPolicy
from lotwise.core.verdict import Decision, LotTally, Reason
from lotwise.v1 import tile_pb2

# Refusals of the uncertainty service that are themselves the reason to refer.
_REFERRED_REFUSALS: Final = {
    "WRONG_MAGNIFICATION": Reason.WRONG_MAGNIFICATION,
    "TILE_BLACK": Reason.POOR_QUALITY,
    "TILE_SATURATED": Reason.POOR_QUALITY,
}


@dataclass(frozen=True)
class Assessed:
    """What referral needs of the uncertainty service's answer. Entropies in nats."""

    looks_like: str
    confidence: float
    predictive_entropy: float
    mutual_information: float
    weights_sha256: str
    quality: tile_pb2.Quality
    provenance: tile_pb2.Provenance
    reading: tile_pb2.Reading = field(default_factory=tile_pb2.Reading)


class Assessor(Protocol):
    """Asks the uncertainty service about one tile."""

    async def assess(self, tile: tile_pb2.Tile) -> Assessed:
        """Raises LotwiseError as that service does."""
        ...

    async def ready(self) -> bool:
        """Whether it can be asked now. Does not raise."""
        ...


@dataclass(frozen=True)
class TileDecision:
    """A decision; `assessed` is None where the picture was referred unseen by the committee."""

    decision: Decision
    reasons: tuple[Reason, ...]
    policy: ReferralPolicy
    assessed: Assessed | None


class ReferralHandler:
    """Decides on tiles by the entropy of the committee; Zhang et al. 2020, case study 2.

    Args:
        assessor: The uncertainty service.
        policy: Fitted thresholds.
    """

    def __init__(self, assessor: Assessor, policy: ReferralPolicy) -> None:
        self.assessor = assessor
        self.policy = policy

    async def decide(self, tile: tile_pb2.Tile, policy_version: str = "") -> TileDecision:
        """Accept or refer one tile.

        A tile of poor quality or of the wrong magnification is referred, not refused: an
        expert must see it. What cannot be read at all raises.

        Raises:
            InvalidTile: The tile cannot be read.
            NotFound: POLICY_UNKNOWN.
            Contradiction: POLICY_MISMATCH where the policy was fitted for other weights.
            InferenceError: The uncertainty service gave no answer.
        """
        policy = self.select(policy_version)
        try:
            seen = await self.assessor.assess(tile)
        except InvalidTile as refusal:
            reason = _REFERRED_REFUSALS.get(refusal.reason)
            if reason is None:
                raise
            return TileDecision(Decision.REFER, (reason,), policy, None)
        if seen.weights_sha256 != policy.weights_sha256:
            raise Contradiction(
                "POLICY_MISMATCH",
                f"Policy {policy.policy_version} was fitted for other weights than the committee "
                "that is served. Fit it again with `lotwise-train policy`.",
            )
        reasons: list[Reason] = []
        if seen.quality.verdict == tile_pb2.QUALITY_VERDICT_POOR:
            reasons.append(Reason.POOR_QUALITY)
        if seen.predictive_entropy > policy.entropy_threshold_nats:
            # Entropy is what the members agree is ambiguous plus their disagreement. Either an
            # unusual disagreement points away from the reference lots, or more doubt than any
            # known tile raises.
            unfamiliar = (
                seen.mutual_information > policy.mutual_information_threshold_nats
                or seen.predictive_entropy > policy.unfamiliar_entropy_nats
            )
            reasons.append(Reason.UNFAMILIAR if unfamiliar else Reason.AMBIGUOUS)
        decision = Decision.REFER if reasons else Decision.ACCEPT
        return TileDecision(decision, tuple(reasons), policy, seen)

    def select(self, policy_version: str) -> ReferralPolicy:
        """The policy of this version; the service's own if empty.

        Raises:
            NotFound: POLICY_UNKNOWN.
        """
        if policy_version not in ("", self.policy.policy_version):
            raise NotFound(
                "POLICY_UNKNOWN",
                f"There is no policy '{policy_version}' here, only "
                f"'{self.policy.policy_version}'. Leave the field empty to use it.",
            )
        return self.policy

    def tally(self, policy_version: str = "") -> LotTally:
        """An empty tally for one lot under the policy."""
        policy = self.select(policy_version)
        return LotTally(policy.max_referred_share, policy.confidence)

    async def ready(self) -> bool:
        """Whether the uncertainty service can be asked."""
        return await self.assessor.ready()
