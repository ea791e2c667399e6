"""Tile -> reference lots with calibrated probabilities, and the committee's uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

from lotwise.core import uncertainty
from lotwise.core.calibration import Calibration
from lotwise.core.committee_outputs import LOGITS, CommitteeOutputs
from lotwise.core.diagnosis import TileDiagnosis
from lotwise.core.errors import InvalidRequest
from lotwise.core.preprocessing import prepare
from lotwise.core.quality import Quality
from lotwise.core.temperature import error_probability, scaled
from lotwise.core.tile import DecodedTile
from lotwise.runtime.inference import Inference, ServedModel
from lotwise.uncertainty.calibrations import Calibrations


@dataclass(frozen=True)
class Assessment:
    """What a committee says of one tile.

    Attributes:
        ranking: (reference lot, probability), likeliest first, all lots; averaged, then scaled.
        error_probability: Chance that the likeliest lot is wrong.
        predictive_entropy: In nats, as the next two, of the members as they are.
        mean_member_entropy: What the members agree is ambiguous.
        mutual_information: How far they disagree.
        familiarity: P-value among known tiles.
        diagnosis: Why it may be strange; None where the committee has no diagnosis.
        members: Number of members.
        quality: Of the picture.
        model: The committee.
        calibration: Of the committee.
    """

    ranking: tuple[tuple[str, float], ...]
    error_probability: float
    predictive_entropy: float
    mean_member_entropy: float
    mutual_information: float
    familiarity: float
    diagnosis: TileDiagnosis | None
    members: int
    quality: Quality
    model: ServedModel
    calibration: Calibration


class UncertaintyHandler:
    """Asks the committee.

    Args:
        inference: The engine.
        calibrations: Of the committees.
        default_model: Committee to ask where a request names none.
    """

    def __init__(
        self, inference: Inference, calibrations: Calibrations, default_model: str
    ) -> None:
        self.inference = inference
        self.calibrations = calibrations
        self.default_model = default_model

    async def assess(self, tile: DecodedTile, model: str = "") -> Assessment:
        """Say which reference lot the tile looks like, and how sure that is.

        Raises:
            InvalidTile: No signal, or not at the model's scale.
            NotFound, InvalidRequest: The model does not exist or is no committee.
            Contradiction: The committee is not calibrated, or was with other weights.
            InferenceError: The engine gave no answer.
        """
        served = await self.inference.describe(model or self.default_model)
        metadata = served.signature.metadata
        if metadata.members is None or metadata.geometry is None or metadata.property is not None:
            raise InvalidRequest(
                "MODEL_WRONG_KIND",
                f"Model '{served.signature.name}' is no committee. Name one that is.",
            )
        prepared = prepare(tile, metadata.geometry)
        calibrated = self.calibrations.of(served.signature.name)
        calibrated.check_weights(metadata.weights_sha256)
        diagnosis = self.calibrations.diagnosis_of(served.signature.name, metadata.weights_sha256)
        answer = await self.inference.infer(
            served.signature.name,
            {"image": prepared.image},
            [LOGITS, *calibrated.familiarity.blocks],
        )
        outputs = CommitteeOutputs.of(answer)
        members = uncertainty.softmax(outputs.logits)  # [1, T, K]
        probabilities = scaled(
            uncertainty.committee_probabilities(members), calibrated.calibration.temperature
        )
        lots = [lot.lot_id for lot in metadata.reference_lots]
        ranking = sorted(
            zip(lots, probabilities[0].tolist(), strict=True),
            key=lambda pair: pair[1],
            reverse=True,
        )
        return Assessment(
            ranking=tuple(ranking),
            error_probability=float(error_probability(probabilities)[0]),
            predictive_entropy=float(uncertainty.predictive_entropy(members)[0]),
            mean_member_entropy=float(uncertainty.mean_member_entropy(members)[0]),
            mutual_information=float(uncertainty.mutual_information(members)[0]),
            familiarity=float(calibrated.familiarity.p_values(outputs)[0]),
            diagnosis=None if diagnosis is None else diagnosis.of_tiles(outputs)[0],
            members=members.shape[1],
            quality=prepared.quality,
            model=served,
            calibration=calibrated.calibration,
        )

    async def ready(self) -> bool:
        """Whether the default model can be asked."""
        return await self.inference.ready([self.default_model])
