"""What stands behind a calibrated answer, as plain Python values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class CalibrationSet:
    """Labelled tiles that a calibration or a policy was fitted on.

    Attributes:
        tiles: How many.
        lots: Reference lots that they are of.
        sha256: Of their pixels and labels.
        date: When, in UTC.
        origin: "simulated" if any of them is, else "laboratory".
    """

    tiles: int
    lots: int
    sha256: str
    date: datetime
    origin: str


@dataclass(frozen=True)
class Guarantee:
    """What a policy promises of the tiles that it accepts.

    Attributes:
        quantity: "error among accepted tiles" or "accepted share of known tiles".
        target: What was asked for, 0 to 1; None where nothing was promised beforehand.
        bound: Of the quantity, 0 to 1: from above for an error, from below for a share.
        confidence: Of the bound, over calibration sets.
        statement: The same as a sentence.
    """

    quantity: str
    target: float | None
    bound: float
    confidence: float
    statement: str
