"""Errors of predicted properties, of tiles and of lots, computed from stored predictions alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.evaluation.bootstrap import RESAMPLES, Interval, bootstrap_means
from lotwise_training.evaluation.property_predictions import (
    BASELINES,
    LOT_HELD_OUT,
    METHODS,
    NETWORK,
    SETS,
    TILE_RANDOM,
    PropertySet,
)
from lotwise_training.metrics import mape, near_zero, rmse

MOST_MAPE_PERCENT: Final = 3.07
"""Of tiles, tile-random."""
LEAST_GAIN: Final = 0.24
"""Below the best baseline's MAPE, on lots that were held out."""

_TINY: Final = 1e-12

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PropertyFigures:
    """Errors of one method on one set.

    Attributes:
        set, method: Whose.
        tiles, lots: How many.
        rmse: Of tiles, in the property's unit.
        mape_percent: Of tiles.
        mape_interval: 95%, bootstrap over lots: tiles of a lot stand or fall together.
        lot_rmse, lot_mape_percent: Of lots, whose prediction is the mean over their tiles.
    """

    set: str
    method: str
    tiles: int
    lots: int
    rmse: float
    mape_percent: float
    mape_interval: Interval
    lot_rmse: float
    lot_mape_percent: float


@dataclass(frozen=True)
class Gain:
    """By how much the network's MAPE is below the best baseline's.

    Attributes:
        set: On which set.
        baseline: Which is best there.
        share: 1 less the ratio of the two; below 0 the baseline is better.
        interval: 95%, bootstrap over lots.
    """

    set: str
    baseline: str
    share: float
    interval: Interval


@dataclass(frozen=True)
class LotPredictions:
    """What one method says of each lot of a set.

    Attributes:
        lot_ids: L names.
        true: float64 [L], measured.
        mean, spread: float64 [L], mean and standard deviation of the tiles' predictions.
        rmse, mape_percent: float64 [L], of the lot's tiles.
    """

    lot_ids: tuple[str, ...]
    true: Array
    mean: Array
    spread: Array
    rmse: Array
    mape_percent: Array


def property_figures(sets: Mapping[str, PropertySet], *, seed: int = 0) -> list[PropertyFigures]:
    """Errors of every set and method, in the order in which they are shown.

    Args:
        sets: Stored predictions.
        seed: Of the bootstrap.
    """
    rows = []
    for name in (each for each in SETS if each in sets):
        answered = sets[name]
        true = answered.true
        for method in (m for m in METHODS if m in answered.predicted):
            predicted = answered.predicted[method].astype(np.float64)
            lots = lot_predictions(answered, method)
            size = np.full_like(true, np.nan) if near_zero(true) else np.abs(true)
            relative = 100.0 * np.abs(predicted - true) / size
            rows.append(
                PropertyFigures(
                    set=name,
                    method=method,
                    tiles=len(true),
                    lots=len(lots.lot_ids),
                    rmse=rmse(predicted, true),
                    mape_percent=mape(predicted, true),
                    mape_interval=bootstrap_means(relative[:, None], answered.lots, seed=seed)[0],
                    lot_rmse=rmse(lots.mean, lots.true),
                    lot_mape_percent=mape(lots.mean, lots.true),
                )
            )
    return rows


def gain(answered: PropertySet, name: str = LOT_HELD_OUT, *, seed: int = 0) -> Gain | None:
    """The network against the best baseline, by the MAPE of tiles.

    Args:
        answered: A set.
        name: Its name.
        seed: Of the bootstrap.

    Returns:
        None where there is no baseline, or values lie near zero.
    """
    true = answered.true
    if near_zero(true):
        return None
    relative = {
        method: np.abs(answered.predicted[method] - true) / np.abs(true)
        for method in (NETWORK, *BASELINES)
        if method in answered.predicted
    }
    others = [method for method in BASELINES if method in relative]
    if not others or NETWORK not in relative:
        return None
    best = min(others, key=lambda method: float(relative[method].mean()))
    # Sums by lot, drawn together: both methods see the same lots in every draw.
    _, of_lot = np.unique(answered.lots, return_inverse=True)
    # No baseline is perfect but in a test or by a slip; then the network is infinitely worse.
    network, baseline = (np.bincount(of_lot, relative[m] + _TINY) for m in (NETWORK, best))
    drawn = np.random.default_rng(seed).integers(0, len(network), (RESAMPLES, len(network)))
    shares = 1.0 - network[drawn].sum(axis=1) / baseline[drawn].sum(axis=1)
    low, high = np.percentile(shares, [2.5, 97.5]).tolist()
    return Gain(name, best, float(1.0 - network.sum() / baseline.sum()), (low, high))


def lot_predictions(answered: PropertySet, method: str) -> LotPredictions:
    """A method's predictions lot by lot, in the order of the lots' numbers."""
    predicted = answered.predicted[method].astype(np.float64)
    lots = np.unique(answered.lots)
    of = [predicted[answered.lots == lot] for lot in lots]
    true = answered.values[lots]
    return LotPredictions(
        lot_ids=tuple(answered.lot_ids[lot] for lot in lots),
        true=true,
        mean=np.array([tiles.mean() for tiles in of]),
        spread=np.array([tiles.std() for tiles in of]),
        rmse=np.array([rmse(t, np.full(len(t), v)) for t, v in zip(of, true, strict=True)]),
        mape_percent=np.array([mape(t, np.full(len(t), v)) for t, v in zip(of, true, strict=True)]),
    )


def property_json(sets: Mapping[str, PropertySet]) -> dict[str, Any]:
    """All figures in JSON's types."""
    found = gain(sets[LOT_HELD_OUT]) if LOT_HELD_OUT in sets else None
    return {
        "sets": [asdict(each) for each in property_figures(sets)],
        "gain": None if found is None else asdict(found),
        "lots": {
            name: {
                key: value.round(3).tolist() if isinstance(value, np.ndarray) else list(value)
                for key, value in asdict(lot_predictions(sets[name], NETWORK)).items()
            }
            for name in SETS
            if name in sets
        },
    }


def served_figures(figures: list[PropertyFigures]) -> dict[str, str]:
    """Rows of the regressor's model card, by name; MAPE and RMSE of tiles."""
    return {
        f"{each.set}, {each.method}": (
            (f"MAPE {each.mape_percent:.2f}%, " if math.isfinite(each.mape_percent) else "")
            + f"RMSE {each.rmse:{'.0f' if each.rmse >= 100.0 else '.3g'}}, "
            f"{each.tiles:,} tiles of {each.lots} lots"
        )
        for each in figures
        if each.method == NETWORK or each.set != TILE_RANDOM
    }
