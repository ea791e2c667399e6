"""Fits what `familiarity.py` reads, on labelled tiles of known lots that nothing was trained on.

Three groups of tiles: places of the lots are learned from the first, tails of the scores from the
second, the tail of the fused score from the third. Tiles of one group would look more familiar in
statistics that they made themselves.
"""

from __future__ import annotations

from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import scipy.linalg

from lotwise.core.committee_outputs import Floats
from lotwise.core.familiarity import (
    BlockReference,
    Familiarity,
    Outputs,
    fisher_sums,
    scores,
    tail_probabilities,
)
from lotwise.core.uncertainty import Array

Labels = npt.NDArray[np.int64]

DIRECTIONS: Final = 64
"""Directions in which neighbours are looked for; beyond, distances grow alike."""
BANK: Final = 1000
"""Known tiles that are kept as neighbours; more would not fit into the file."""
LEAST_SCALE: Final = 0.02
"""Channels that hardly vary are divided by this share of the block's median deviation, or a last
digit would decide."""


def fit_familiarity(
    reference: tuple[Outputs, Labels], tails: Outputs, fused: Outputs
) -> Familiarity:
    """Fit on three groups of known tiles.

    Args:
        reference: Tiles that say where the lots lie, with their lots.
        tails: Tiles for the tail of every score.
        fused: Tiles for the tail of the fused score.
    """
    outputs, labels = reference
    blocks = {name: fit_block(block, labels) for name, block in outputs.blocks.items()}
    ordered = np.sort(scores(blocks, tails), axis=0).T.astype(np.float32)
    sums = fisher_sums(tail_probabilities(ordered, scores(blocks, fused)))
    return Familiarity(blocks, ordered, np.sort(sums).astype(np.float32))


def fit_block(block: Floats, labels: Labels) -> BlockReference:
    """Where lots lie in one block.

    Args:
        block: float [N, T, D].
        labels: int64 [N].
    """
    values = block.astype(np.float64)
    lots, lot = np.unique(labels, return_inverse=True)
    means = np.stack([values[lot == number].mean(axis=0) for number in range(len(lots))], axis=1)
    centre = means.mean(axis=1)
    within = values - means[:, lot].transpose(1, 0, 2)
    spread = np.sqrt((within**2).sum(axis=0) / max(len(values) - len(lots), 1))
    scale = np.maximum(spread, LEAST_SCALE * float(np.median(spread)) + 1e-6)
    within /= scale
    # As it is kept and used: rounded before anything is calibrated with it.
    whitening = np.stack(
        [inverse_root(shrunk_covariance(within[:, t])) for t in range(values.shape[1])]
    ).astype(np.float16)
    placed = ((means - centre[:, None]) / scale[:, None]) @ whitening.astype(np.float64)
    standard = ((values - centre) / scale).reshape(len(values), -1)
    projection = principal_directions(standard, within.reshape(len(values), -1))
    rows = np.linspace(0, len(values) - 1, min(BANK, len(values))).round().astype(int)
    bank = standard[rows] @ projection.astype(np.float64)
    return BlockReference(
        centre.astype(np.float32),
        scale.astype(np.float32),
        whitening,
        placed.astype(np.float16),
        projection,
        bank.astype(np.float16),
    )


def shrunk_covariance(centred: Array) -> Array:
    """Covariance of few samples, drawn towards a multiple of one (Ledoit & Wolf 2004).

    Args:
        centred: float64 [N, D], of mean 0.

    Returns:
        float64 [D, D], positive definite.
    """
    n, d = centred.shape
    sample = centred.T @ centred / n
    size = float(np.trace(sample)) / d
    if size <= 0:
        return np.eye(d)
    off = float(((sample - size * np.eye(d)) ** 2).sum())
    noise = float((centred**2).sum(axis=1) @ (centred**2).sum(axis=1) / n - (sample**2).sum()) / n
    share = min(max(noise / off, 0.0), 1.0) if off > 0 else 1.0
    # Never wholly without: a channel that is dead among known tiles has no variance at all.
    share = max(share, 1e-3)
    shrunk: Array = (1 - share) * sample + share * size * np.eye(d)
    return shrunk


def inverse_root(covariance: Array) -> Array:
    """Symmetric inverse square root: float64 [D, D]."""
    values, vectors = scipy.linalg.eigh(covariance)
    root: Array = (vectors / np.sqrt(values)) @ vectors.T
    return root


def principal_directions(standard: Array, within: Array) -> npt.NDArray[np.float16]:
    """Directions in which known tiles differ most, scaled to unit variance within lots.

    Args:
        standard: float64 [N, F], of all tiles.
        within: float64 [N, F], the same less the mean of each tile's lot.

    Returns:
        float16 [F, P].
    """
    n, f = standard.shape
    few = min(DIRECTIONS, n - 1, f)
    # The smaller of the two matrices that hold the same eigenvalues.
    if f <= n:
        _, vectors = _largest(standard.T @ standard, few)
    else:
        values, left = _largest(standard @ standard.T, few)
        vectors = standard.T @ left / np.sqrt(np.maximum(values, 1e-12))
    spread = np.sqrt(((within @ vectors) ** 2).mean(axis=0))
    floor = 1e-3 * float(spread.max()) + 1e-12
    return cast(npt.NDArray[np.float16], (vectors / np.maximum(spread, floor)).astype(np.float16))


def _largest(matrix: Array, few: int) -> tuple[Any, Any]:
    size = len(matrix)
    return cast(
        tuple[Any, Any],
        scipy.linalg.eigh(matrix, subset_by_index=(size - few, size - 1)),
    )
