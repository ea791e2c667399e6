"""What the statistics of a tile's texture should become when its attributes change.

Over lots, the mean statistics (:class:`~lotwise_training.models.scattering.Scattering`) are a
smooth function of the attributes. Fitted once, before an editor is trained, it says by how much an
edit has to move each of them. The tile's own deviation from its lot stays: an edit that changes
nothing is asked for nothing.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lotwise_training.data.transforms import random_crops
from lotwise_training.models.resample import zoomed
from lotwise_training.models.scattering import Scattering

Floats = npt.NDArray[np.float64]

CROPS: Final = 3000
"""Crops, from all lots, over which the statistics are fitted."""
BATCH: Final = 32
ZOOM: Final = 0.35
"""Logarithm of the magnification at which the growth of lengths is measured."""
LEAST_GROWN: Final = 0.25
"""Of a zoom; lengths that follow less are those of noise."""
FLOOR: Final = 0.1
"""Of an expected change, squared, in units of the spread within a lot."""
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
        batches = torch.split(drawn, BATCH)
        with torch.no_grad():
            statistics = torch.cat(
                [self.scattering(random_crops(tiles[rows], crop_px, rng)) for rows in batches]
            )
        scale, weights = fit_statistics(
            statistics.double().cpu().numpy(), attributes[drawn].double().cpu().numpy()
        )
        self._scale = torch.from_numpy(scale).float().to(device)
        self._weights = torch.from_numpy(weights).float().to(device)
        self._tiles, self._attributes, self._drawn = tiles, attributes, drawn

    @cached_property
    def log_zoom(self) -> Tensor:
        """The zooms that go with the attributes, float32 [n]; see `measured_zoom`."""
        return measured_zoom(self._tiles[self._drawn], self._attributes[self._drawn])

    def change(self, current: Tensor, target: Tensor) -> Tensor:
        """Expected change of every statistic, in units of its spread within a lot.

        Args:
            current: float32 [B, n].
            target: float32 [B, n].

        Returns:
            float32 [B, S].
        """
        return (_terms(target) - _terms(current)) @ self._weights

    def loss(self, image: Tensor, edited: Tensor, current: Tensor, target: Tensor) -> Tensor:
        """How much of the expected change is missing from an edit.

        Args:
            image: float [B, 1, H, W], grey values.
            edited: float32 [B, 1, H, W], the same tiles edited.
            current: float32 [B, n].
            target: float32 [B, n].

        Returns:
            float [], mean over tiles of |change missing|^2 / (|change expected|^2 + FLOOR), lengths
            by the root mean square over statistics. About 0 to 1: an edit of the size moves
            statistics so much further than any other that it would else be all that counts.
        """
        expected = self.change(current, target)
        with torch.no_grad():
            before = self.scattering(image)
        missing = (self.scattering(edited) - before) / self._scale - expected
        losses: Tensor = missing.square().mean(dim=1) / (expected.square().mean(dim=1) + FLOOR)
        return losses.mean()


def measured_zoom(tiles: Tensor, attributes: Tensor) -> Tensor:
    """The zooms that change the length of what tiles show as the attributes do.

    Larger crystals are, first of all, the same picture nearer by. Noise and holes do not grow with
    them, so a tile that is zoomed grows by less than its zoom; by how much less is measured.

    Args:
        tiles: uint8 [N, H, W].
        attributes: float32 [N, n] in 0..1, of each tile's lot.

    Returns:
        float32 [n], logarithm of the magnification per unit of each attribute.
    """
    device = tiles.device

    def lengths(log_zoom: float) -> Tensor:
        zooms = torch.full((BATCH,), log_zoom, device=device)
        found = []
        for batch in torch.split(tiles, BATCH):
            image = batch[:, None].float()
            found.append(log_length(zoomed(image, zooms[: len(image)]) if log_zoom else image))
        # On the CPU: the least squares of a GPU know no dependent columns.
        return torch.cat(found).double().cpu()

    known = torch.cat([torch.ones(len(tiles), 1), attributes.cpu()], dim=1).double()
    solved = torch.linalg.lstsq(known, lengths(0.0).unsqueeze(1), driver="gelsd").solution
    grown = (lengths(ZOOM) - lengths(-ZOOM)).mean() / (2.0 * ZOOM)
    measured: Tensor = solved[1:, 0] / grown.clamp(min=LEAST_GROWN)
    return measured.float().to(device)


def log_length(image: Tensor) -> Tensor:
    """Logarithm of the length in pixels of what tiles show, float32 [B].

    The mean of 1 / k over the power spectrum, k in cycles per pixel. A tile zoomed by a factor has
    a length that is larger by that factor, but for its noise.

    Args:
        image: float32 [B, 1, H, W].
    """
    centred = image[:, 0] - image[:, 0].mean(dim=(1, 2), keepdim=True)
    power = torch.fft.rfft2(centred).abs().square()
    rows = torch.fft.fftfreq(image.shape[2], device=image.device)[:, None]
    columns = torch.fft.rfftfreq(image.shape[3], device=image.device)[None]
    # The constant has no length, and no power either.
    wave_number = torch.hypot(rows, columns).clamp(min=1e-6)
    mean = (power / wave_number).sum(dim=(1, 2)) / power.sum(dim=(1, 2)).clamp(min=1e-6)
    length: Tensor = mean.clamp(min=1.0).log()  # a blank tile has none
    return length


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
