"""Calibrations as the protocol says them, the same for every service."""

from __future__ import annotations

from typing import Final

from lotwise.core.calibration import Calibration, CalibrationSet
from lotwise.core.policy import Guarantee
from lotwise.v1 import calibration_pb2

_ORIGINS: Final = {
    "simulated": calibration_pb2.CALIBRATION_ORIGIN_SIMULATED,
    "laboratory": calibration_pb2.CALIBRATION_ORIGIN_LABORATORY,
}


def calibration_message(calibration: Calibration) -> calibration_pb2.Calibration:
    """A committee's calibration."""
    return calibration_pb2.Calibration(
        version=calibration.calibration_version,
        temperature=calibration.temperature,
        set=calibration_set_message(calibration.calibration_set),
        scores=calibration_pb2.ScoreBins(
            edges=calibration.score_bins.edges, shares=calibration.score_bins.shares
        ),
    )


def calibration_set_message(used: CalibrationSet) -> calibration_pb2.CalibrationSet:
    """The tiles that something was fitted on."""
    message = calibration_pb2.CalibrationSet(
        tiles=used.tiles, lots=used.lots, sha256=used.sha256, origin=_ORIGINS[used.origin]
    )
    message.date.FromDatetime(used.date)
    return message


def guarantee_message(promised: Guarantee) -> calibration_pb2.Guarantee:
    """What a policy promises."""
    return calibration_pb2.Guarantee(
        quantity=promised.quantity,
        target=promised.target,
        bound=promised.bound,
        confidence=promised.confidence,
        statement=promised.statement,
    )
