"""What services answer, as results that a store keeps, and back as what a verdict counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from google.protobuf import json_format
from google.protobuf.message import Message

from lotwise.core.errors import LotwiseError
from lotwise.core.lot_diagnosis import LotPlaces
from lotwise.core.verdict import Decision, LotTally, Reason
from lotwise.referral.lot_so_far import LotSoFar
from lotwise.referral.messages import REASONS
from lotwise.runtime.diagnosis_messages import tile_diagnosis
from lotwise.screening.services import Answered
from lotwise.store import StoredResult, TileResult
from lotwise.v1 import diagnosis_pb2, predict_pb2, referral_pb2, tile_pb2

_NAMES: Final = {number: reason.value for reason, number in REASONS.items()}


def tile_result(tile: int, answered: Answered) -> TileResult:
    """A tile's answers as they are kept.

    Args:
        tile: Its number within the store.
        answered: By both services.
    """
    decision, prediction = answered.decision, answered.prediction
    if isinstance(decision, LotwiseError):
        return TileResult(
            tile=tile,
            decision="failed",
            error_reason=decision.reason,
            error_message=decision.message,
        )
    accepted = decision.decision == referral_pb2.DECISION_ACCEPT
    told: dict[str, Any] = {}
    # A picture that is too poor to be judged has no property: that is its reason, not an error.
    if isinstance(prediction, predict_pb2.PredictResponse):
        told = {
            "property_name": prediction.property,
            "value": prediction.value,
            "unit": prediction.unit,
        }
    return TileResult(
        tile=tile,
        decision="accept" if accepted else "refer",
        reasons=tuple(_NAMES.get(reason, str(reason)) for reason in decision.reasons),
        score=decision.score if decision.HasField("score") else None,
        familiarity=decision.familiarity if decision.HasField("familiarity") else None,
        looks_like=decision.looks_like,
        confidence=decision.confidence if decision.looks_like else None,
        entropy_nats=decision.predictive_entropy_nats
        if decision.HasField("predictive_entropy_nats")
        else None,
        diagnosis=as_json(decision.diagnosis) if decision.HasField("diagnosis") else None,
        quality=as_json(decision.quality) if decision.HasField("quality") else None,
        **told,
    )


def models_of(answered: Answered) -> dict[str, str]:
    """What gave the answers: the weights' hash by model, and the policy's version as "policy".

    Args:
        answered: By both services.
    """
    said: dict[str, str] = {}
    for answer in (answered.decision, answered.prediction):
        if isinstance(answer, Message):
            for model in answer.provenance.models:
                said[model.name] = model.weights_sha256
            if answer.provenance.policy_version:
                said["policy"] = answer.provenance.policy_version
    return said


def stated_models(provenances: Iterable[tile_pb2.Provenance]) -> dict[str, dict[str, Any]]:
    """Models by name, as a store states them.

    Args:
        provenances: Of answers.
    """
    return {
        model.name: {
            "version": model.version,
            "weights_sha256": model.weights_sha256,
            "trained_on_simulated_lots": model.trained_on_simulated_lots,
        }
        for provenance in provenances
        for model in provenance.models
    }


def as_json(message: Message) -> dict[str, Any]:
    """A message in the protocol's JSON, with its fields' own names."""
    said: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return said


class LotSum:
    """Results of a lot, summed up as the referral service sums tiles up.

    Args:
        lot_id: Of the lot.
        policy_version: That decided.
        max_referred_share: Of the policy.
        confidence: Of the policy.
    """

    def __init__(
        self, lot_id: str, policy_version: str, max_referred_share: float, confidence: float
    ) -> None:
        self._lot = LotSoFar(lot_id, policy_version, LotTally(max_referred_share, confidence))
        self._count, self._mean, self._squares = 0, 0.0, 0.0
        self.property_name = self.unit = ""

    def add(self, stored: StoredResult) -> None:
        """Count a result; in the order in which they come, evidence is gathered."""
        result, lot = stored.result, self._lot
        if result.value is not None:
            self._add_value(result.value)
            self.property_name, self.unit = result.property_name, result.unit
        if result.decision == "failed":
            lot.tally.add_failure()
            return
        decision = Decision.ACCEPT if result.decision == "accept" else Decision.REFER
        lot.tally.add(decision, tuple(map(Reason, result.reasons)), result.looks_like)
        if result.diagnosis is not None:
            self._add_place(result.diagnosis)

    def _add_value(self, value: float) -> None:
        """Welford 1962: no sum of squares that outgrows its digits."""
        self._count += 1
        away = value - self._mean
        self._mean += away / self._count
        self._squares += away * (value - self._mean)

    def _add_place(self, said: Any) -> None:
        diagnosis = tile_diagnosis(json_format.ParseDict(said, diagnosis_pb2.Diagnosis()))
        place = np.array(diagnosis.place, dtype=np.float64)
        if self._lot.places is None:
            self._lot.places = LotPlaces.none(len(place))
        self._lot.places.add(np.array(diagnosis.log_probabilities), place)

    @property
    def tiles(self) -> int:
        """How many were counted."""
        return self._lot.tally.tiles

    @property
    def mean(self) -> float | None:
        """Of the predicted property over tiles."""
        return self._mean if self._count else None

    @property
    def sd(self) -> float | None:
        """Standard deviation of the same."""
        return float(np.sqrt(self._squares / (self._count - 1))) if self._count > 1 else None

    def message(self) -> referral_pb2.DecideLotRequest:
        """What asks the referral service for the verdict: any replica goes on from the token."""
        return referral_pb2.DecideLotRequest(resume_token=self._lot.token(), complete=True)
