"""Measures the attributes that a tile shows, without ever having seen an editor.

An editor is trained to please a network that reads attributes. Asking that network what an edit
changed would be asking the accused. The meter is another network, of another kind, that learned
true attributes from simulated lots of its own, spread evenly over all attributes, so that it can
tell them apart where a few dozen lots would let it guess one from another. What it is worth is
checked on lots that were made twice, alike but for one attribute: `evaluation/edit_response.py`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from lotwise_training.config.schema import MeterRecipe
from lotwise_training.data.property_lots import STRENGTH_GEOMETRY, even_lots, ordered_tiles
from lotwise_training.data.render_cache import RenderOrder
from lotwise_training.data.tiles import TileDataset
from lotwise_training.training.loop import Job
from lotwise_training.training.parallel import NetworkWork
from lotwise_training.training.tasks.attributes import attribute_work

NAME: Final = "editor/meter"
SERVED: Final = "attribute_meter"
"""Its name in a model repository, and of the folder of its figures."""
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
    lots = even_lots(
        "M", range(recipe.lots), (0.0, 1.0), sequence=SOBOL_SEED, first_seed=FIRST_SEED
    )
    orders = [
        RenderOrder(lot, 0, recipe.tiles, STRENGTH_GEOMETRY.px, tiles_per_side=TILES_PER_SIDE)
        for lot in lots
    ]
    tiles = ordered_tiles("meter", orders, cache)
    true = np.stack([lot.attributes.as_array() for lot in lots]).astype(np.float64)
    return replace(tiles, table=replace(tiles.table, attributes=true))


def meter_work(data: TileDataset, recipe: MeterRecipe, max_seconds: float) -> NetworkWork[Job]:
    """The training of a meter.

    Args:
        data: `meter_tiles`.
        recipe: How to train.
        max_seconds: Of an editor's training; the meter's is a share of it.
    """
    return attribute_work(NAME, data, recipe.network, recipe.share * max_seconds)
