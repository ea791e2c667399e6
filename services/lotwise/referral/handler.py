"""Tile -> decision with reasons, under a fitted policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from lotwise.core.diagnosis import TileDiagnosis
from lotwise.core.errors import Contradiction, InvalidTile, NotFound
from lotwise.core.lot_diagnosis import LotCalibration, LotDiagnosis, LotPlaces, diagnose_lot
from lotwise.core.policy import ReferralPolicy
from lotwise.core.verdict import REASON_OF, Decision, LotTally, Reason
from lotwise.v1 import calibration_pb2, tile_pb2

FULL: Final = "full"
CASCADE: Final = "cascade"
"""What a request may say instead of a policy's version."""

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
        entropy_nats: Of the members' average, before it is calibrated.
        weights_sha256, calibration_version: What gave these numbers.
        quality, provenance, reading: As that service says them.
        diagnosis: Why the tile may be strange; None where the committee has none.
        scores: How chances of error were distributed in calibration.
    """

    looks_like: str
    confidence: float
    error_probability: float
    familiarity: float
    entropy_nats: float
    weights_sha256: str
    calibration_version: str
    quality: tile_pb2.Quality
    provenance: tile_pb2.Provenance
    reading: tile_pb2.Reading = field(default_factory=tile_pb2.Reading)
    diagnosis: TileDiagnosis | None = None
    scores: calibration_pb2.ScoreBins = field(default_factory=calibration_pb2.ScoreBins)


class Assessor(Protocol):
    """Asks the uncertainty service about one tile."""

    async def assess(self, tile: tile_pb2.Tile, *, cascade: bool) -> Assessed:
        """Raises LotwiseError as that service does.

        Args:
            tile: To be looked at.
            cascade: Whether few members are asked first.
        """
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


@dataclass(frozen=True)
class Ruling:
    """A policy and what it goes by.

    Attributes:
        policy: Fitted threshold and promise.
        lots: How far lots of one kind go; None to diagnose tiles only.
        cascade: Whether it decides by a cascade; else by the whole committee.
    """

    policy: ReferralPolicy
    lots: LotCalibration | None = None
    cascade: bool = False

    @property
    def name(self) -> str:
        """What a caller may say instead of its version."""
        return CASCADE if self.cascade else FULL


class ReferralHandler:
    """Accepts a tile that is familiar and whose named lot is likely enough to be right.

    Args:
        assessor: The uncertainty service.
        ruling: By which it decides unless a request names another.
        others: Those that a request may name.
    """

    def __init__(self, assessor: Assessor, ruling: Ruling, *others: Ruling) -> None:
        self.assessor = assessor
        self._rulings = (ruling, *others)

    async def decide(self, tile: tile_pb2.Tile, policy_version: str = "") -> TileDecision:
        """Accept or refer one tile.

        A tile of poor quality or of the wrong magnification is referred, not refused: an
        expert must see it. What cannot be read at all raises.

        Args:
            tile: To be decided on.
            policy_version: Of the policy that must decide; see `select`.

        Raises:
            InvalidTile: The tile cannot be read.
            NotFound: POLICY_UNKNOWN.
            Contradiction: POLICY_MISMATCH where the policy was fitted for other weights or with
                another calibration.
            InferenceError: The uncertainty service gave no answer.
        """
        ruling = self.select(policy_version)
        policy = ruling.policy
        try:
            seen = await self.assessor.assess(tile, cascade=ruling.cascade)
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

    def select(self, policy_version: str = "") -> Ruling:
        """The policy of this version, with what it goes by.

        Args:
            policy_version: Its version, "full" or "cascade"; empty for the service's own.

        Raises:
            NotFound: POLICY_UNKNOWN.
        """
        for ruling in self._rulings:
            if policy_version in ("", ruling.policy.policy_version, ruling.name):
                return ruling
        known = ", ".join(f"'{each.policy.policy_version}' ({each.name})" for each in self._rulings)
        raise NotFound(
            "POLICY_UNKNOWN",
            f"There is no policy '{policy_version}' here, only {known}. Leave the field empty to "
            "use the first.",
        )

    def tally(self, policy_version: str = "") -> LotTally:
        """An empty tally for one lot under the policy."""
        request = self.select(policy_version).policy.request
        return LotTally(request.max_referred_share, request.confidence)

    def diagnose_lot(
        self, places: LotPlaces | None, policy_version: str = ""
    ) -> LotDiagnosis | None:
        """What a lot's tiles say together; None where they are too few, or nobody can say.

        Args:
            places: Of the tiles that were diagnosed; None where none was.
            policy_version: Under which they were decided on.

        Raises:
            Contradiction: DIAGNOSIS_MISMATCH where tiles were diagnosed in other directions than
                lots were calibrated in.
        """
        lots = self.select(policy_version).lots
        if lots is None or places is None:
            return None
        return diagnose_lot(lots, places)

    async def ready(self) -> bool:
        """Whether the uncertainty service can be asked."""
        return await self.assessor.ready()
