"""Asks the served regressor again about tiles whose predictions are stored, and compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise_simulator import benchmark
from lotwise_training.data.property_lots import STRENGTH_GEOMETRY
from lotwise_training.data.render_cache import RenderOrder, render
from lotwise_training.data.tiles import Images
from lotwise_training.evaluation.property_predictions import NETWORK, PropertySet
from lotwise_training.report.served_models import RecheckFailed, ServedModels

CHECKED_LOTS: Final = 12
"""A lot's scene is drawn whole, two seconds each."""
MOST_DIFFERENCE: Final = 1e-3
"""Of the range of the stored predictions: the engine sums in another order than torch."""
BATCH: Final = 8

Render = Callable[[RenderOrder], Images]


def check_property(
    models: ServedModels, stored: PropertySet, *, seed: int, draw: Render = render
) -> tuple[int, float]:
    """Render tiles of some new lots again and compare.

    Args:
        models: Of the repository.
        stored: What is stored of the benchmark's new lots.
        seed: Of the choice.
        draw: Renders the tiles of a lot.

    Returns:
        How many tiles; the largest difference, in the property's unit.

    Raises:
        RecheckFailed: A prediction differs.
        LotwiseError: The regressor cannot be asked.
    """
    return compare_anew(
        lambda images: models.ask("regressor", {"image": images})["property"],
        stored.lots,
        stored.lot_ids,
        stored.predicted[NETWORK].astype(np.float64)[:, None],
        "regressor differs",
        seed=seed,
        draw=draw,
    )


def compare_anew(
    ask: Callable[[Images], npt.NDArray[np.float32]],
    numbers: npt.NDArray[np.int16],
    lot_ids: Sequence[str],
    kept: npt.NDArray[np.float64],
    what: str,
    *,
    seed: int,
    draw: Render = render,
) -> tuple[int, float]:
    """Render the tiles of some of the benchmark's new lots again and compare predictions.

    Args:
        ask: Predictions [n, K] of uint8 [n, 1, H, W].
        numbers: int16 [N], lot of every stored tile, in the order of the lot's tiles.
        lot_ids: Names of the lots.
        kept: float64 [N, K], stored predictions.
        what: Who differs, for the message.
        seed: Of the choice of lots.
        draw: Renders the tiles of a lot.

    Returns:
        How many tiles; the largest difference.

    Raises:
        RecheckFailed: A prediction differs.
    """
    lots = {lot.lot_id: lot for lot in benchmark.new_lots()}
    allowed = MOST_DIFFERENCE * float(np.ptp(kept))
    tiles, worst = 0, 0.0
    for number in np.random.default_rng(seed).permutation(np.unique(numbers))[:CHECKED_LOTS]:
        rows = np.flatnonzero(numbers == number)
        order = RenderOrder(
            lots[lot_ids[number]],
            0,
            len(rows),
            STRENGTH_GEOMETRY.px,
            tiles_per_side=benchmark.TILES_PER_SIDE,
        )
        images = draw(order)[:, None]
        batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        predictions = np.concatenate([ask(batch) for batch in batches])
        difference = np.abs(predictions - kept[rows]).max(axis=1)
        if not difference.max() <= allowed:
            raise RecheckFailed(
                f"lot {lot_ids[number]}, tile {int(difference.argmax())}: the served {what} from "
                f"the stored prediction by {difference.max():.1f}, more than {allowed:.1f}. Run "
                "`lotwise-train evaluate` and `lotwise-train export`."
            )
        tiles, worst = tiles + len(rows), max(worst, float(difference.max()))
    return tiles, worst
