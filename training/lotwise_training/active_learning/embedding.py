"""Where lots lie among each other, by what a committee sees of their tiles; no label is needed.

A lot is the mean over its tiles of all members' features. The committee learned to tell lots apart
and never saw a property, so its features may be computed of every lot, tested or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise_training.data.tiles import Floats, Numbers
from lotwise_training.store.arrays import ResultsError

BLOCKS: Final = ("early", "features")
"""Blocks of a committee, the first that it has is taken. On 200 simulated lots that are no part of
the benchmark, 20 of them tested, mean and deviation of the first group's channels told the peak
stress to 5.7%, the last group, which keeps what tells lots apart and drops the rest, to 15.9%, and
both together to 14.5%."""
COMPONENTS: Final = 10
"""Principal components: there, 6 were worse, and 16 a little worse with 8 tested lots."""


@dataclass(frozen=True, eq=False)
class PlaceSpace:
    """Principal components of a pool of lots.

    Each is divided by the root of its standard deviation: between leaving them as they are, where
    the first drowns the others, and whitening, where the last, mostly noise, count as much.

    Attributes:
        mean: float64 [D], of the pool's lots.
        scale: float64 [D], their standard deviation; 1 where it is zero.
        axes: float64 [D, C], C components.
    """

    mean: Floats
    scale: Floats
    axes: Floats

    @classmethod
    def of(cls, means: Floats) -> PlaceSpace:
        """The space of a pool.

        Args:
            means: float64 [L, D], of L lots, two at least.

        Raises:
            ResultsError: The lots cannot be told apart.
        """
        mean, spread = means.mean(axis=0), means.std(axis=0)
        scale = np.where(spread > 1e-9 * np.abs(means).max(initial=1e-300), spread, np.inf)
        _, sizes, rows = np.linalg.svd((means - mean) / scale, full_matrices=False)
        kept = sizes[:COMPONENTS] > 1e-6 * sizes[0]
        if sizes[0] == 0:
            raise ResultsError("the committee sees the same in all lots: nothing can be planned")
        deviations = sizes[:COMPONENTS][kept] / np.sqrt(len(means))
        axes = rows[:COMPONENTS][kept] / np.sqrt(deviations * deviations[0])[:, None]
        return cls(mean, np.where(np.isinf(scale), 1.0, scale), axes.T)

    def places(self, means: Floats) -> Floats:
        """Places of lots, of the pool or not.

        Args:
            means: float64 [L, D].

        Returns:
            float64 [L, C].
        """
        placed: Floats = ((means - self.mean) / self.scale) @ self.axes
        return placed


def lot_means(outputs: CommitteeOutputs, lots: Numbers) -> Floats:
    """What the members see of lots, on average over tiles.

    Args:
        outputs: Of N tiles by T members; blocks float [N, T, D].
        lots: int64 [N], lot of each tile, 0 to L - 1, each with a tile at least.

    Returns:
        float64 [L, T D].

    Raises:
        ResultsError: The committee gives no features.
    """
    found = [outputs.blocks[name] for name in BLOCKS if name in outputs.blocks]
    if not found:
        raise ResultsError(
            "the committee gives no features, so lots cannot be compared; export it anew with "
            "`lotwise-train export`"
        )
    block: npt.NDArray[np.floating] = found[0].reshape(len(found[0]), -1)
    return np.stack(
        [block[lots == lot].mean(axis=0, dtype=np.float64) for lot in range(lots.max() + 1)]
    )
