"""Which tiles a training step sees, and with which random views: a function of the step alone.

A resumed training then goes on exactly as an unbroken one would, with no generator to be saved.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class Batches:
    """Shuffled passes over `n` items, cut into batches; a last, smaller batch is left out.

    Args:
        n: Items in the set.
        batch_size: Items in a batch.
        seed: Seed of the order and of the views.

    Raises:
        ValueError: The set is smaller than a batch.
    """

    def __init__(self, n: int, batch_size: int, seed: tuple[int, ...]) -> None:
        if n < batch_size:
            raise ValueError(f"a batch of {batch_size} cannot be drawn from {n} items")
        self.n = n
        self.batch_size = batch_size
        self.seed = seed
        self._pass = -1
        self._order: npt.NDArray[np.int64] = np.arange(0)

    def draw(self, step: int) -> tuple[npt.NDArray[np.int64], np.random.Generator]:
        """The items of step `step`, int64 [batch_size], and the generator of its random views."""
        number, place = divmod(step, self.n // self.batch_size)
        if number != self._pass:
            self._pass = number
            self._order = np.random.default_rng([*self.seed, 0, number]).permutation(self.n)
        start = place * self.batch_size
        return (
            self._order[start : start + self.batch_size],
            np.random.default_rng([*self.seed, 1, step]),
        )
