"""Tile -> decision with reasons, under a fitted policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from lotwise.core.diagnosis import TileDiagnosis
from lotwise.core.errors import Contradiction, InvalidTile, NotFound
from lotwise.core.lot_diagnosis import LotCalibration, LotDiagnosis, LotPlaces, diagnose_lot
from lotwise.core.policy import ReferralPolicy
from lotwise.core.verdict import REASON_OF, Decision, LotTally, Reason
from lotwise.v1 import tile_pb2

# Refusals of the uncertainty service that are themselves the reason to refer.
_REFERRED_REFUSALS: Final = {
    "WRONG_MAGNIFICATION": Reason.WRONG_MAGNIFICATION,
    "TILE_BLACK": Reason.POOR_QUALITY,
    "TILE_SATURATED": Reason.POOR_QUALITY,
}


@dataclass(frozen=True)
class Assessed:
    """What referral needs of the uncertainty service's answer.

    Attributes:
        looks_like: The likeliest reference lot.
        confidence: Its calibrated probability.
        error_probability: Chance that it is wrong.
        familiarity: P-value of the tile among known tiles.
        weights_sha256, calibration_version: What gave these numbers.
        quality, provenance, reading: As that service says them.
        diagnosis: Why the tile may be strange; None where the committee has none.
    """

    looks_like: str
    confidence: float
    error_probability: float
    familiarity: float
    weights_sha256: str
    calibration_version: str
    quality: tile_pb2.Quality
    provenance: tile_pb2.Provenance
    reading: tile_pb2.Reading = field(default_factory=tile_pb2.Reading)
    diagnosis: TileDiagnosis | None = None


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
    """Accepts a tile that is familiar and whose named lot is likely enough to be right.

    Args:
        assessor: The uncertainty service.
        policy: Fitted threshold and promise.
        lots: How far lots of one kind go; None to diagnose tiles only.
    """

    def __init__(
        self, assessor: Assessor, policy: ReferralPolicy, lots: LotCalibration | None = None
    ) -> None:
        self.assessor = assessor
        self.policy = policy
        self._lots = lots

    async def decide(self, tile: tile_pb2.Tile, policy_version: str = "") -> TileDecision:
        """Accept or refer one tile.

        A tile of poor quality or of the wrong magnification is referred, not refused: an
        expert must see it. What cannot be read at all raises.

        Raises:
            InvalidTile: The tile cannot be read.
            NotFound: POLICY_UNKNOWN.
            Contradiction: POLICY_MISMATCH where the policy was fitted for other weights or with
                another calibration.
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
                "that is served. Fit it again with `lotwise calibrate`.",
            )
        if seen.calibration_version != policy.calibration_version:
            raise Contradiction(
                "POLICY_MISMATCH",
                f"Policy {policy.policy_version} was fitted with calibration "
                f"{policy.calibration_version}, the uncertainty service uses "
                f"{seen.calibration_version}. Restart the services, or fit both again with "
                "`lotwise calibrate`.",
            )
        reasons: list[Reason] = []
        if seen.quality.verdict == tile_pb2.QUALITY_VERDICT_POOR:
            reasons.append(Reason.POOR_QUALITY)
        if seen.familiarity < policy.request.min_familiarity:
            # What probabilities say of a tile that no reference lot resembles means nothing.
            if seen.diagnosis is not None and seen.diagnosis.likeliest in REASON_OF:
                reasons.append(REASON_OF[seen.diagnosis.likeliest])
            reasons.append(Reason.UNFAMILIAR)
        elif seen.error_probability > policy.max_score:
            reasons.append(Reason.AMBIGUOUS)
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
        return LotTally(policy.request.max_referred_share, policy.request.confidence)

    def diagnose_lot(self, places: LotPlaces | None) -> LotDiagnosis | None:
        """What a lot's tiles say together; None where they are too few, or nobody can say.

        Args:
            places: Of the tiles that were diagnosed; None where none was.

        Raises:
            Contradiction: DIAGNOSIS_MISMATCH where tiles were diagnosed in other directions than
                lots were calibrated in.
        """
        if self._lots is None or places is None:
            return None
        return diagnose_lot(self._lots, places)

    async def ready(self) -> bool:
        """Whether the uncertainty service can be asked."""
        return await self.assessor.ready()
