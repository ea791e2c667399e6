"""Whether scores still look as they did in calibration: the population stability index.

PSI = sum over bins of (share now - share then) ln(share now / share then). Below 0.1 is taken for
none, above 0.25 for a change that needs a look. Without any drift, w tiles in b bins show about
(b - 1) / w.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lotwise.core.uncertainty import Array

BINS: Final = 10


class ScoreBins(BaseModel):
    """How a score was distributed in calibration.

    Attributes:
        edges: Rising; a score at an edge lies in the bin below it.
        shares: Of the tiles in each bin, one more than edges.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    edges: tuple[float, ...] = Field(min_length=1)
    shares: tuple[float, ...]

    @model_validator(mode="after")
    def _is_a_distribution(self) -> Self:
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges must rise")
        if len(self.shares) != len(self.edges) + 1 or min(self.shares) < 0:
            raise ValueError("there must be a share, not negative, for each bin")
        if abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError("shares must add up to 1")
        return self

    @classmethod
    def of(cls, scores: Array) -> Self:
        """Bins of about equally many of these scores, float64 [N]."""
        deciles = np.quantile(scores, np.arange(1, BINS) / BINS, method="lower")
        edges = np.unique(deciles)
        counts = np.bincount(np.searchsorted(edges, scores, side="left"), minlength=len(edges) + 1)
        shares = counts / len(scores)
        return cls(edges=tuple(edges.tolist()), shares=tuple(shares.tolist()))


def population_stability_index(then: Array, now: Array, tiles: int) -> float:
    """PSI of two distributions over the same bins.

    Args:
        then: float64 [bins], shares in calibration.
        now: float64 [bins], shares of the tiles.
        tiles: Behind `now`: an empty bin counts as half a tile.
    """
    least = 0.5 / tiles
    before, after = np.maximum(then, least), np.maximum(now, least)
    return float(((after - before) * np.log(after / before)).sum())


class DriftWindow:
    """PSI of the last tiles against calibration.

    Args:
        bins: Of calibration.
        size: Tiles in the window.
    """

    def __init__(self, bins: ScoreBins, size: int) -> None:
        self._edges = np.array(bins.edges)
        self._then = np.array(bins.shares)
        self._counts = np.zeros(len(bins.shares))
        self._last: deque[int] = deque()
        self._size = size

    def add(self, score: float) -> float | None:
        """Count a score; the index once the window is full, None before."""
        place = int(np.searchsorted(self._edges, score, side="left"))
        self._counts[place] += 1
        self._last.append(place)
        if len(self._last) > self._size:
            self._counts[self._last.popleft()] -= 1
        if len(self._last) < self._size:
            return None
        return population_stability_index(self._then, self._counts / self._size, self._size)
