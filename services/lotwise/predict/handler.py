"""Tile -> property."""

from __future__ import annotations

from dataclasses import dataclass

from lotwise.core.errors import InvalidRequest
from lotwise.core.preprocessing import prepare
from lotwise.core.quality import Quality
from lotwise.core.signature import PropertySpec
from lotwise.core.tile import DecodedTile
from lotwise.runtime.inference import Inference, ServedModel


@dataclass(frozen=True)
class Prediction:
    """A property read off one tile; `value` in `specification.unit`."""

    specification: PropertySpec
    value: float
    quality: Quality
    model: ServedModel


class PredictHandler:
    """Reads the property off a tile.

    Args:
        inference: The engine.
        default_model: Regressor to ask where a request names none.
    """

    def __init__(self, inference: Inference, default_model: str) -> None:
        self.inference = inference
        self.default_model = default_model

    async def predict(self, tile: DecodedTile, model: str = "") -> Prediction:
        """Predict the property of the tile's lot from this tile alone.

        Raises:
            InvalidTile: No signal, or not at the model's scale.
            NotFound, InvalidRequest: The model does not exist or is no regressor.
            InferenceError: The engine gave no answer.
        """
        served = await self.inference.describe(model or self.default_model)
        metadata = served.signature.metadata
        if metadata.property is None or metadata.geometry is None or _is_other(served):
            raise InvalidRequest(
                "MODEL_WRONG_KIND",
                f"Model '{served.signature.name}' does not predict a property from a tile. "
                "Name a regressor.",
            )
        prepared = prepare(tile, metadata.geometry)
        answer = await self.inference.infer(
            served.signature.name, {"image": prepared.image}, ["property"]
        )
        return Prediction(
            metadata.property, float(answer["property"][0, 0]), prepared.quality, served
        )

    async def ready(self) -> bool:
        """Whether the default model can be asked."""
        return await self.inference.ready([self.default_model])


def _is_other(served: ServedModel) -> bool:
    """Whether it takes more than a tile, or holds several networks."""
    signature = served.signature
    takes_more = [spec.name for spec in signature.inputs] != ["image"]
    return takes_more or signature.metadata.members is not None
