"""Tiles of simulated lots with strength tests, and of those that the meter learns.

The reference lots of benchmark v1 by their first tiles, which are those of the frozen set at the
regressor's scale; beside them further lots, because what a network says of a lot that it never saw
depends on how many lots it did see. The meter's lots are its own, spread evenly over all
attributes, with the true attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from scipy.stats import qmc

from lotwise.core.signature import TileGeometry
from lotwise_simulator import ATTRIBUTE_NAMES, Attributes, benchmark
from lotwise_simulator.lots import Lot
from lotwise_simulator.reference import BOX, TESTED_LOTS, tested_lots
from lotwise_training.config.schema import MeterRecipe, StrengthDataRecipe
from lotwise_training.data.benchmark import lot_table
from lotwise_training.data.render_cache import RenderOrder, rendered
from lotwise_training.data.tiles import LotTable, TileDataset, simulated_dataset

STRENGTH_GEOMETRY: Final = TileGeometry(px=256, um_per_px=1.0)
"""What regressor and editor see of a tile (Liu et al. 2020, supplement B)."""
FURTHER_REGION: Final = 101
"""Patch of the further lots; 0, the simulator's default, is left to demonstrations."""
SMALL_SCENES: Final = 2
"""Tiles per side, so that few tiles of a lot are still from several of its regions."""
MOST_FURTHER: Final = 4096
SOBOL_SEED: Final = 31
FIRST_SEED: Final = 500_000
"""Of the further lots beside the simulator's own; no other simulated lot has a seed near."""
METER_SOBOL_SEED: Final = 83
FIRST_METER_SEED: Final = 700_000
"""Of the meter's lots; no other simulated lot has a seed near."""


def strength_tiles(recipe: StrengthDataRecipe, cache: Path) -> TileDataset:
    """Tiles of all lots with strength tests, from disk where they were rendered before."""
    return ordered_tiles("strength", strength_orders(recipe), cache)


def strength_table(recipe: StrengthDataRecipe) -> LotTable:
    """What a laboratory would know of these lots; nothing is rendered."""
    return _table(strength_orders(recipe))


def strength_orders(recipe: StrengthDataRecipe) -> list[RenderOrder]:
    """Which tiles of which lots."""
    px, tiles, side = STRENGTH_GEOMETRY.px, recipe.further_tiles, SMALL_SCENES
    further = further_lots(recipe.further_lots)
    return [
        *_first_tiles(benchmark.reference_lots(), recipe.tiles),
        *(RenderOrder(lot, FURTHER_REGION, tiles, px, tiles_per_side=side) for lot in further),
    ]


def further_lots(count: int) -> tuple[Lot, ...]:
    """Lots beside the benchmark's: the simulator's tested lots, then "L0001" on.

    Raises:
        ValueError: More than MOST_FURTHER.
    """
    if count > MOST_FURTHER:
        raise ValueError(f"there are {MOST_FURTHER} further lots, not {count}")
    numbers = range(1, 1 + max(0, count - TESTED_LOTS))
    others = even_lots("L", numbers, BOX, sequence=SOBOL_SEED, first_seed=FIRST_SEED)
    return (*tested_lots(), *others)[:count]


def meter_tiles(recipe: MeterRecipe, cache: Path) -> TileDataset:
    """Tiles of the meter's lots, each with its true attributes."""
    lots, px, tiles = meter_lots(recipe), STRENGTH_GEOMETRY.px, recipe.tiles
    orders = [RenderOrder(lot, 0, tiles, px, tiles_per_side=SMALL_SCENES) for lot in lots]
    data = ordered_tiles("meter", orders, cache)
    true = np.stack([lot.attributes.as_array() for lot in lots]).astype(np.float64)
    return replace(data, table=replace(data.table, attributes=true))


def meter_lots(recipe: MeterRecipe) -> list[Lot]:
    """The lots; those of fewer are the first of more."""
    numbers, box, sequence = range(recipe.lots), (0.0, 1.0), METER_SOBOL_SEED
    return even_lots("M", numbers, box, sequence=sequence, first_seed=FIRST_METER_SEED)


def even_lots(
    letter: str, numbers: range, box: tuple[float, float], *, sequence: int, first_seed: int
) -> list[Lot]:
    """Simulated lots spread evenly over all attributes; those of fewer numbers are the first.

    Args:
        letter: Of their names, before the number.
        numbers: Of the lots.
        box: Smallest and largest value of every attribute.
        sequence: Seed of the Sobol sequence of their attributes.
        first_seed: Of lot 0's scenes; each further number has the next.
    """
    sampler = qmc.Sobol(len(ATTRIBUTE_NAMES), rng=np.random.default_rng(sequence))
    # A power of two: a prefix of such a sequence is still even.
    unit = sampler.random_base2(max(0, len(numbers) - 1).bit_length())[: len(numbers)]
    points = box[0] + (box[1] - box[0]) * unit
    return [
        Lot(f"{letter}{number:04d}", Attributes.from_array(point), seed=first_seed + number)
        for number, point in zip(numbers, points, strict=True)
    ]


def new_lot_tiles(lots: int, tiles: int, cache: Path) -> TileDataset:
    """Tiles of benchmark v1's new lots, which nothing may learn from: they only measure.

    Args:
        lots: How many of the 200.
        tiles: Of each; the first of the frozen set.
        cache: Folder of rendered data.
    """
    return ordered_tiles("strength", _first_tiles(benchmark.new_lots()[:lots], tiles), cache)


def ordered_tiles(name: str, orders: list[RenderOrder], cache: Path) -> TileDataset:
    """Tiles of orders, one a lot, with what a laboratory would know of the lots.

    Args:
        name: Of the file in the cache.
        orders: At least one; no lot twice.
        cache: Folder of rendered data.
    """
    images = rendered(name, {"tiles": orders}, cache)[0]["tiles"]
    lots = np.repeat(np.arange(len(orders)), [order.n_tiles for order in orders])
    scenes = np.concatenate([np.arange(o.n_tiles) // o.tiles_per_side**2 for o in orders])
    return simulated_dataset(images, STRENGTH_GEOMETRY.um_per_px, lots, scenes, _table(orders))


def _first_tiles(lots: Sequence[Lot], tiles: int) -> list[RenderOrder]:
    px, side = STRENGTH_GEOMETRY.px, benchmark.TILES_PER_SIDE
    return [RenderOrder(lot, 0, tiles, px, tiles_per_side=side) for lot in lots]


def _table(orders: list[RenderOrder]) -> LotTable:
    return lot_table([benchmark.LotOfTiles(order.lot, order.n_tiles) for order in orders])
