"""What planned tests save against random ones, computed from the errors of all plans."""

from __future__ import annotations

from typing import Final

import numpy as np

from lotwise_training.active_learning.simulation import FIGURES, RANDOM, SimulatedPlans
from lotwise_training.data.tiles import Floats, Numbers
from lotwise_training.evaluation.bootstrap import Interval
from lotwise_training.evaluation.records import Records

PLANS: Final = "plans"
FORECASTS: Final = "forecasts"
SIZES: Final = (8, 12, 20, 30, 40, 60)
"""Numbers of tested lots that the table shows."""
RESAMPLES: Final = 2000
MOST_OFF: Final = 0.02
"""Target of `most_off`."""
_ENDS: Final = (0.025, 0.975)


def plan_records(made: SimulatedPlans, unit: str = "property", seed: int = 0) -> Records:
    """Errors of every way to choose lots at the table's sizes, and forecasts of errors."""
    records = Records()
    starts = len(made.errors[RANDOM])
    draws = np.random.default_rng(seed).integers(starts, size=(RESAMPLES, starts))
    at = {name: number for number, name in enumerate(FIGURES)}
    random = made.errors[RANDOM][:, :, at["mape"]]
    drawn_random = random[draws].mean(axis=1)
    for way, errors in made.errors.items():
        mape = errors[:, :, at["mape"]]
        drawn = mape[draws].mean(axis=1)
        for tested in (size for size in SIZES if size in made.sizes):
            place = int(np.flatnonzero(made.sizes == tested)[0])
            mean = dict(zip(FIGURES, errors[:, place].mean(axis=0).tolist(), strict=True))
            pairs = zip(drawn_random, drawn[:, place], strict=True)
            needs = [tests_needed(made.sizes, curve, one) for curve, one in pairs]
            needed = _finite(tests_needed(made.sizes, random.mean(axis=0), mean["mape"]))
            ends = (
                _finite(float(np.quantile(needs, _ENDS[0], method="lower"))),
                _finite(float(np.quantile(needs, _ENDS[1], method="higher"))),
            )
            difference = drawn[:, place] - drawn_random[:, place]
            records.add(
                PLANS,
                {"way": way, "tested": tested},
                starts,
                unit,
                mae=mean["mae"],
                error=(mean["mape"], _interval(drawn[:, place])),
                against_random=(
                    mean["mape"] - float(random[:, place].mean()),
                    None if way == RANDOM else _interval(difference),
                ),
                untested_error=mean["mape_untested"],
                expected=mean["expected"],
                off=float(np.abs(errors[:, place, at["expected"]] - mape[:, place]).mean()),
                random_needs=(needed, ends),
                saved=None if needed is None else 1.0 - tested / needed,
            )
    for (at_hand, tested, size), values in made.forecasts.items():
        forecast, low, high, observed = values.T
        records.add(
            FORECASTS,
            {"at_hand": at_hand, "tested": tested, "size": size},
            len(values),
            forecast=float(forecast.mean()),
            observed=float(observed.mean()),
            off=float(np.abs(forecast - observed).mean()),
            covered=float(((low <= observed) & (observed <= high)).mean()),
        )
    return records


def tests_needed(sizes: Numbers, errors: Floats, error: float) -> float:
    """Tested lots with which a curve of errors comes down to one, between sizes by a straight line.

    Args:
        sizes: int64 [M], rising.
        errors: float64 [M], at these sizes; where they rise again, the least so far counts.
        error: To be reached.

    Returns:
        The number; the first size where the curve starts below, infinite where it stays above.
    """
    least = np.minimum.accumulate(errors)
    if error < least[-1]:
        return float("inf")
    return float(np.interp(error, least[::-1], sizes[::-1]))


def most_off(made: SimulatedPlans) -> float:
    """Largest difference of expected and true mean error, over all ways and sizes."""
    at = {name: number for number, name in enumerate(FIGURES)}
    off = [
        errors[:, :, at["expected"]].mean(axis=0) - errors[:, :, at["mape"]].mean(axis=0)
        for errors in made.errors.values()
    ]
    return float(np.abs(off).max())


def _interval(values: Floats) -> Interval:
    low, high = np.quantile(values, _ENDS)
    return float(low), float(high)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
