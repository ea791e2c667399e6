"""Tile -> reference lots with calibrated probabilities, and the committee's uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lotwise.core import uncertainty
from lotwise.core.calibration import Calibrated, Calibration
from lotwise.core.cascade import look
from lotwise.core.committee_outputs import LOGITS, CommitteeOutputs
from lotwise.core.diagnosis import TileDiagnosis
from lotwise.core.errors import InvalidRequest
from lotwise.core.preprocessing import prepare
from lotwise.core.quality import Quality
from lotwise.core.temperature import error_probability, scaled
from lotwise.core.tile import DecodedTile
from lotwise.runtime.inference import Inference, ServedModel
from lotwise.uncertainty.calibrations import Calibrations

Image = npt.NDArray[np.uint8]


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
        members: Number of members of the committee.
        asked_members: Of these, how many were asked.
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
    asked_members: int
    quality: Quality
    model: ServedModel
    calibration: Calibration


@dataclass(frozen=True, eq=False)
class _Asked:
    """What members said.

    Attributes:
        outputs: Of those that were asked.
        calibrated: What makes probabilities of them.
        calibration: As the answer states it.
        diagnosis: Of the tile.
    """

    outputs: CommitteeOutputs
    calibrated: Calibrated
    calibration: Calibration
    diagnosis: TileDiagnosis | None


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

    async def assess(
        self, tile: DecodedTile, model: str = "", *, cascade: bool = False
    ) -> Assessment:
        """Say which reference lot the tile looks like, and how sure that is.

        Args:
            tile: To be looked at.
            model: Name of the committee; the default one if empty.
            cascade: Whether to ask few members first, and the others only where they could change
                a decision.

        Raises:
            InvalidTile: No signal, or not at the model's scale.
            NotFound, InvalidRequest: The model does not exist or is no committee.
            Contradiction: The committee is not calibrated, or was with other weights; it has no
                cascade, or one of another calibration.
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
        ask = self._ask_few_first if cascade else self._ask_all
        asked = await ask(served, prepared.image)
        calibrated, outputs = asked.calibrated, asked.outputs
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
            diagnosis=asked.diagnosis,
            members=metadata.members,
            asked_members=members.shape[1],
            quality=prepared.quality,
            model=served,
            calibration=asked.calibration,
        )

    async def _ask_all(self, served: ServedModel, image: Image) -> _Asked:
        name, weights = served.signature.name, served.signature.metadata.weights_sha256
        calibrated = self.calibrations.of(name)
        calibrated.check_weights(weights)
        outputs = await self._infer(name, image, calibrated)
        diagnosis = self._diagnosed(name, weights, outputs)
        return _Asked(outputs, calibrated, calibrated.calibration, diagnosis)

    async def _ask_few_first(self, served: ServedModel, image: Image) -> _Asked:
        parts = self.calibrations.cascade_of(served.signature.name)
        cascade, whole = parts.cascade, parts.whole
        whole.check_weights(served.signature.metadata.weights_sha256)
        first = await self.inference.describe(cascade.first)
        weights = first.signature.metadata.weights_sha256
        parts.first.check_weights(weights)
        outputs = await self._infer(cascade.first, image, parts.first)
        # Of the first members also where all are asked: tiles of a lot are told apart in one space.
        diagnosis = self._diagnosed(cascade.first, weights, outputs)
        seen = look(parts.first, outputs)
        if cascade.done(seen.described, seen.scores)[0]:
            return _Asked(outputs, parts.first, cascade.calibration, diagnosis)
        outputs = outputs.with_members(await self._infer(cascade.rest, image, whole))
        return _Asked(outputs, whole, cascade.calibration, diagnosis)

    async def _infer(self, name: str, image: Image, calibrated: Calibrated) -> CommitteeOutputs:
        wanted = [LOGITS, *calibrated.familiarity.blocks]
        return CommitteeOutputs.of(await self.inference.infer(name, {"image": image}, wanted))

    def _diagnosed(
        self, name: str, weights_sha256: str, outputs: CommitteeOutputs
    ) -> TileDiagnosis | None:
        diagnosis = self.calibrations.diagnosis_of(name, weights_sha256)
        return None if diagnosis is None else diagnosis.of_tiles(outputs)[0]

    async def ready(self) -> bool:
        """Whether the default model can be asked."""
        return await self.inference.ready([self.default_model])
