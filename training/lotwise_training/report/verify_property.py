"""Asks served regressors about tiles whose predictions are stored, and compares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from lotwise.core.errors import Contradiction
from lotwise.core.intervals import IntervalCalibration
from lotwise_simulator import benchmark
from lotwise_training.calibration.conformal import FOLDS, INTERVALS_FILE
from lotwise_training.data.property_lots import STRENGTH_GEOMETRY
from lotwise_training.data.render_cache import RenderOrder, render
from lotwise_training.data.tiles import Images
from lotwise_training.evaluation.conformal import NewLots
from lotwise_training.evaluation.property_predictions import NETWORK, PropertySet
from lotwise_training.report.served_models import RecheckFailed, ServedModels

CHECKED_LOTS: Final = 12
"""A lot's scene is drawn whole, two seconds each."""
MOST_DIFFERENCE: Final = 1e-3
"""Of the range of the stored predictions: the engine sums in another order than torch."""
MOST_RESIDUAL: Final = 1e-3
"""Relative to the largest: stored predictions may come from another device."""
BATCH: Final = 8

Render = Callable[[RenderOrder], Images]


def check_predictions(
    models: ServedModels, stored: PropertySet | NewLots, *, seed: int, draw: Render = render
) -> tuple[int, float]:
    """Render tiles of some of the benchmark's new lots again and compare the served networks.

    Returns:
        How many tiles; the largest difference, in the property's unit.

    Raises:
        RecheckFailed: A prediction differs.
        LotwiseError: The model cannot be loaded.
    """
    model, what = FOLDS, "fold networks differ"
    if isinstance(stored, PropertySet):
        model, what = "regressor", "regressor differs"
        kept = stored.predicted[NETWORK].astype(np.float64)[:, None]
    else:
        kept = stored.predicted.astype(np.float64)
    lots = {lot.lot_id: lot for lot in benchmark.new_lots()}
    allowed = MOST_DIFFERENCE * float(np.ptp(kept))
    tiles, worst = 0, 0.0
    side, px = benchmark.TILES_PER_SIDE, STRENGTH_GEOMETRY.px
    chosen = np.random.default_rng(seed).permutation(np.unique(stored.lots))[:CHECKED_LOTS]
    for number in chosen:
        rows, lot_id = np.flatnonzero(stored.lots == number), stored.lot_ids[number]
        images = draw(RenderOrder(lots[lot_id], 0, len(rows), px, tiles_per_side=side))
        found = [
            models.ask(model, {"image": images[start : start + BATCH, None]})["property"]
            for start in range(0, len(images), BATCH)
        ]
        predicted = np.concatenate(found).reshape(len(rows), -1)
        difference = np.abs(predicted - kept[rows]).max(axis=1)
        if not difference.max() <= allowed:
            raise RecheckFailed(
                f"lot {lot_id}, tile {int(difference.argmax())}: the served {what} from the stored "
                f"prediction by {difference.max():.1f}, more than {allowed:.1f}. Run "
                "`lotwise-train evaluate` and `lotwise-train export`."
            )
        tiles, worst = tiles + len(rows), max(worst, float(difference.max()))
    return tiles, worst


def check_calibration(models: Path, stored: IntervalCalibration) -> None:
    """Compare the calibration of a repository with the one that follows from stored predictions.

    Raises:
        RecheckFailed: It is missing, of other networks, or has other lots or residuals.
    """
    try:
        served = IntervalCalibration.read(models / FOLDS / INTERVALS_FILE)
    except Contradiction as error:
        raise RecheckFailed(error.message) from None
    for what, mine, theirs in (
        ("weights", served.weights_sha256, stored.weights_sha256),
        ("lots", _lots(served), _lots(stored)),
        ("coverage", served.coverage, stored.coverage),
        ("scale", served.logarithmic, stored.logarithmic),
    ):
        if mine != theirs:
            raise RecheckFailed(
                f"the served calibration {served.calibration_version} has other {what} than the "
                "stored predictions. Run `lotwise-train evaluate` and `lotwise-train export`."
            )
    kept, found = _residuals(stored), _residuals(served)
    worst = float(np.abs(found - kept).max())
    if not worst <= MOST_RESIDUAL * max(1.0, float(kept.max())):
        raise RecheckFailed(
            f"the served calibration {served.calibration_version} differs from the stored "
            f"predictions by {worst:.4g}. Run `lotwise-train evaluate` and `lotwise-train export`."
        )


def _lots(calibration: IntervalCalibration) -> list[tuple[str, str, int, int]]:
    return [(lot.lot_id, lot.recipe, lot.fold, len(lot.tile_residuals)) for lot in calibration.lots]


def _residuals(calibration: IntervalCalibration) -> np.ndarray:
    return np.array([(*lot.tile_residuals, lot.lot_residual) for lot in calibration.lots])
