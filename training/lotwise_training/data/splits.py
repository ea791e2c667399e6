"""Which tiles a model learns from, and which ones measure and calibrate it.

==================  ============================================================================
``tile-random``     80 / 10 / 10 of each lot's tiles at random, as published (Zhang et al. 2020).
                    Neighbours that overlap stand on both sides, so it flatters.
``region-blocked``  80 / 10 / 10 of each lot's regions: test tiles show places of the known lots
                    that no model has seen.
``lot-held-out``    whole recipes are kept away, a lot together with its repeats; the other lots are
                    split by region. Asks what a model says of a lot that it does not know.
==================  ============================================================================

Every split takes the lots and the seed of its draw; a lot that is too small for it raises.
Lots of a folder are always split by region, see `folder_split.py`; a fourth part only calibrates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from lotwise_training.config.schema import SPLITS as NAMES
from lotwise_training.config.schema import SplitName
from lotwise_training.data.folder_split import FolderSplit, split_lots
from lotwise_training.data.tiles import DatasetError, Numbers, TileDataset

TEST_SHARE: Final = 0.1
"""Of tiles or regions; validation takes as many."""
UNSEEN_SHARE: Final = 0.2
"""Of recipes, held out."""
LEAST_LEARNED: Final = 2
"""Recipes that a network learns from, at least, where others are held out."""


UNKNOWN: Final = -1
"""Label of a tile whose lot a network does not know."""


@dataclass(frozen=True, eq=False)
class Split:
    """Numbers of tiles, int64 and rising; no tile is in two of them.

    Attributes:
        train: To learn from.
        validation: To stop and to choose weights by.
        test: To measure on.
        unseen: Tiles of lots that are in none of the others; empty but for ``lot-held-out``.
        calibration: Only to calibrate on; empty for simulated lots, of which fresh tiles
            calibrate, and where a lot is too small.
        remarks: What the lots made necessary, in sentences.
    """

    train: Numbers
    validation: Numbers
    test: Numbers
    unseen: Numbers
    calibration: Numbers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    remarks: tuple[str, ...] = ()


def tile_random(data: TileDataset, seed: int) -> Split:
    """80 / 10 / 10 of the tiles of each lot.

    Raises:
        DatasetError: TILES_TOO_FEW: a lot has fewer than three tiles.
    """
    everything = np.arange(len(data))
    return _split(data, everything, everything, seed, "TILES_TOO_FEW", "tiles")


def region_blocked(data: TileDataset, seed: int) -> Split:
    """80 / 10 / 10 of the regions of each lot.

    Raises:
        DatasetError: REGIONS_TOO_FEW: a lot has fewer than three regions.
    """
    everything = np.arange(len(data))
    return _split(data, everything, data.regions, seed, "REGIONS_TOO_FEW", "regions")


def lot_held_out(data: TileDataset, seed: int) -> Split:
    """Keep `UNSEEN_SHARE` of the recipes away, one at least, and split other lots by region.

    Raises:
        DatasetError: RECIPES_TOO_FEW: fewer than two recipes would be left. REGIONS_TOO_FEW.
    """
    recipes = _drawn_recipes(data, seed)
    return _without(data, recipes[: max(1, round(UNSEEN_SHARE * len(recipes)))], seed)


def recipe_folds(data: TileDataset, seed: int, folds: int) -> tuple[Split, ...]:
    """Splits of which each keeps other recipes away, and together they keep every recipe once.

    Raises:
        DatasetError: RECIPES_TOO_FEW: a fold would hold none, or leave fewer than two.
            REGIONS_TOO_FEW.
    """
    recipes = _drawn_recipes(data, seed)
    if len(recipes) < folds:
        raise DatasetError(
            "RECIPES_TOO_FEW",
            f"{len(recipes)} recipes cannot be held out in {folds} folds. Add lots, or ask for "
            "fewer folds.",
        )
    return tuple(_without(data, recipes[fold::folds], seed) for fold in range(folds))


def _drawn_recipes(data: TileDataset, seed: int) -> list[str]:
    recipes = sorted(set(data.table.recipes))
    return [recipes[n] for n in np.random.default_rng([seed, 3]).permutation(len(recipes))]


def _without(data: TileDataset, held: Sequence[str], seed: int) -> Split:
    """Tiles of the held recipes unseen, the others split by region."""
    left = len(set(data.table.recipes)) - len(held)
    if left < LEAST_LEARNED:
        raise DatasetError(
            "RECIPES_TOO_FEW",
            f"Of {left + len(held)} recipes {len(held)} would be held out; at least two have to "
            "be left. Add lots, or hold out fewer.",
        )
    is_held = np.array([recipe in held for recipe in data.table.recipes])[data.lots]
    known = np.flatnonzero(~is_held)
    split = _split(data, known, data.regions[known], seed, "REGIONS_TOO_FEW", "regions")
    return replace(split, unseen=np.flatnonzero(is_held))


SPLITS: Final[Mapping[str, Callable[[TileDataset, int], Split]]] = MappingProxyType(
    dict(zip(NAMES, (tile_random, region_blocked, lot_held_out), strict=True))
)


def served_split(data: TileDataset, name: SplitName) -> SplitName:
    """Name of the split that a recipe's split is for these lots: of a folder, none by tile."""
    return "region-blocked" if data.positions is not None and name == "tile-random" else name


def classes(split: Split, data: TileDataset) -> Numbers:
    """The lots that a split teaches: int64 [K], rising."""
    return np.unique(data.lots[split.train])


def labels(lots: Numbers, known: Numbers) -> Numbers:
    """Which output of a network each tile's lot is.

    Args:
        lots: int64 [N], lot of each tile.
        known: int64 [K], rising: output k is lot `known[k]`.

    Returns:
        int64 [N], 0 to K - 1, or `UNKNOWN` for a lot that no output stands for.
    """
    places = np.searchsorted(known, lots).clip(max=len(known) - 1)
    return np.where(known[places] == lots, places, UNKNOWN)


def _split(
    data: TileDataset, tiles: Numbers, groups: Numbers, seed: int, reason: str, what: str
) -> Split:
    """Split tiles lot by lot so that no group stands on two sides.

    `groups`, int64 [n], is the group of each tile; `reason` and `what`, the name of the groups, are
    of the error where a lot has fewer than three.
    """
    nobody = np.empty(0, dtype=np.int64)
    if data.positions is not None:
        found: FolderSplit = split_lots(data, tiles, seed)
        return Split(found.train, found.validation, found.test, nobody, *found[3:])
    parts: tuple[list[Numbers], ...] = ([], [], [])
    for lot in np.unique(data.lots[tiles]):
        of_lot = data.lots[tiles] == lot
        drawn = np.random.default_rng([seed, lot]).permutation(np.unique(groups[of_lot]))
        if len(drawn) < len(parts):
            raise DatasetError(
                reason,
                f"Lot {data.table.lot_ids[lot]} has {len(drawn)} {what}; a split needs three. Add "
                "images, leave the lot out, or choose another split.",
            )
        n_test = max(1, round(TEST_SHARE * len(drawn)))
        cuts = (drawn[2 * n_test :], drawn[n_test : 2 * n_test], drawn[:n_test])
        for part, cut in zip(parts, cuts, strict=True):
            part.append(tiles[of_lot & np.isin(groups, cut)])
    train, validation, test = (np.sort(np.concatenate(part)) for part in parts)
    return Split(train, validation, test, nobody)
