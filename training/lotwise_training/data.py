"""Tiles of lots with strength tests, rendered once and kept on disk.

A lot is a few scenes of crystals, and a scene is cut into tiles that overlap. Training and test
tiles therefore come from different regions of a lot, never from one mosaic: neighbours on both
sides of a split would let a model pass by remembering. For a property there is a second, harder
question, how well a *lot* is predicted that was never seen; some tested lots are held out as a
whole for it.

Tiles are cut to a model's scale with the function that serving uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise_simulator.lots import Lot
from lotwise_simulator.reference import reference_lots, tested_lots
from lotwise_training.config import StrengthDataRecipe
from lotwise_training.rendering import Images, TileOrder, rendered

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

STRENGTH_PX: Final = 256

# Region 0, the simulator's default, is left to demonstrations: nothing was trained on it.
TRAIN_REGION: Final = 101
TEST_REGION: Final = 103


@dataclass(frozen=True)
class StrengthTiles:
    """Tiles for the regressor and the editor.

    Attributes:
        images: uint8 [N, 256, 256], 1 um/px.
        strength_psi: float32 [N], mean of the lot's two strength tests: every tile of a lot
            carries the lot's value (Liu et al. 2020, section 3).
        attributes: float32 [N, 4], of the lot, in the simulator's order.
        lots: int64 [N], index into `StrengthData.lot_ids`.
    """

    images: Images
    strength_psi: Floats
    attributes: Floats
    lots: Labels


@dataclass(frozen=True)
class StrengthData:
    """All lots with strength tests.

    Attributes:
        lot_ids: Names of the lots.
        train: Lots that are not held out.
        test: The same lots, other regions.
        held_out: Lots that appear nowhere else.
        fingerprint: Hash of everything that defines the tiles.
    """

    lot_ids: tuple[str, ...]
    train: StrengthTiles
    test: StrengthTiles
    held_out: StrengthTiles
    fingerprint: str


def strength_data(
    recipe: StrengthDataRecipe, cache: Path, *, lots: Sequence[Lot] | None = None
) -> StrengthData:
    """Tiles of all lots with strength tests.

    Args:
        recipe: How many tiles a lot, and how many lots are held out.
        cache: Folder of rendered data, `.lotwise/data`.
        lots: The lots; None takes the simulator's reference and tested lots. Reference lots are
            never held out, because the committee knows them.

    Raises:
        ValueError: Fewer lots than are to be held out.
    """
    kept = tuple(reference_lots()) if lots is None else ()
    candidates = tuple(tested_lots() if lots is None else lots)
    if recipe.held_out_lots >= len(candidates):
        raise ValueError(f"{recipe.held_out_lots} of {len(candidates)} lots cannot be held out")
    rng = np.random.default_rng(recipe.seed)
    held = set(rng.permutation(len(candidates))[: recipe.held_out_lots].tolist())
    known = (*kept, *(lot for i, lot in enumerate(candidates) if i not in held))
    unseen = tuple(lot for i, lot in enumerate(candidates) if i in held)
    splits = {
        "train": (known, TRAIN_REGION, recipe.train_tiles),
        "test": (known, TEST_REGION, recipe.test_tiles),
        "held_out": (unseen, TEST_REGION, recipe.held_out_tiles),
    }
    orders = {
        name: [TileOrder(lot, region, n_tiles, STRENGTH_PX) for lot in members]
        for name, (members, region, n_tiles) in splits.items()
    }
    images, fingerprint = rendered("strength", orders, cache)
    every = (*known, *unseen)
    tiles = {
        name: _strength_tiles(images[name], members, n_tiles, first=every.index(members[0]))
        for name, (members, _, n_tiles) in splits.items()
    }
    return StrengthData(
        lot_ids=tuple(lot.lot_id for lot in every), fingerprint=fingerprint, **tiles
    )


def _strength_tiles(
    images: Images, lots: Sequence[Lot], n_tiles: int, *, first: int
) -> StrengthTiles:
    strengths = np.array([lot.strength_tests().mean() for lot in lots], dtype=np.float32)
    attributes = np.stack([lot.attributes.as_array() for lot in lots])
    return StrengthTiles(
        images,
        np.repeat(strengths, n_tiles),
        np.repeat(attributes, n_tiles, axis=0),
        np.repeat(first + np.arange(len(lots)), n_tiles),
    )
