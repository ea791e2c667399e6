"""What referral takes from the uncertainty service."""

from __future__ import annotations

from lotwise.referral.handler import Assessed
from lotwise.runtime.diagnosis_messages import tile_diagnosis
from lotwise.runtime.uncertainty_client import UncertaintyClient
from lotwise.v1 import tile_pb2


class UncertaintyAssessor:
    """The uncertainty service as `Assessor`.

    Args:
        client: Asks it.
    """

    def __init__(self, client: UncertaintyClient) -> None:
        self._client = client

    async def assess(self, tile: tile_pb2.Tile, *, cascade: bool) -> Assessed:
        """See `Assessor`."""
        answer = await self._client.assess(tile, cascade=cascade)
        return Assessed(
            looks_like=answer.top[0].reference_lot,
            confidence=answer.confidence,
            error_probability=answer.error_probability,
            familiarity=answer.familiarity,
            entropy_nats=answer.predictive_entropy_nats,
            weights_sha256=answer.provenance.models[0].weights_sha256,
            calibration_version=answer.calibration.version,
            quality=answer.quality,
            provenance=answer.provenance,
            reading=answer.reading,
            diagnosis=tile_diagnosis(answer.diagnosis) if answer.HasField("diagnosis") else None,
            scores=answer.calibration.scores,
        )

    async def ready(self) -> bool:
        """See `Assessor`."""
        return await self._client.ready()
