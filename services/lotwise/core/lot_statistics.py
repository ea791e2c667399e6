"""A lot by some of its tiles: which, how they spread, how well their mean stands for the lot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

Item = TypeVar("Item")

RESAMPLES: Final = 2000
COVERAGE: Final = 0.95


class Reservoir(Generic[Item]):
    """So many items of a stream of unknown length, each as likely as any other (Vitter 1985, R).

    Memory is that of the items that are kept. The same stream and seed keep the same.

    Args:
        size: How many are kept, 1 at least.
        seed: Of the draw.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._rng = np.random.default_rng(seed)
        self._kept: list[tuple[int, Item]] = []
        self.seen = 0

    def offer(self, item: Item) -> None:
        """See the next item of the stream."""
        number, self.seen = self.seen, self.seen + 1
        if number < self._size:
            self._kept.append((number, item))
        elif (place := int(self._rng.integers(0, number + 1))) < self._size:
            self._kept[place] = (number, item)

    def kept(self) -> list[Item]:
        """The items, in the order in which they came."""
        return [item for _, item in sorted(self._kept, key=lambda pair: pair[0])]


@dataclass(frozen=True)
class Spread:
    """Quartiles and mean of a property over tiles, in its unit."""

    lower_quartile: float
    median: float
    upper_quartile: float
    mean: float

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Spread:
        """Of float [n], one value at least."""
        numbers = np.asarray(values, dtype=np.float64)
        lower, median, upper = np.percentile(numbers, [25.0, 50.0, 75.0])
        return cls(float(lower), float(median), float(upper), float(numbers.mean()))


@dataclass(frozen=True)
class MeanInterval:
    """A mean over tiles and its 95% percentile bootstrap interval (Efron & Tibshirani 1993)."""

    mean: float
    lower: float
    upper: float

    @classmethod
    def of(cls, values: npt.ArrayLike, seed: int) -> MeanInterval:
        """Of float [n], one value at least.

        Args:
            values: By tile.
            seed: Of the draws.
        """
        numbers = np.asarray(values, dtype=np.float64)
        drawn = np.random.default_rng(seed).integers(0, len(numbers), (RESAMPLES, len(numbers)))
        beyond = 100.0 * (1.0 - COVERAGE) / 2.0
        lower, upper = np.percentile(numbers[drawn].mean(axis=1), [beyond, 100.0 - beyond])
        return cls(float(numbers.mean()), float(lower), float(upper))
