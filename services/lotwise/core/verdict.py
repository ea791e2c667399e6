"""The verdict on a lot: a binomial bound on the share of tiles that are referred.

Clopper & Pearson 1934, one-sided. It presumes tiles drawn independently from the lot;
neighbours of a mosaic overlap slightly, so read the confidence as nominal.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from scipy.stats import beta


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


def clopper_pearson(k: int, n: int, confidence: float) -> tuple[float, float]:
    """One-sided bounds of a share after k of n trials, each at the confidence.

    Args:
        k: Trials that counted, 0 to n.
        n: Trials; 0 tells nothing: (0, 1).
        confidence: Within (0.5, 1).

    Returns:
        Lower and upper bound. The upper is above the true share with probability of at least
        the confidence, the lower below it likewise.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    lower = 0.0 if k == 0 else float(beta.ppf(1 - confidence, k, n - k + 1))
    upper = 1.0 if k == n else float(beta.ppf(confidence, k + 1, n - k))
    return lower, upper


@dataclass
class LotTally:
    """Counts the decisions on the tiles of one lot and says what they amount to.

    Args:
        max_referred_share: A lot above it is referred.
        confidence: Of each bound.
    """

    max_referred_share: float
    confidence: float
    accepted: int = 0
    referred: int = 0
    failed: int = 0
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

    def add_failure(self) -> None:
        """Count a tile that could not be read: nothing is known of it, so it is not accepted."""
        self.failed += 1
        self.reasons[Reason.UNREADABLE] += 1

    def bounds(self) -> tuple[float, float]:
        """Bounds on the share of tiles that are not accepted."""
        return clopper_pearson(self.referred + self.failed, self.tiles, self.confidence)

    def verdict(self) -> Verdict:
        """ACCEPT or REFER where a bound decides it, UNDECIDED otherwise."""
        lower, upper = self.bounds()
        if upper <= self.max_referred_share:
            return Verdict.ACCEPT
        if lower > self.max_referred_share:
            return Verdict.REFER
        return Verdict.UNDECIDED

    def verdict_reasons(self) -> tuple[Reason, ...]:
        """Why the lot is not accepted: the commonest reasons first; empty where it is."""
        verdict = self.verdict()
        if verdict is Verdict.ACCEPT:
            return ()
        if verdict is Verdict.UNDECIDED and self.referred + self.failed == 0:
            return (Reason.TOO_FEW_TILES,)
        ranked = tuple(reason for reason, _ in self.reasons.most_common())
        return (*ranked, Reason.TOO_FEW_TILES) if verdict is Verdict.UNDECIDED else ranked
