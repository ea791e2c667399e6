"""Diagnoses as the protocol says them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from lotwise.core.diagnosis import ACTIONS, KINDS, Shift, TileDiagnosis
from lotwise.core.lot_diagnosis import LotDiagnosis
from lotwise.v1 import diagnosis_pb2

SHIFTS: Final[dict[Shift, Any]] = {
    kind: diagnosis_pb2.Shift.Value(f"SHIFT_{kind.name}") for kind in Shift
}
_LEAST: Final = 1e-12
"""Probabilities that came as 0."""


def diagnosis_message(diagnosis: TileDiagnosis) -> diagnosis_pb2.Diagnosis:
    """What is said of a tile."""
    return diagnosis_pb2.Diagnosis(
        probabilities=_probabilities(
            dict(zip(KINDS, map(math.exp, diagnosis.log_probabilities), strict=True))
        ),
        action=ACTIONS[diagnosis.likeliest],
        diagnosis_version=diagnosis.version,
        place=diagnosis.place,
    )


def tile_diagnosis(message: diagnosis_pb2.Diagnosis) -> TileDiagnosis:
    """What `diagnosis_message` said."""
    said = {each.shift: each.probability for each in message.probabilities}
    logs = [math.log(max(said.get(SHIFTS[kind], 0.0), _LEAST)) for kind in KINDS]
    return TileDiagnosis(
        tuple((np.array(logs) - np.logaddexp.reduce(logs)).tolist()),
        tuple(message.place),
        message.diagnosis_version,
    )


def lot_diagnosis_message(diagnosis: LotDiagnosis) -> diagnosis_pb2.LotDiagnosis:
    """What is said of a lot."""
    return diagnosis_pb2.LotDiagnosis(
        probabilities=_probabilities(diagnosis.probabilities),
        action=ACTIONS[diagnosis.likeliest],
        diagnosis_version=diagnosis.diagnosis_version,
        known_p_value=diagnosis.known_p_value,
        instrument_p_value=diagnosis.instrument_p_value,
        mixed_p_value=diagnosis.mixed_p_value,
        alarm_level=diagnosis.alarm_level,
        tiles=diagnosis.tiles,
    )


def _probabilities(said: Mapping[Shift, float]) -> list[diagnosis_pb2.ShiftProbability]:
    ranked = sorted(said.items(), key=lambda each: each[1], reverse=True)
    return [
        diagnosis_pb2.ShiftProbability(shift=SHIFTS[kind], probability=chance)
        for kind, chance in ranked
    ]
