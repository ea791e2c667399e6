"""Which tiles a training step sees, and with which random views: a function of the step alone.

A resumed training then goes on exactly as an unbroken one would, with no generator to be saved.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lotwise_training.data.tiles import Numbers


def shuffled(n: int, rng: np.random.Generator, lots: Numbers | None = None) -> Numbers:
    """The order of a pass over `n` items: int64 [n].

    Args:
        n: Items in the set.
        rng: Of the order.
        lots: int64 [n], lot of each item where all lots count alike: of each lot as many items are
            drawn, so those of small lots come several times, of large lots others in each pass.
            None takes each item once.
    """
    if lots is None:
        return rng.permutation(n)
    names = rng.permutation(np.unique(lots))
    drawn = [
        np.resize(
            rng.permutation(np.flatnonzero(lots == lot)),
            n // len(names) + (place < n % len(names)),
        )
        for place, lot in enumerate(names)
    ]
    return rng.permutation(np.concatenate(drawn))


class Batches:
    """Shuffled passes over `n` items, cut into batches; a last, smaller batch is left out.

    Args:
        n: Items in the set.
        batch_size: Items in a batch.
        seed: Seed of the order and of the views.
        lots: int64 [n], see `shuffled`.

    Raises:
        ValueError: The set is smaller than a batch.
    """

    def __init__(
        self, n: int, batch_size: int, seed: tuple[int, ...], lots: Numbers | None = None
    ) -> None:
        if n < batch_size:
            raise ValueError(f"a batch of {batch_size} cannot be drawn from {n} items")
        self.n = n
        self.batch_size = batch_size
        self.seed = seed
        self.lots = lots
        self._pass = -1
        self._order: npt.NDArray[np.int64] = np.arange(0)

    def draw(self, step: int) -> tuple[npt.NDArray[np.int64], np.random.Generator]:
        """The items of step `step`, int64 [batch_size], and the generator of its random views."""
        number, place = divmod(step, self.n // self.batch_size)
        if number != self._pass:
            self._pass = number
            rng = np.random.default_rng([*self.seed, 0, number])
            self._order = shuffled(self.n, rng, self.lots)
        start = place * self.batch_size
        return (
            self._order[start : start + self.batch_size],
            np.random.default_rng([*self.seed, 1, step]),
        )
