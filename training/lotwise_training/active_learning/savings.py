"""What planned tests save against random ones, computed from the errors of all plans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lotwise_training.active_learning.simulation import FIGURES, RANDOM, SimulatedPlans
from lotwise_training.data.tiles import Floats, Numbers
from lotwise_training.evaluation.bootstrap import Interval

SIZES: Final = (8, 12, 20, 30, 40, 60)
"""Numbers of tested lots that the table shows."""
RESAMPLES: Final = 2000
_ENDS: Final = (0.025, 0.975)


@dataclass(frozen=True)
class PlanFigures:
    """Of one way to choose lots, with so many of them tested.

    Attributes:
        way: How lots are chosen.
        tested: How many are.
        mae: Mean absolute error on lots that are never offered, in the property's unit.
        mape: The same, relative.
        mape_interval: 95%, over starts.
        against_random: `mape` less that of random choice, from the same starts.
        against_random_interval: 95%, over starts; None of random choice itself.
        mape_untested: Relative error on the offered lots that are not tested yet.
        expected: What the process expects of the lots that are never offered, without labels.
        off: How far it is off in a single plan, mean absolute difference, relative error.
        random_needs: Tested lots with which random choice has this `mape`; None where it needs
            more than were tested.
        random_needs_interval: 95%, over starts; an end is None as above.
    """

    way: str
    tested: int
    mae: float
    mape: float
    mape_interval: Interval
    against_random: float
    against_random_interval: Interval | None
    mape_untested: float
    expected: float
    off: float
    random_needs: float | None
    random_needs_interval: tuple[float | None, float | None]

    @property
    def saved(self) -> float | None:
        """Share of random choice's tests that are saved; None where it needs more than known."""
        return None if self.random_needs is None else 1.0 - self.tested / self.random_needs


@dataclass(frozen=True)
class ForecastFigures:
    """Of errors foretold.

    Attributes:
        at_hand, tested, size: Lots at hand, tested when it was foretold, and for how many.
        foretold: Mean over starts, relative.
        came: The same of the errors as they came.
        off: Mean absolute difference, relative error against relative error.
        covered: Share of starts whose 90% interval holds what came.
        starts: How many.
    """

    at_hand: int
    tested: int
    size: int
    foretold: float
    came: float
    off: float
    covered: float
    starts: int


def plan_figures(made: SimulatedPlans, seed: int = 0) -> list[PlanFigures]:
    """Figures of every way at the table's sizes.

    Args:
        made: The plans.
        seed: Of the bootstrap over starts.
    """
    starts = len(made.errors[RANDOM])
    draws = np.random.default_rng(seed).integers(starts, size=(RESAMPLES, starts))
    at = {name: number for number, name in enumerate(FIGURES)}
    random = made.errors[RANDOM][:, :, at["mape"]]
    drawn_random = random[draws].mean(axis=1)
    figures = []
    for way, errors in made.errors.items():
        mape = errors[:, :, at["mape"]]
        drawn = mape[draws].mean(axis=1)
        for tested in SIZES:
            if tested not in made.sizes:
                continue
            place = int(np.flatnonzero(made.sizes == tested)[0])
            mean = dict(zip(FIGURES, errors[:, place].mean(axis=0).tolist(), strict=True))
            needs = np.array(
                [
                    tests_needed(made.sizes, curve, one)
                    for curve, one in zip(drawn_random, drawn[:, place], strict=True)
                ]
            )
            needed = tests_needed(made.sizes, random.mean(axis=0), mean["mape"])
            difference = drawn[:, place] - drawn_random[:, place]
            figures.append(
                PlanFigures(
                    way=way,
                    tested=tested,
                    mae=mean["mae"],
                    mape=mean["mape"],
                    mape_interval=_interval(drawn[:, place]),
                    against_random=mean["mape"] - float(random[:, place].mean()),
                    against_random_interval=None if way == RANDOM else _interval(difference),
                    mape_untested=mean["mape_untested"],
                    expected=mean["expected"],
                    off=float(np.abs(errors[:, place, at["expected"]] - mape[:, place]).mean()),
                    random_needs=_finite(needed),
                    random_needs_interval=(
                        _finite(float(np.quantile(needs, _ENDS[0], method="lower"))),
                        _finite(float(np.quantile(needs, _ENDS[1], method="higher"))),
                    ),
                )
            )
    return figures


def tests_needed(sizes: Numbers, errors: Floats, error: float) -> float:
    """Tested lots with which a curve of errors comes down to one, between sizes by a straight line.

    Args:
        sizes: int64 [M], rising.
        errors: float64 [M], at these sizes; where they rise again, the least so far counts.
        error: That is asked for.

    Returns:
        The number; the first size where the curve starts below, infinite where it stays above.
    """
    least = np.minimum.accumulate(errors)
    if error < least[-1]:
        return float("inf")
    return float(np.interp(error, least[::-1], sizes[::-1]))


def forecast_figures(made: SimulatedPlans) -> list[ForecastFigures]:
    """Figures of all errors that were foretold."""
    figures = []
    for (at_hand, tested, size), values in made.forecasts.items():
        foretold, low, high, came = values.T
        figures.append(
            ForecastFigures(
                at_hand,
                tested,
                size,
                float(foretold.mean()),
                float(came.mean()),
                float(np.abs(foretold - came).mean()),
                float(((low <= came) & (came <= high)).mean()),
                len(values),
            )
        )
    return figures


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
