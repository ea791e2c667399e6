"""The verdict on a lot, by the share of its tiles that are referred; to be asked after every tile.

Evidence that the share is below or above the policy's limit is kept so that it may be looked at
after every tile (`sequential.py`). As soon as it is strong enough, the verdict is settled and no
more tiles are needed; of those that come all the same, only strong evidence against the lot counts.
It presumes tiles drawn independently from the lot; neighbours of a mosaic overlap slightly, so read
the confidence as nominal.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from lotwise.core.diagnosis import Shift
from lotwise.core.lot_diagnosis import LotDiagnosis
from lotwise.core.sequential import anytime_bounds, log_evidence_above, log_evidence_below


class Decision(Enum):
    """Of a tile."""

    ACCEPT = "accept"
    REFER = "refer"


class Verdict(Enum):
    """Of a lot."""

    ACCEPT = "accept"
    REFER = "refer"
    UNDECIDED = "undecided"


class Reason(Enum):
    """Why a tile or a lot goes to an expert. Names as in the protocol."""

    AMBIGUOUS = "ambiguous"
    INSTRUMENT_SHIFT = "instrument shift"
    UNSEEN_SYNTHESIS = "unseen synthesis"
    UNRELATED = "unrelated"
    POOR_QUALITY = "poor quality"
    WRONG_MAGNIFICATION = "wrong magnification"
    UNFAMILIAR = "unfamiliar"
    TOO_FEW_TILES = "too few tiles"
    MIXED_LOT = "mixed lot"
    UNREADABLE = "unreadable"


REASON_OF: Final[Mapping[Shift, Reason]] = {
    Shift.INSTRUMENT: Reason.INSTRUMENT_SHIFT,
    Shift.SYNTHESIS: Reason.UNSEEN_SYNTHESIS,
    Shift.UNRELATED: Reason.UNRELATED,
}
"""Reasons that a diagnosis gives."""


@dataclass
class LotTally:
    """Counts the decisions on the tiles of one lot and says what they amount to.

    Args:
        max_referred_share: A lot above it is referred.
        confidence: That a settled verdict is right, and of each bound.

    Attributes:
        accepted, referred, failed: Counts of tiles.
        settled: ACCEPT or REFER once the evidence was strong enough.
        settled_after: So many tiles were needed.
        reasons: Of tiles that were not accepted, by their weightiest reason.
        looks_like: Reference lots that tiles look like.
    """

    max_referred_share: float
    confidence: float
    accepted: int = 0
    referred: int = 0
    failed: int = 0
    settled: Verdict | None = None
    settled_after: int = 0
    reasons: Counter[Reason] = field(default_factory=Counter)
    looks_like: Counter[str] = field(default_factory=Counter)

    @property
    def tiles(self) -> int:
        """All tiles, those that could not be read included."""
        return self.accepted + self.referred + self.failed

    def add(
        self, decision: Decision, reasons: tuple[Reason, ...] = (), looks_like: str = ""
    ) -> None:
        """Count one decided tile."""
        if decision is Decision.ACCEPT:
            self.accepted += 1
        else:
            self.referred += 1
            self.reasons.update(reasons[:1])
        if looks_like:
            self.looks_like[looks_like] += 1
        self._settle()

    def add_failure(self) -> None:
        """Count a tile that could not be read: nothing is known of it, so it is not accepted."""
        self.failed += 1
        self.reasons[Reason.UNREADABLE] += 1
        self._settle()

    def _settle(self) -> None:
        if self.settled is Verdict.REFER:
            return
        k, n, needed = self.referred + self.failed, self.tiles, -math.log(1.0 - self.confidence)
        if log_evidence_above(k, n, self.max_referred_share) >= needed:
            # After an ACCEPT, too: then the lot is not the same throughout, and an expert must see.
            self.settled, self.settled_after = Verdict.REFER, n
        elif self.settled is None and (log_evidence_below(k, n, self.max_referred_share) >= needed):
            self.settled, self.settled_after = Verdict.ACCEPT, n

    def bounds(self) -> tuple[float, float]:
        """Bounds on the share of tiles that are not accepted, after every tile at once."""
        return anytime_bounds(self.referred + self.failed, self.tiles, self.confidence)

    def verdict(self) -> Verdict:
        """ACCEPT or REFER where it is settled, UNDECIDED otherwise."""
        return Verdict.UNDECIDED if self.settled is None else self.settled

    def verdict_reasons(self) -> tuple[Reason, ...]:
        """Why the lot is not accepted: the commonest reasons first; empty where it is."""
        verdict = self.verdict()
        if verdict is Verdict.ACCEPT:
            return ()
        if verdict is Verdict.UNDECIDED and self.referred + self.failed == 0:
            return (Reason.TOO_FEW_TILES,)
        ranked = tuple(reason for reason, _ in self.reasons.most_common())
        return (*ranked, Reason.TOO_FEW_TILES) if verdict is Verdict.UNDECIDED else ranked


def concluded(
    tally: LotTally, diagnosis: LotDiagnosis | None
) -> tuple[Verdict, tuple[Reason, ...]]:
    """The verdict once no more tiles come: by the tiles one by one, and by all of them together.

    Tests on the lot as a whole hold for one look, so a running verdict leaves them out.

    Args:
        tally: Of the lot.
        diagnosis: Of the lot; None where there is none.

    Returns:
        The verdict and why the lot is not accepted; what concerns the whole lot first.
    """
    reasons: list[Reason] = []
    if diagnosis is not None:
        if diagnosis.instrument_changed:
            reasons.append(Reason.INSTRUMENT_SHIFT)
        if diagnosis.strange and REASON_OF[diagnosis.likeliest] not in reasons:
            reasons.append(REASON_OF[diagnosis.likeliest])
        if diagnosis.mixed:
            reasons.append(Reason.MIXED_LOT)
    if not reasons:
        return tally.verdict(), tally.verdict_reasons()
    rest = [
        reason
        for reason, _ in tally.reasons.most_common()
        if reason not in reasons and tally.verdict() is not Verdict.ACCEPT
    ]
    return Verdict.REFER, (*reasons, *rest)
