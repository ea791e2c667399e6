"""What the services answer, as plain Python values: nothing here knows the protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lotwise.client.calibration import CalibrationSet, Guarantee
from lotwise.client.diagnosis import Diagnosis, LotDiagnosis
from lotwise.client.provenance import ModelVersion, Provenance, Quality, Reading
from lotwise.client.quantity import Quantity
from lotwise.core.errors import LotwiseError


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What every answer says beside the answer itself.

    Attributes:
        tile_id, lot_id: As they were sent.
        quality: Of the picture.
        provenance: Which networks gave the answer.
        reading: How the tile was read; None where the service does not say.
        simulated: Whether `lot.json` beside the tile says that its lot is simulated.
    """

    tile_id: str
    lot_id: str
    quality: Quality
    provenance: Provenance
    reading: Reading | None = None
    simulated: bool = False

    @property
    def models(self) -> tuple[ModelVersion, ...]:
        """The networks that gave the answer."""
        return self.provenance.models

    @property
    def trained_on_simulated_lots(self) -> bool:
        """Whether any of these networks learned from simulated lots alone."""
        return any(model.trained_on_simulated_lots for model in self.models)


@dataclass(frozen=True, kw_only=True)
class Prediction(Answer):
    """The lot's property, by one tile.

    Attributes:
        property_name: Such as "peak stress".
        quantity: Its value, in the model's unit.
    """

    property_name: str
    quantity: Quantity

    @property
    def value(self) -> float:
        """The value in `unit`."""
        return self.quantity.value

    @property
    def unit(self) -> str:
        """The model's unit, such as "psi"."""
        return self.quantity.unit

    @property
    def psi(self) -> float:
        """The value in psi; ValueError where the model's unit is no pressure."""
        return self.quantity.psi

    @property
    def mpa(self) -> float:
        """The value in MPa; ValueError where the model's unit is no pressure."""
        return self.quantity.mpa


@dataclass(frozen=True, kw_only=True)
class Uncertainty(Answer):
    """Which reference lot a tile looks like, and how sure the committee is of it.

    Attributes:
        looks_like: The likeliest reference lot.
        confidence: Its calibrated probability.
        error_probability: Chance that it is wrong: 1 - `confidence`, with all its digits.
        probabilities: Calibrated, of every reference lot, likeliest first; they add up to 1.
        familiarity: P-value of the tile among known tiles, 0 to 1; small is strange.
        predictive_entropy_nats: Shannon entropy of the members' average before it is calibrated;
            0 is certain.
        mean_member_entropy_nats: What the members agree is ambiguous.
        mutual_information_nats: The difference of the two: how far the members disagree.
        members: Networks in the committee.
        asked_members: Of these, how many were asked; fewer where a cascade had seen enough. The
            entropies are theirs.
        calibration_version: Of the calibration.
        calibration_set: The tiles that it was fitted on.
        diagnosis: Why the tile may be strange; None where the committee has no diagnosis.
    """

    looks_like: str
    confidence: float
    error_probability: float
    probabilities: dict[str, float]
    familiarity: float
    predictive_entropy_nats: float
    mean_member_entropy_nats: float
    mutual_information_nats: float
    members: int
    asked_members: int
    calibration_version: str
    calibration_set: CalibrationSet
    diagnosis: Diagnosis | None


@dataclass(frozen=True, kw_only=True)
class Decision(Answer):
    """Accept one tile, or refer it to an expert.

    Attributes:
        decision: "accept" or "refer".
        reasons: Such as "unfamiliar", the weightiest first; empty where the tile is accepted.
        score: Chance that the named lot is wrong, which was compared with `threshold`; None where
            the tile was referred before the committee saw it.
        threshold: Of the policy: a tile with a larger score is referred.
        familiarity: P-value of the tile among known tiles; None as above.
        min_familiarity: Of the policy: a tile with a smaller familiarity is referred.
        looks_like: The likeliest reference lot; empty where `score` is None.
        confidence: Its calibrated probability.
        guarantee: What the policy promises.
        calibration_set: The tiles that the policy rests on.
        diagnosis: Why the tile may be strange; None where nobody can say.
    """

    decision: Literal["accept", "refer"]
    reasons: tuple[str, ...]
    score: float | None
    threshold: float
    familiarity: float | None
    min_familiarity: float
    looks_like: str
    confidence: float
    guarantee: Guarantee
    calibration_set: CalibrationSet
    diagnosis: Diagnosis | None


@dataclass(frozen=True)
class TileFailure:
    """A tile of many that got no answer. The others go on.

    Attributes:
        tile_id, lot_id: As they were sent.
        error: What a call for this tile alone would have raised.
    """

    tile_id: str
    lot_id: str
    error: LotwiseError

    @property
    def reason(self) -> str:
        """Stable, for programs: TILE_TRUNCATED, ..."""
        return self.error.reason

    @property
    def message(self) -> str:
        """For people: what is wrong and what to do."""
        return self.error.message


@dataclass(frozen=True)
class LotVerdict:
    """Accept a lot, or refer it to an expert; docs/referral.md says how it comes about.

    Attributes:
        lot_id: Of the lot.
        verdict: "accept", "refer" or "undecided" (an expert looks, or more tiles are sent).
        reasons: The commonest first; empty where the lot is accepted.
        reason_counts: Tiles for each reason of a tile.
        tiles: How many were counted: `accepted` + `referred` + `failed`.
        accepted, referred, failed: Tiles by their decision; failed ones could not be read.
        referred_share_lower, referred_share_upper: One-sided bounds on the share of referred
            tiles in the lot, each at `confidence`; they hold after every tile at once.
        confidence, max_referred_share: The policy's limit, and how sure it wants to be.
        looks_like, looks_like_share: The reference lot that most tiles look like; their share.
        provenance: Which networks gave the answer, under which policy.
        guarantee: What the policy promises.
        calibration_set: The tiles that the policy rests on.
        decisions: One for each tile, in the order of sending.
        settled: Whether enough tiles have come: wrong with a probability of at most 1 -
            `confidence`, whenever it is first said.
        settled_after: So many were needed; 0 if not settled.
        complete: Whether the service was told that the lot is complete.
        repeated: Tiles that were not counted, because they were before.
        diagnosis: What the tiles say together; None where they are too few, or nobody can say.
        simulated: Whether `lot.json` beside the tiles says that the lot is simulated.
    """

    lot_id: str
    verdict: Literal["accept", "refer", "undecided"]
    reasons: tuple[str, ...]
    reason_counts: dict[str, int]
    tiles: int
    accepted: int
    referred: int
    failed: int
    referred_share_lower: float
    referred_share_upper: float
    confidence: float
    max_referred_share: float
    looks_like: str
    looks_like_share: float
    provenance: Provenance
    guarantee: Guarantee
    calibration_set: CalibrationSet
    decisions: tuple[Decision | TileFailure, ...] = field(repr=False)
    settled: bool
    settled_after: int
    complete: bool
    repeated: int
    diagnosis: LotDiagnosis | None
    simulated: bool = False

    @property
    def trained_on_simulated_lots(self) -> bool:
        """Whether any network behind the verdict learned from simulated lots alone."""
        return any(model.trained_on_simulated_lots for model in self.provenance.models)
