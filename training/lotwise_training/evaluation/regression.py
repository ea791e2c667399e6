"""Errors of predicted properties, of tiles and of lots, from stored predictions alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise_training.evaluation.bootstrap import RESAMPLES, bootstrap_means
from lotwise_training.evaluation.property_predictions import (
    BASELINES,
    LOT_HELD_OUT,
    METHODS,
    NETWORK,
    SETS,
    TILE_RANDOM,
    PropertySet,
)
from lotwise_training.evaluation.records import Records
from lotwise_training.metrics import mape, near_zero, rmse

MOST_MAPE_PERCENT: Final = 3.07
"""Of tiles, tile-random."""
LEAST_GAIN: Final = 0.24
"""Below the best baseline's MAPE, on lots that were held out."""

SECTION: Final = "property"
GAIN: Final = "property gain"
LOTS: Final = "property of lots"
_TINY: Final = 1e-12

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LotPredictions:
    """What one method predicts for each lot of a set.

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


def property_records(
    sets: Mapping[str, PropertySet], unit: str = "property", *, seed: int = 0
) -> Records:
    """Errors of every set and method, gain over the best baseline, and predictions of lots."""
    records = Records()
    for name in (each for each in SETS if each in sets):
        predicted = sets[name]
        true = predicted.true
        for method in (m for m in METHODS if m in predicted.predicted):
            values = predicted.predicted[method].astype(np.float64)
            lots = lot_predictions(predicted, method)
            size = np.full_like(true, np.nan) if near_zero(true) else np.abs(true)
            relative = 100.0 * np.abs(values - true) / size
            interval = bootstrap_means(relative[:, None], predicted.lots, seed=seed)[0]
            records.add(
                SECTION,
                {"set": name, "method": method},
                len(true),
                unit,
                lots=len(lots.lot_ids),
                mape=(mape(values, true), interval),
                rmse=rmse(values, true),
                lot_mape=mape(lots.mean, lots.true),
                lot_rmse=rmse(lots.mean, lots.true),
            )
    if LOT_HELD_OUT in sets:
        add_gain(records, sets[LOT_HELD_OUT], seed=seed)
    for name in (each for each in SETS if each in sets):
        _add_lots(records, name, sets[name], unit)
    return records


def add_gain(
    records: Records, predicted: PropertySet, name: str = LOT_HELD_OUT, *, seed: int = 0
) -> None:
    """Add by how much the MAPE of the network is below the best baseline's.

    Nothing where there is no baseline, or values lie near zero.

    Args:
        records: Are added to; in section GAIN.
        predicted: A set.
        name: Its name.
        seed: Of the bootstrap over lots.
    """
    true = predicted.true
    if near_zero(true):
        return
    relative = {
        method: np.abs(predicted.predicted[method] - true) / np.abs(true)
        for method in (NETWORK, *BASELINES)
        if method in predicted.predicted
    }
    others = [method for method in BASELINES if method in relative]
    if not others or NETWORK not in relative:
        return
    best = min(others, key=lambda method: float(relative[method].mean()))
    # Sums by lot, drawn together: both methods see the same lots in every draw.
    _, of_lot = np.unique(predicted.lots, return_inverse=True)
    # No baseline is perfect but in a test or by a slip; then the network is infinitely worse.
    network, baseline = (np.bincount(of_lot, relative[m] + _TINY) for m in (NETWORK, best))
    drawn = np.random.default_rng(seed).integers(0, len(network), (RESAMPLES, len(network)))
    shares = 1.0 - network[drawn].sum(axis=1) / baseline[drawn].sum(axis=1)
    low, high = np.percentile(shares, [2.5, 97.5]).tolist()
    share = float(1.0 - network.sum() / baseline.sum())
    records.add(GAIN, {"set": name, "baseline": best}, len(true), gain=(share, (low, high)))


def lot_predictions(predicted_set: PropertySet, method: str) -> LotPredictions:
    """A method's predictions lot by lot, in the order of the lots' numbers."""
    predicted = predicted_set.predicted[method].astype(np.float64)
    lots = np.unique(predicted_set.lots)
    of = [predicted[predicted_set.lots == lot] for lot in lots]
    true = predicted_set.values[lots]
    return LotPredictions(
        lot_ids=tuple(predicted_set.lot_ids[lot] for lot in lots),
        true=true,
        mean=np.array([tiles.mean() for tiles in of]),
        spread=np.array([tiles.std() for tiles in of]),
        rmse=np.array([rmse(t, np.full(len(t), v)) for t, v in zip(of, true, strict=True)]),
        mape_percent=np.array([mape(t, np.full(len(t), v)) for t, v in zip(of, true, strict=True)]),
    )


def card_rows(records: Records) -> dict[str, str]:
    """Rows of the regressor's model card, by name; MAPE and RMSE of tiles."""
    return {
        f"{row.of['set']}, {row.of['method']}": (
            (f"MAPE {row.value('mape'):.2f}%, " if math.isfinite(row.value("mape")) else "")
            + f"RMSE {row.value('rmse'):{'.0f' if row.value('rmse') >= 100.0 else '.3g'}}, "
            f"{row.metrics['mape'].count:,} tiles of {row.value('lots'):.0f} lots"
        )
        for row in records.rows(SECTION)
        if row.of["method"] == NETWORK or row.of["set"] != TILE_RANDOM
    }


def _add_lots(records: Records, name: str, predicted: PropertySet, unit: str) -> None:
    """Add the network's prediction of every lot, rounded to 0.001."""
    lots = lot_predictions(predicted, NETWORK)
    for number, lot_id in enumerate(lots.lot_ids):
        records.add(
            LOTS,
            {"set": name, "lot": lot_id},
            None,
            unit,
            true=round(float(lots.true[number]), 3),
            mean=round(float(lots.mean[number]), 3),
            spread=round(float(lots.spread[number]), 3),
            rmse=round(float(lots.rmse[number]), 3),
            mape=round(float(lots.mape_percent[number]), 3),
        )
