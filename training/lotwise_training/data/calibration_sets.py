"""Fresh tiles of the benchmark's reference lots: to calibrate on, and to judge calibration by.

Both come from regions of the lots that no other set shows and nothing was trained on, so that they
are what a laboratory would scan next. They are no part of the benchmark, whose sets only measure.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lotwise_simulator.benchmark import TILES_PER_SIDE, reference_lots
from lotwise_training.data.benchmark import PX
from lotwise_training.data.render_cache import RenderOrder, rendered
from lotwise_training.data.tiles import Images, Numbers

CALIBRATION: Final = "calibration"
FRESH: Final = "fresh"
FIRST_REGION: Final = {CALIBRATION: 10_000, FRESH: 20_000}
"""Of each set, a region for every scene; benchmark, demo, tests and benchmarks of speed stay
below."""
SCENE: Final = TILES_PER_SIDE**2
"""Tiles of a scene, as in the benchmark."""


@dataclass(frozen=True, eq=False)
class FreshTiles:
    """Tiles of the reference lots.

    Attributes:
        images: uint8 [N, 64, 64].
        lots: int64 [N], number of the lot in the benchmark.
    """

    images: Images
    lots: Numbers

    def __len__(self) -> int:
        return len(self.images)


def fresh_tiles(name: str, tiles: int, cache: Path) -> FreshTiles:
    """Tiles of every reference lot, from disk where they were rendered before.

    Args:
        name: CALIBRATION or FRESH.
        tiles: Of each lot.
        cache: Folder of rendered data.
    """
    orders = scene_orders(name, tiles)
    images, _ = rendered(name, {name: orders}, cache)
    return FreshTiles(images[name], np.repeat(np.arange(len(reference_lots())), tiles))


def scene_orders(name: str, tiles: int) -> list[RenderOrder]:
    """What is rendered: every scene of every lot, lot by lot."""
    return [
        RenderOrder(
            lot=lot,
            region=FIRST_REGION[name] + scene,
            n_tiles=min(SCENE, tiles - scene * SCENE),
            px=PX,
            tiles_per_side=TILES_PER_SIDE,
        )
        for lot in reference_lots()
        for scene in range(-(-tiles // SCENE))
    ]
