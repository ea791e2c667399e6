"""What the statistics of a tile's texture should become when its attributes change.

Over lots, the mean statistics (:class:`~lotwise_training.models.scattering.Scattering`) are a
smooth function of the attributes. Fitted once, before an editor is trained, it says by how much an
edit has to move each of them. The tile's own deviation from its lot stays: an edit that changes
nothing is asked for nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lotwise_training.augmentation import random_crops
from lotwise_training.models.scattering import Scattering

Floats = npt.NDArray[np.float64]

CROPS: Final = 3000
"""Crops, from all lots, over which the statistics are fitted."""
BATCH: Final = 32
PRIOR: Final = 0.1
"""Of the fit, in units of one lot: it is defined for any number of them."""


class TextureTargets:
    """Expected changes of texture statistics.

    Args:
        tiles: uint8 [N, H, W], on any device.
        attributes: float32 [N, n] in 0..1, of each tile's lot.
        crop_px: Edge of the crops that the training will see.
        rng: Source of the crops.
    """

    def __init__(
        self, tiles: Tensor, attributes: Tensor, crop_px: int, rng: np.random.Generator
    ) -> None:
        device = tiles.device
        self.scattering = Scattering().to(device)
        drawn = torch.from_numpy(rng.permutation(len(tiles))[:CROPS]).to(device)
        with torch.no_grad():
            statistics = torch.cat(
                [
                    self.scattering(random_crops(tiles[rows], crop_px, rng))
                    for rows in torch.split(drawn, BATCH)
                ]
            )
        scale, weights = fit_statistics(
            statistics.double().cpu().numpy(), attributes[drawn].double().cpu().numpy()
        )
        self._scale = torch.from_numpy(scale).float().to(device)
        self._weights = torch.from_numpy(weights).float().to(device)

    def change(self, own: Tensor, wanted: Tensor) -> Tensor:
        """Expected change of every statistic, in units of its spread within a lot.

        Args:
            own: float32 [B, n].
            wanted: float32 [B, n].

        Returns:
            float32 [B, S].
        """
        return (_terms(wanted) - _terms(own)) @ self._weights

    def loss(self, image: Tensor, edited: Tensor, own: Tensor, wanted: Tensor) -> Tensor:
        """How much of the expected change an edit owes.

        Args:
            image: float [B, 1, H, W], grey values.
            edited: float32 [B, 1, H, W], the same tiles edited.
            own: float32 [B, n].
            wanted: float32 [B, n].

        Returns:
            float [], mean over tiles of |change missing|^2 / (|change expected|^2 + 1), lengths
            by the root mean square over statistics. About 0 to 1: an edit of the size moves
            statistics so much further than any other that it would else be all that counts.
        """
        expected = self.change(own, wanted)
        with torch.no_grad():
            before = self.scattering(image)
        missing = (self.scattering(edited) - before) / self._scale - expected
        owed: Tensor = missing.square().mean(dim=1) / (expected.square().mean(dim=1) + 1.0)
        return owed.mean()


def fit_statistics(statistics: Floats, attributes: Floats) -> tuple[Floats, Floats]:
    """Ridge regression of mean statistics on a quadratic form of the attributes.

    Args:
        statistics: float64 [N, S], of single tiles.
        attributes: float64 [N, n], of their lots; tiles of one lot share a row.

    Returns:
        Spread within a lot, float64 [S]; weights of the terms, float64 [T, S], in that unit.
    """
    lots, lot = np.unique(attributes, axis=0, return_inverse=True)
    lot = lot.reshape(-1)
    counts = np.bincount(lot)[:, None]
    means = np.stack([statistics[lot == number].mean(axis=0) for number in range(len(lots))])
    within = np.square(statistics - means[lot]).sum(axis=0) / max(1, len(statistics) - len(lots))
    scale = np.sqrt(within) + 1e-6
    terms = _terms(torch.from_numpy(lots)).numpy()
    # Each lot by its number of tiles, as a mean over few is less sure.
    share = counts / counts.mean()
    centre = (share * means).mean(axis=0)
    middle = (share * terms).mean(axis=0)
    x, y = terms - middle, (means - centre) / scale
    weights = np.linalg.solve(x.T @ (share * x) + PRIOR * np.eye(x.shape[1]), x.T @ (share * y))
    return scale, weights


def _terms(attributes: Tensor) -> Tensor:
    """Centred attributes and their products, [B, n + n (n + 1) / 2]."""
    centred = 2.0 * attributes - 1.0
    rows, columns = torch.triu_indices(attributes.shape[1], attributes.shape[1])
    return torch.cat([centred, centred[:, rows] * centred[:, columns]], dim=1)
