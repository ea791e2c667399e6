"""Compares the served calibration of intervals with the stored one, and asks its networks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from lotwise.core.errors import Contradiction
from lotwise.core.intervals import IntervalCalibration
from lotwise_training.calibration.conformal import FOLDS, INTERVALS_FILE
from lotwise_training.data.render_cache import render
from lotwise_training.evaluation.interval_predictions import NewLots
from lotwise_training.report.served_models import RecheckFailed, ServedModels
from lotwise_training.report.verify_property import Render, compare_anew

MOST_RESIDUAL: Final = 1e-3
"""Relative to the largest: networks may have been asked on another device."""


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


def check_folds(
    models: ServedModels, stored: NewLots, *, seed: int, draw: Render = render
) -> tuple[int, float]:
    """Render tiles of some new lots again and compare the predictions of the fold networks.

    Args:
        models: Of the repository.
        stored: What is stored of the benchmark's new lots.
        seed: Of the choice.
        draw: Renders the tiles of a lot.

    Returns:
        How many tiles; the largest difference, in the property's unit.

    Raises:
        RecheckFailed: A prediction differs.
        LotwiseError: The networks cannot be asked.
    """
    return compare_anew(
        lambda images: models.ask(FOLDS, {"image": images})["property"][:, :, 0],
        stored.lots,
        stored.lot_ids,
        stored.predicted.astype(np.float64),
        "fold networks differ",
        seed=seed,
        draw=draw,
    )


def _lots(calibration: IntervalCalibration) -> list[tuple[str, str, int, int]]:
    return [(lot.lot_id, lot.recipe, lot.fold, len(lot.tile_residuals)) for lot in calibration.lots]


def _residuals(calibration: IntervalCalibration) -> np.ndarray:
    return np.array([(*lot.tile_residuals, lot.lot_residual) for lot in calibration.lots])
