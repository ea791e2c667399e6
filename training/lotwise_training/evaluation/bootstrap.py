"""How far a figure would move with other tiles: 95% intervals."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Interval = tuple[float, float]
"""Lower and upper end, of 95%."""

Z95: Final = 1.959963984540054
RESAMPLES: Final = 2000
_AT_ONCE: Final = 2_000_000
"""Numbers drawn at once: 16 MB."""


def wilson(hits: float, n: int) -> Interval:
    """Wilson's score interval of a share, 0 to 1.

    It takes the n tiles for independent. Tiles of one region are not, so it is too narrow for them.

    Args:
        hits: How many of n.
        n: How many, one at least.
    """
    share = hits / n
    middle = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def bootstrap_means(
    values: npt.ArrayLike, groups: npt.ArrayLike | None = None, *, seed: int = 0
) -> list[Interval]:
    """Percentile bootstrap of means, all from the same draws.

    Whole groups are drawn, because tiles of a region stand or fall together.

    Args:
        values: float [N, V], V values of each tile, such as differences of two methods.
        groups: int [N], region of each tile; None takes each tile for its own.
        seed: Of the draws.

    Returns:
        V intervals, in the unit of the values.
    """
    table = np.asarray(values, dtype=np.float64)
    if groups is None:
        sums, sizes = table, np.ones(len(table))
    else:
        _, group = np.unique(np.asarray(groups), return_inverse=True)
        sizes = np.bincount(group).astype(np.float64)
        sums = np.stack([np.bincount(group, column) for column in table.T], axis=1)
    rng = np.random.default_rng(seed)
    means = []
    per_draw = max(1, _AT_ONCE // len(sums))
    for first in range(0, RESAMPLES, per_draw):
        n_draws = min(per_draw, RESAMPLES - first)
        drawn = rng.integers(0, len(sums), (n_draws, len(sums)))
        means.append(
            np.stack([column[drawn].sum(axis=1) for column in sums.T], axis=1)
            / sizes[drawn].sum(axis=1)[:, None]
        )
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))
