"""What predicts a property without a deep network: the mean, and random forests.

Liu et al. 2020 compare with a random forest on experts' scores; a forest on texture features is
what a laboratory would try next. All learn from the same tiles as the network beside them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern
from sklearn.ensemble import RandomForestRegressor

from lotwise_training.data.processes import parallel_map
from lotwise_training.data.tiles import Floats, Images, Numbers, TileDataset

TREES: Final = 300
SEED: Final = 0
LEVELS: Final = 32
"""Grey levels of a co-occurrence matrix: 256 would leave most of its cells empty."""
DISTANCES_PX: Final = (1, 2, 4, 8, 16)
ANGLES: Final = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
PROPERTIES: Final = ("contrast", "dissimilarity", "homogeneity", "ASM", "correlation", "entropy")
PATTERNS: Final = ((8, 1.0), (16, 2.0), (24, 4.0))
"""(points, radius in px) of local binary patterns."""
CHUNK: Final = 64


def mean_predictor(data: TileDataset, train: Numbers, test: Numbers) -> Floats:
    """The mean of the lots that were learned from, float64 [len(test)]."""
    known = np.unique(data.lots[train])
    return np.full(len(test), float(data.table.values[known].mean()))


def forest_on_scores(
    data: TileDataset, train: Numbers, test: Numbers, other: TileDataset | None = None
) -> Floats:
    """A random forest from experts' scores of a lot to its property.

    A lot is one example: all its tiles have its scores. Tiles of a lot share one prediction.

    Args:
        data: Lots with scores.
        train: Tiles whose lots are learned from.
        test: Tiles to predict.
        other: Lots of the `test` tiles; None for `data`.

    Returns:
        float64 [len(test)], in the property's unit.
    """
    target = data if other is None else other
    known = np.unique(data.lots[train])
    forest = _forest().fit(data.table.attributes[known], data.table.values[known])
    by_lot: Floats = np.asarray(forest.predict(target.table.attributes), dtype=np.float64)
    return by_lot[target.lots[test]]


def forest_on_texture(
    features: npt.NDArray[np.float32],
    values: Floats,
    test: npt.NDArray[np.float32],
) -> Floats:
    """A random forest from a tile's texture to the property of its lot.

    Args:
        features: float32 [n, F], of the tiles that are learned from.
        values: float64 [n], the property of each tile's lot.
        test: float32 [m, F].

    Returns:
        float64 [m], in the property's unit.
    """
    # A third of the features a split, Breiman's choice for regression: trees then differ.
    forest = _forest(max_features=1 / 3, min_samples_leaf=3).fit(features, values)
    return np.asarray(forest.predict(test), dtype=np.float64)


def texture_features(images: Images, *, title: str | None = None) -> npt.NDArray[np.float32]:
    """Texture of tiles: Haralick's statistics and local binary patterns.

    Haralick, Shanmugam & Dinstein 1973 (co-occurrence at five distances, mean and range over four
    directions); Ojala, Pietikainen & Maenpaa 2002 (rotation-invariant uniform patterns at three
    radii). Mean and spread of the grey levels are left out, as they are normalised away for the
    network: they would tell the instrument.

    Args:
        images: uint8 [N, H, W].
        title: Of a progress bar; None shows none.

    Returns:
        float32 [N, 114].
    """
    chunks = [images[at : at + CHUNK] for at in range(0, len(images), CHUNK)]
    return np.concatenate(parallel_map(_features_of, chunks, title=title))


def _features_of(images: Images) -> npt.NDArray[np.float32]:
    return np.stack([_features(image) for image in images])


def _features(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    grey = image.astype(np.float64)
    # Three deviations either side of the mean on all levels: gain and offset drop out.
    scaled = (grey - grey.mean()) / max(float(grey.std()), 1.0)
    levels = np.clip((scaled + 3.0) / 6.0 * LEVELS, 0, LEVELS - 1).astype(np.uint8)
    together = graycomatrix(
        levels, DISTANCES_PX, ANGLES, levels=LEVELS, symmetric=True, normed=True
    )
    statistics = [graycoprops(together, name) for name in PROPERTIES]
    haralick = np.concatenate(
        [np.concatenate([each.mean(axis=1), np.ptp(each, axis=1)]) for each in statistics]
    )
    patterns = []
    for points, radius in PATTERNS:
        pattern = local_binary_pattern(levels, points, radius, method="uniform")
        counts = np.bincount(pattern.astype(np.int64).ravel(), minlength=points + 2)
        patterns.append(counts / pattern.size)
    return np.concatenate([haralick, *patterns]).astype(np.float32)


def _forest(max_features: float = 1.0, min_samples_leaf: int = 1) -> RandomForestRegressor:
    return RandomForestRegressor(
        TREES,
        max_features=max_features,
        min_samples_leaf=min_samples_leaf,
        random_state=SEED,
        n_jobs=-1,
    )
