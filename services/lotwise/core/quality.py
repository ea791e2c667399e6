"""Is a tile fit to be judged? Faults of the picture, told apart from the material."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

from lotwise.core.errors import InvalidTile
from lotwise.core.tile import Grey

BLACK_LEVEL: Final = 3
SATURATED_LEVEL: Final = 252
# A tile whose brightest percentile stays below this shows no signal at all.
NO_SIGNAL_LEVEL: Final = 8
MARGIN_SHARE: Final = 0.02  # of rows or columns that are black throughout, at an edge
MARGINAL_SATURATED_SHARE: Final = 0.05
POOR_SATURATED_SHARE: Final = 0.25
ALL_SATURATED_SHARE: Final = 0.90
LOW_CONTRAST_STD: Final = 4.0


class Fault(Enum):
    """What is wrong with a tile's picture."""

    BLACK = "black"
    BLACK_MARGIN = "black margin"
    SATURATED = "saturated"
    LOW_CONTRAST = "low contrast"


class QualityVerdict(Enum):
    """Whether a tile may be acted on."""

    GOOD = "good"
    MARGINAL = "marginal"
    POOR = "poor"


@dataclass(frozen=True)
class Quality:
    """Verdict on a picture; shares are of its pixels, 0 to 1."""

    verdict: QualityVerdict
    faults: tuple[Fault, ...]
    black_share: float
    saturated_share: float


def assess_quality(grey: Grey) -> Quality:
    """Look for faults of the scan.

    Args:
        grey: uint8 [height, width].
    """
    black_share = float((grey <= BLACK_LEVEL).mean())
    saturated_share = float((grey >= SATURATED_LEVEL).mean())
    poor: list[Fault] = []
    marginal: list[Fault] = []
    if np.percentile(grey, 99) < NO_SIGNAL_LEVEL:
        poor.append(Fault.BLACK)
    else:
        if _margin_share(grey) >= MARGIN_SHARE:
            poor.append(Fault.BLACK_MARGIN)
        if saturated_share >= POOR_SATURATED_SHARE:
            poor.append(Fault.SATURATED)
        elif saturated_share >= MARGINAL_SATURATED_SHARE:
            marginal.append(Fault.SATURATED)
        if float(grey.std()) < LOW_CONTRAST_STD:
            poor.append(Fault.LOW_CONTRAST)
    verdict = (
        QualityVerdict.POOR
        if poor
        else QualityVerdict.MARGINAL
        if marginal
        else QualityVerdict.GOOD
    )
    return Quality(verdict, (*poor, *marginal), black_share, saturated_share)


def require_signal(quality: Quality) -> None:
    """Refuse a tile from which nothing at all can be read.

    Raises:
        InvalidTile: TILE_BLACK or TILE_SATURATED.
    """
    if Fault.BLACK in quality.faults:
        raise InvalidTile(
            "TILE_BLACK",
            "The tile is black: the beam was off or the scan missed the sample. Scan it again.",
        )
    if quality.saturated_share >= ALL_SATURATED_SHARE:
        raise InvalidTile(
            "TILE_SATURATED",
            f"{quality.saturated_share:.0%} of the tile is white. Lower brightness or contrast "
            "and scan it again.",
        )


def _margin_share(grey: Grey) -> float:
    """Largest share of the tile that is one black strip along an edge."""
    shares = []
    for lines in (grey.max(axis=1), grey.max(axis=0)):
        lit = np.flatnonzero(lines > BLACK_LEVEL)
        if lit.size:
            shares += [lit[0] / lines.size, (lines.size - 1 - lit[-1]) / lines.size]
    return float(max(shares, default=1.0))
