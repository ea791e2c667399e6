"""Simulated lots spread evenly over all attributes, with the true attributes, for the meter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from lotwise_simulator.lots import Lot
from lotwise_training.config.schema import MeterRecipe
from lotwise_training.data.property_lots import STRENGTH_GEOMETRY, even_lots, ordered_tiles
from lotwise_training.data.render_cache import RenderOrder
from lotwise_training.data.tiles import TileDataset

TILES_PER_SIDE: Final = 2
"""Small scenes: many lots matter more than many tiles of each."""
FIRST_SEED: Final = 700_000
"""Of the meter's lots; no other simulated lot has a seed near."""
SOBOL_SEED: Final = 83


def meter_tiles(recipe: MeterRecipe, cache: Path) -> TileDataset:
    """Tiles of lots spread evenly over all attributes, each with its true attributes.

    Args:
        recipe: How many lots and tiles.
        cache: Folder of rendered data.
    """
    lots = meter_lots(recipe)
    orders = [
        RenderOrder(lot, 0, recipe.tiles, STRENGTH_GEOMETRY.px, tiles_per_side=TILES_PER_SIDE)
        for lot in lots
    ]
    tiles = ordered_tiles("meter", orders, cache)
    true = np.stack([lot.attributes.as_array() for lot in lots]).astype(np.float64)
    return replace(tiles, table=replace(tiles.table, attributes=true))


def meter_lots(recipe: MeterRecipe) -> list[Lot]:
    """The lots; those of fewer are the first of more."""
    return even_lots(
        "M", range(recipe.lots), (0.0, 1.0), sequence=SOBOL_SEED, first_seed=FIRST_SEED
    )
