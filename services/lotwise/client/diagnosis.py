"""Why tiles or lots are strange, as the client tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ShiftName = Literal["none", "instrument", "synthesis", "unrelated"]


@dataclass(frozen=True)
class Diagnosis:
    """What has changed between known tiles and a tile, or a lot.

    Attributes:
        probabilities: By kind, if all were equally common; likeliest first.
        action: What Zhang et al. 2020 advise to do about the likeliest kind; empty for none.
        version: Of the diagnosis.
    """

    probabilities: dict[ShiftName, float]
    action: str
    version: str

    @property
    def likeliest(self) -> ShiftName:
        """The kind that is likeliest."""
        return next(iter(self.probabilities))


@dataclass(frozen=True)
class LotDiagnosis(Diagnosis):
    """What a lot's tiles say together.

    Attributes:
        known_p_value: Share of known lots, under an unchanged instrument, that look as much as if
            something had changed.
        instrument_p_value: Share of lots under an unchanged instrument, new ones too, that look as
            much as if it had changed.
        mixed_p_value: Share of lots of one kind whose tiles differ among themselves as much.
        alarm_level: Below it each is a reason to refer the lot.
        tiles: So many were looked at.
    """

    known_p_value: float
    instrument_p_value: float
    mixed_p_value: float
    alarm_level: float
    tiles: int
