"""How familiar a tile is: a p-value among tiles of known lots, fused from several scores.

Where networks were trained, their features of known lots lie in known places. Of each block of
features (the last group, and statistics of the first, where a change of the instrument shows) two
distances are taken: Mahalanobis to the nearest lot with a shared covariance (Lee et al. 2018, arXiv
1807.03888), and the mean distance to the nearest of a bank of known tiles (Sun et al. 2022, arXiv
2204.06507). Of a committee, the energy (Liu et al. 2020, arXiv 2010.03759) and the predictive
entropy stand beside them. Every score becomes its tail probability among known tiles; Fisher's sum
of their logarithms becomes one once more, among other known tiles. So the result is a conformal
p-value (Bates et al. 2023, arXiv 2104.08279): of tiles like the calibration tiles, a share of at
most a lies at or below a.

`familiarity_fit.py` makes what is kept here. N tiles, T members, D features, P directions.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from lotwise.core.committee_outputs import BLOCKS, CommitteeOutputs, FeatureOutputs, Floats
from lotwise.core.uncertainty import Array, entropy

Half = npt.NDArray[np.float16]
Single = npt.NDArray[np.float32]

Outputs = CommitteeOutputs | FeatureOutputs
"""What familiarity is computed from."""

NEIGHBOURS: Final = 10
_AT_ONCE: Final = 256
"""Tiles whose distances are taken together: some ten megabytes."""


@dataclass(frozen=True, eq=False)
class BlockReference:
    """Where known lots lie in one block of features.

    Attributes:
        centre, scale: float32 [T, D]; features are centred and divided first.
        whitening: float16 [T, D, D], by the covariance within lots.
        means: float16 [T, L, D], of the lots, whitened.
        projection: float16 [T * D, P], to the directions in which known tiles differ most, each
            of unit variance within lots.
        bank: float16 [B, P], known tiles there.
    """

    centre: Single
    scale: Single
    whitening: Half
    means: Half
    projection: Half
    bank: Half

    @cached_property
    def _single(self) -> tuple[Single, Single, Single, Single]:
        kept = (self.whitening, self.means, self.projection, self.bank)
        whitening, means, projection, bank = (each.astype(np.float32) for each in kept)
        return whitening, means, projection, bank

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it by name."""
        return {name: getattr(self, name) for name in type(self).__annotations__}

    def distances(self, block: Floats) -> Array:
        """Mahalanobis and neighbour distance of tiles: float64 [N, 2].

        Args:
            block: float [N, T, D].
        """
        parts = [self._distances(part) for part in _batches(block)]
        return np.concatenate(parts) if parts else np.empty((0, 2))

    def places(self, block: Floats) -> Single:
        """Where tiles lie along the directions of the bank: float32 [N, P].

        Args:
            block: float [N, T, D].
        """
        standard: Single = (block.astype(np.float32) - self.centre) / self.scale
        return cast(Single, standard.reshape(len(standard), -1) @ self._single[2])

    def _distances(self, block: Floats) -> Array:
        standard: Single = (block.astype(np.float32) - self.centre) / self.scale
        whitening, means, _, bank = self._single
        # [T, N, D]: a product of matrices for each member.
        white = standard.transpose(1, 0, 2) @ whitening
        to_lots = squared_distances(white, means).mean(axis=0).min(axis=1)
        to_bank = squared_distances(self.places(block), bank)
        k = min(NEIGHBOURS, len(bank))
        nearest = np.partition(to_bank, k - 1, axis=1)[:, :k]
        both = np.stack([np.sqrt(to_lots), np.sqrt(nearest).mean(axis=1)], axis=1)
        return cast(Array, both.astype(np.float64))


@dataclass(frozen=True, eq=False)
class Familiarity:
    """Everything that a p-value is computed from.

    Attributes:
        blocks: By the committee's output.
        tails: float32 [S, n], each score of known tiles, rising.
        fused: float32 [m], Fisher's sums of other known tiles, rising.
    """

    blocks: Mapping[str, BlockReference]
    tails: Single
    fused: Single

    def p_values(self, outputs: Outputs) -> Array:
        """Familiarity of tiles: float64 [N], above 0 and at most 1; small is strange."""
        sums = fisher_sums(tail_probabilities(self.tails, scores(self.blocks, outputs)))
        return tail_probabilities(self.fused[None], sums[:, None])[:, 0]

    def to_bytes(self) -> bytes:
        """As a compressed .npz."""
        arrays: dict[str, npt.NDArray[Any]] = {"tails": self.tails, "fused": self.fused}
        for name, block in self.blocks.items():
            arrays |= {f"{name}/{key}": value for key, value in block.arrays().items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Familiarity:
        """What `to_bytes` wrote.

        Raises:
            ValueError: The content is something else.
        """
        try:
            return cls._read(content)
        except (zipfile.BadZipFile, KeyError, OSError) as error:
            raise ValueError(f"no statistics of known tiles: {error}") from None

    @classmethod
    def _read(cls, content: bytes) -> Familiarity:
        # Looked at first: numpy reads other kinds of files, too.
        if not zipfile.is_zipfile(io.BytesIO(content)):
            raise ValueError("it is no .npz file")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return cls(read_blocks(arrays), arrays["tails"], arrays["fused"])


def read_blocks(arrays: Any) -> dict[str, BlockReference]:
    """The blocks of an opened .npz, kept as `BlockReference.arrays` by name of block and array.

    Raises:
        KeyError: One lacks an array.
    """
    names = [name for name in BLOCKS if f"{name}/bank" in arrays.files]
    return {
        name: BlockReference(
            **{key: arrays[f"{name}/{key}"] for key in BlockReference.__annotations__}
        )
        for name in names
    }


def scores(blocks: Mapping[str, BlockReference], outputs: Outputs) -> Array:
    """All scores, high where a tile is strange: float64 [N, S].

    Two distances for each block; of a committee also energy and predictive entropy.
    """
    columns = [block.distances(outputs.blocks[name]) for name, block in blocks.items()]
    if isinstance(outputs, CommitteeOutputs):
        columns.append(np.stack([energy(outputs.logits), entropy(outputs.pooled)], axis=1))
    return np.concatenate(columns, axis=1)


def energy(logits: Floats) -> Array:
    """Minus the members' mean log-sum-exp of logits: high where no lot is supported.

    Args:
        logits: float [N, T, K].

    Returns:
        float64 [N].
    """
    z = np.asarray(logits, dtype=np.float64)
    highest = z.max(axis=-1)
    total = highest + np.log(np.exp(z - highest[..., None]).sum(axis=-1))
    return cast(Array, -total.mean(axis=1))


def tail_probabilities(tails: Single, values: Array) -> Array:
    """Share of calibration values at or above each value, the value itself counted in.

    Args:
        tails: float32 [S, n], rising.
        values: float64 [N, S].

    Returns:
        float64 [N, S], from 1 / (n + 1) to 1.
    """
    n = tails.shape[1]
    below = [
        # Compared in the precision in which the calibration values are kept.
        np.searchsorted(tail, column.astype(np.float32), side="left")
        for tail, column in zip(tails, values.T, strict=True)
    ]
    return cast(Array, (n + 1 - np.stack(below, axis=1)) / (n + 1.0))


def fisher_sums(probabilities: Array) -> Array:
    """Minus twice the sum of logarithms (Fisher 1932): float64 [N] of [N, S]."""
    return cast(Array, -2.0 * np.log(probabilities).sum(axis=1))


def _batches(block: Floats) -> Iterator[Floats]:
    for start in range(0, len(block), _AT_ONCE):
        yield block[start : start + _AT_ONCE]


def squared_distances(points: Single, others: Single) -> Single:
    """[..., N, M] from [..., N, D] and [..., M, D]."""
    cross = points @ np.swapaxes(others, -1, -2)
    squares = (points**2).sum(axis=-1)[..., :, None] + (others**2).sum(axis=-1)[..., None, :]
    # Rounding may leave a point below nothing from itself.
    return cast(Single, np.maximum(squares - 2 * cross, 0.0))
