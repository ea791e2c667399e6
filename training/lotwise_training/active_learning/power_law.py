"""Power laws of learning curves: how much data brings the error down to a target.

Errors fall with a power of the number of training examples towards a floor that more of them do not
lower (Cortes et al. 1994, equation 3; Hestness et al. 2017, arXiv 1712.00409, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import nnls

from lotwise_training.data.tiles import Floats, Numbers

STEEPEST: Final = 2.0
EXPONENTS: Final = np.geomspace(0.05, STEEPEST, 120)
"""Those that are tried; measured ones lie between 0.07 and 0.5 (Hestness et al. 2017)."""
INTERVAL: Final = (0.05, 0.95)
"""Of resamples: a 90% interval."""


@dataclass(frozen=True)
class PowerLaw:
    """Error = floor + scale * size ** -exponent; floor and scale are not negative."""

    floor: float
    scale: float
    exponent: float

    def error(self, size: float) -> float:
        """Error after training on so many tiles, or testing so many lots."""
        return self.floor + self.scale * float(size**-self.exponent)

    def size(self, error: float) -> float:
        """Tiles or lots that bring the error down to this; infinite where none do."""
        if error <= self.floor or self.exponent == 0.0:
            return math.inf
        if self.scale == 0.0:
            return 0.0
        log = math.log(self.scale / (error - self.floor)) / self.exponent
        return math.exp(log) if log < 700.0 else math.inf  # 700: the largest that a float holds


def fit_above_floor(sizes: Numbers, errors: Floats, floor: float) -> PowerLaw:
    """The power law towards a known floor, by least squares of logarithms.

    Args:
        sizes: int64 [n], two at least.
        errors: float64 [n], above the floor.
        floor: Of the errors.
    """
    above = np.maximum(errors - floor, 1e-9)
    slope = np.polyfit(np.log(sizes), np.log(above), 1)[0]
    exponent = float(np.clip(-slope, 0.0, STEEPEST))
    scale = float(np.exp(np.mean(np.log(above) + exponent * np.log(sizes))))
    return PowerLaw(floor, scale, exponent)


def fit_power_law(tiles: Sequence[int], errors: Floats, spreads: Floats) -> PowerLaw:
    """The power law of the least weighted squares.

    Args:
        tiles: n numbers of training tiles, three different ones at least.
        errors: float64 [n], share of tiles that are misclassified.
        spreads: float64 [n], standard deviations of the errors, positive.

    Raises:
        ValueError: There are fewer than three points.
    """
    if len(set(tiles)) < 3:
        raise ValueError("a learning curve needs three points at least")
    n, best, least = np.asarray(tiles, dtype=np.float64), None, math.inf
    for exponent in EXPONENTS:
        # Given the exponent, floor and scale are a least-squares problem with a sign.
        columns = np.stack([np.ones_like(n), (n / n[0]) ** -exponent], axis=1)
        (floor, scale), residual = nnls(columns / spreads[:, None], errors / spreads)
        if residual < least:
            least = residual
            best = PowerLaw(float(floor), float(scale * n[0] ** exponent), float(exponent))
    assert best is not None
    return best


@dataclass(frozen=True)
class Need:
    """Training tiles that a target takes.

    Attributes:
        tiles: By the curve itself; infinite where it never gets there.
        low, high: Of a 90% interval; infinite likewise.
        never: Share of the resampled curves that never get there.
    """

    tiles: float
    low: float
    high: float
    never: float


def need(curve: PowerLaw, resampled: Sequence[PowerLaw], error: float) -> Need:
    """Training tiles that bring the error down to a target.

    Args:
        curve: As it was measured.
        resampled: The same by resamples of what was measured.
        error: The target, share of tiles that are misclassified.
    """
    each = np.sort([law.size(error) for law in resampled])
    # The nearest ranks: between a number and infinity nothing can be interpolated.
    low, high = (
        float(each[min(len(each) - 1, math.floor(share * len(each)))]) for share in INTERVAL
    )
    return Need(curve.size(error), low, high, float(np.isinf(each).mean()))


def interval(resampled: Sequence[PowerLaw], tiles: float) -> tuple[float, float]:
    """A 90% interval of the curve's error after training on so many tiles."""
    low, high = np.quantile([law.error(tiles) for law in resampled], INTERVAL)
    return float(low), float(high)
