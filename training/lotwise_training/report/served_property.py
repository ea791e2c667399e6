"""Asks the served regressor again about some tiles whose predictions are stored."""

from __future__ import annotations

from typing import Final

import numpy as np

from lotwise_simulator import benchmark
from lotwise_training.property_outputs import NETWORK, PropertySet
from lotwise_training.rendering import TileOrder, render
from lotwise_training.report.served import RecheckFailed, ServedModels
from lotwise_training.strength_tiles import STRENGTH_GEOMETRY

CHECKED_LOTS: Final = 12
"""A lot's scene is drawn whole, two seconds each."""
MOST_DIFFERENCE: Final = 1e-3
"""Of the range of the stored predictions: the engine sums in another order than torch."""
BATCH: Final = 8


def check_property(models: ServedModels, stored: PropertySet, *, seed: int) -> tuple[int, float]:
    """Make tiles of some new lots anew and compare.

    Args:
        models: Of the repository.
        stored: What is stored of the benchmark's new lots.
        seed: Of the choice.

    Returns:
        How many tiles; the largest difference, in the property's unit.

    Raises:
        RecheckFailed: A prediction differs.
        LotwiseError: The regressor cannot be asked.
    """
    lots = {lot.lot_id: lot for lot in benchmark.new_lots()}
    numbers = np.random.default_rng(seed).permutation(np.unique(stored.lots))[:CHECKED_LOTS]
    kept = stored.predicted[NETWORK].astype(np.float64)
    allowed = MOST_DIFFERENCE * float(np.ptp(kept))
    tiles, worst = 0, 0.0
    for number in numbers:
        rows = np.flatnonzero(stored.lots == number)
        order = TileOrder(
            lots[stored.lot_ids[number]],
            0,
            len(rows),
            STRENGTH_GEOMETRY.px,
            tiles_per_side=benchmark.TILES_PER_SIDE,
        )
        images = render(order)[:, None]
        batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        answers = [models.ask("regressor", {"image": batch})["property"] for batch in batches]
        difference = np.abs(np.concatenate(answers)[:, 0] - kept[rows])
        if not difference.max() <= allowed:
            raise RecheckFailed(
                f"lot {stored.lot_ids[number]}, tile {int(difference.argmax())}: the served "
                f"regressor differs from the stored prediction by {difference.max():.1f}, more "
                f"than {allowed:.1f}. Run `lotwise-train evaluate` and `lotwise-train export`."
            )
        tiles, worst = tiles + len(rows), max(worst, float(difference.max()))
    return tiles, worst
