"""Tile -> reference lots with probabilities, and the committee's uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

from lotwise.core import uncertainty
from lotwise.core.errors import InvalidRequest
from lotwise.core.preprocessing import prepare
from lotwise.core.quality import Quality
from lotwise.core.tile import DecodedTile
from lotwise.runtime.inference import Inference, ServedModel


@dataclass(frozen=True)
class Assessment:
    """What a committee says of one tile.

    Attributes:
        ranking: (reference lot, averaged probability), likeliest first, all lots.
        predictive_entropy: In nats, as the next two.
        mean_member_entropy: What the members agree is ambiguous.
        mutual_information: How far they disagree.
        members: Number of members.
        quality: Of the picture.
        model: The committee.
    """

    ranking: tuple[tuple[str, float], ...]
    predictive_entropy: float
    mean_member_entropy: float
    mutual_information: float
    members: int
    quality: Quality
    model: ServedModel


class UncertaintyHandler:
    """Asks the committee.

    Args:
        inference: The engine.
        default_model: Committee to ask where a request names none.
    """

    def __init__(self, inference: Inference, default_model: str) -> None:
        self.inference = inference
        self.default_model = default_model

    async def assess(self, tile: DecodedTile, model: str = "") -> Assessment:
        """Say which reference lot the tile looks like, and how sure that is.

        Raises:
            InvalidTile: No signal, or not at the model's scale.
            NotFound, InvalidRequest: The model does not exist or is no committee.
            InferenceError: The engine gave no answer.
        """
        served = await self.inference.describe(model or self.default_model)
        metadata = served.signature.metadata
        if metadata.members is None or metadata.geometry is None:
            raise InvalidRequest(
                "MODEL_WRONG_KIND",
                f"Model '{served.signature.name}' is no committee. Name one that is.",
            )
        prepared = prepare(tile, metadata.geometry)
        # The features, of which a committee may have more than logits, need not be sent.
        answer = await self.inference.infer(
            served.signature.name, {"image": prepared.image}, ["logits"]
        )
        members = uncertainty.softmax(answer["logits"])  # [1, T, K]
        averaged = uncertainty.committee_probabilities(members)[0]
        lots = [lot.lot_id for lot in metadata.reference_lots]
        ranking = sorted(
            zip(lots, averaged.tolist(), strict=True), key=lambda pair: pair[1], reverse=True
        )
        return Assessment(
            ranking=tuple(ranking),
            predictive_entropy=float(uncertainty.predictive_entropy(members)[0]),
            mean_member_entropy=float(uncertainty.mean_member_entropy(members)[0]),
            mutual_information=float(uncertainty.mutual_information(members)[0]),
            members=members.shape[1],
            quality=prepared.quality,
            model=served,
        )

    async def ready(self) -> bool:
        """Whether the default model can be asked."""
        return await self.inference.ready([self.default_model])
