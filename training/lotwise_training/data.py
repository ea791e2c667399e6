"""The development data set: tiles of simulated lots, rendered once and kept on disk.

A lot is a few scenes of crystals, and a scene is cut into tiles that overlap. Training,
validation and test tiles therefore come from different regions of a lot, never from one mosaic:
neighbours on both sides of a split would let a model pass by remembering. For a property there is
a second, harder question, how well a *lot* is predicted that was never seen; some tested lots are
held out as a whole for it.

Tiles are cut to a model's scale with the function that serving uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise.core.preprocessing import resample_area
from lotwise_simulator.instrument import NOMINAL, after_filament_change
from lotwise_simulator.lots import Lot
from lotwise_simulator.reference import ground_lot, reference_lots, tested_lots
from lotwise_simulator.unrelated import unrelated_tiles
from lotwise_training.config import CommitteeDataRecipe, StrengthDataRecipe
from lotwise_training.rendering import Images, TileOrder, rendered

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

COMMITTEE_PX: Final = 64
STRENGTH_PX: Final = 256

# Region 0, the simulator's default, is left to demonstrations: nothing was trained on it.
TRAIN_REGION: Final = 101
VALIDATION_REGION: Final = 102
TEST_REGION: Final = 103

UNKNOWN: Final = -1
"""Label of a tile that belongs to none of the reference lots."""


@dataclass(frozen=True)
class LabelledTiles:
    """Tiles for the committee.

    Attributes:
        images: uint8 [N, 64, 64], 4 um/px.
        labels: int64 [N], number of the reference lot, or `UNKNOWN`.
    """

    images: Images
    labels: Labels


@dataclass(frozen=True)
class CommitteeData:
    """The reference lots in three sets of regions.

    Attributes:
        lot_ids: Names of the classes, in the order of the labels.
        fingerprint: Hash of everything that defines the tiles.
    """

    lot_ids: tuple[str, ...]
    train: LabelledTiles
    validation: LabelledTiles
    test: LabelledTiles
    fingerprint: str


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


def committee_data(
    recipe: CommitteeDataRecipe, cache: Path, *, lots: Sequence[Lot] | None = None
) -> CommitteeData:
    """Tiles of the reference lots for training, validation and test.

    Args:
        recipe: How many tiles a lot.
        cache: Folder of rendered data, `.lotwise/data`.
        lots: The classes; None takes the simulator's ten reference lots.
    """
    classes = tuple(reference_lots() if lots is None else lots)
    splits = {
        "train": (TRAIN_REGION, recipe.train_tiles),
        "validation": (VALIDATION_REGION, recipe.validation_tiles),
        "test": (TEST_REGION, recipe.test_tiles),
    }
    orders = {
        name: [TileOrder(lot, region, n_tiles, COMMITTEE_PX) for lot in classes]
        for name, (region, n_tiles) in splits.items()
    }
    images, fingerprint = rendered("committee", orders, cache)
    labelled = {
        name: LabelledTiles(images[name], np.repeat(np.arange(len(classes)), n_tiles))
        for name, (_, n_tiles) in splits.items()
    }
    return CommitteeData(
        lot_ids=tuple(lot.lot_id for lot in classes), fingerprint=fingerprint, **labelled
    )


def shifted_data(
    recipe: CommitteeDataRecipe, cache: Path, *, lots: Sequence[Lot] | None = None
) -> dict[str, LabelledTiles]:
    """Tiles that a committee should be uncertain of. For evaluation only: fit nothing on them.

    Returns:
        By name: "filament" (the test tiles' crystals after a filament change), "ground" (a lot
        ground after synthesis), "unrelated" (pictures of other things, cut to tiles).
    """
    classes = tuple(reference_lots() if lots is None else lots)
    filament = after_filament_change(NOMINAL)
    orders = {
        "filament": [
            TileOrder(lot, TEST_REGION, recipe.test_tiles, COMMITTEE_PX, filament)
            for lot in classes
        ],
        "ground": [TileOrder(ground_lot(), TEST_REGION, recipe.shift_tiles, COMMITTEE_PX)],
    }
    images, _ = rendered("shifted", orders, cache)
    unrelated = np.stack(
        [resample_area(tile.image, COMMITTEE_PX) for tile in unrelated_tiles(recipe.shift_tiles)]
    )
    return {
        "filament": LabelledTiles(
            images["filament"], np.repeat(np.arange(len(classes)), recipe.test_tiles)
        ),
        "ground": LabelledTiles(images["ground"], np.full(recipe.shift_tiles, UNKNOWN)),
        "unrelated": LabelledTiles(unrelated, np.full(len(unrelated), UNKNOWN)),
    }


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
