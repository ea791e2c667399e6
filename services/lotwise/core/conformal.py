"""Prediction intervals with a stated coverage, from networks that each held other lots out.

CV+ (Barber, Candes, Ramdas & Tibshirani 2021, "Predictive inference with the jackknife+", section
3). K networks learn from all recipes but their own fold's. Every calibration lot gives residuals
of the network that has not seen it; a new lot's interval is made of what all K networks say of it
and of these residuals. So all lots serve the training, and all calibrate.

The exchangeable unit is the recipe, not the tile and not the lot: tiles of a lot share its
property, and a lot and its repeat share more than two lots do. A unit of several residuals has the
weight of one (Dunn, Wasserman & Ramdas 2018, arXiv 1809.07441; Lee, Barber & Willett 2023, arXiv
2306.06342, who show it for the jackknife+, too).

n units, m residuals, K networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from lotwise.core.errors import InvalidRequest

Array = npt.NDArray[np.float64]

LEAST_COVERAGE: Final = 0.5
"""Below it, the networks' median may lie outside of the interval."""
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, eq=False)
class Residuals:
    """What calibration units say of the networks' errors.

    Attributes:
        values: float64 [m], absolute residuals, not negative.
        folds: int64 [m], the network that each is of, which had not seen its unit.
        shares: float64 [m], of its unit; those of a unit add up to 1.
        units: n.
    """

    values: Array
    folds: npt.NDArray[np.int64]
    shares: Array
    units: int

    @classmethod
    def of(
        cls, values: Sequence[Sequence[float]], folds: Sequence[int], units: Sequence[str]
    ) -> Self:
        """Residuals of lots.

        Args:
            values: Of each lot, one residual or several, each of the same weight.
            folds: Of each lot, the network that had not seen it.
            units: Of each lot, the name of its unit; lots of a unit have the same weight.
        """
        names, of_lot, lots_of_unit = np.unique(units, return_inverse=True, return_counts=True)
        sizes = np.array([len(each) for each in values])
        every = np.concatenate([np.asarray(each, dtype=np.float64) for each in values])
        of_fold = np.repeat(np.asarray(folds, dtype=np.int64), sizes)
        shares = np.repeat(1.0 / (lots_of_unit[of_lot] * sizes), sizes)
        # A run of rising residuals for each fold, which `_quantile` merges.
        order = np.lexsort((every, of_fold))
        return cls(every[order], of_fold[order], shares[order], len(names))


def cv_plus(centres: Array, residuals: Residuals, coverage: float) -> tuple[float, float]:
    """The CV+ interval; Barber et al. 2021, equation 3.1, with weights.

    Each unit has the weight 1 / (n + 1), and so has the new one, whose residual may be anything.

    Args:
        centres: float64 [K], what each network says of the new lot.
        residuals: Of the calibration units, on the same scale.
        coverage: Nominal, 1 - alpha.

    Returns:
        Lower and upper end. They hold the median of `centres`.

    Raises:
        InvalidRequest: As `require_certifiable`.
    """
    require_certifiable(coverage, residuals.units)
    said = centres[residuals.folds]
    wanted = coverage * (residuals.units + 1) - _ROUNDING
    lower = -_quantile(residuals.values - said, residuals.shares, wanted)
    return lower, _quantile(said + residuals.values, residuals.shares, wanted)


def most_certifiable(units: int) -> float:
    """The largest coverage that n units can certify: n / (n + 1). 30 can certify 96.8%."""
    return units / (units + 1)


def units_needed(coverage: float) -> int:
    """The fewest units that can certify a coverage within (0, 1)."""
    return math.ceil(coverage / (1.0 - coverage) - _ROUNDING)


def require_certifiable(coverage: float, units: int) -> None:
    """Refuse a coverage that no interval from so many units can have.

    Raises:
        InvalidRequest: COVERAGE_OUT_OF_RANGE or COVERAGE_UNCERTIFIABLE.
    """
    # not (a <= b) instead of a > b: NaN must be refused.
    if not LEAST_COVERAGE <= coverage < 1.0:
        raise InvalidRequest(
            "COVERAGE_OUT_OF_RANGE",
            f"A coverage must lie from {LEAST_COVERAGE:g} to below 1, such as 0.9, "
            f"not {coverage:g}.",
        )
    if coverage * (units + 1) > units + _ROUNDING:
        raise InvalidRequest(
            "COVERAGE_UNCERTIFIABLE",
            f"A coverage of {coverage:g} needs {units_needed(coverage):,} calibration recipes; "
            f"there are {units:,}, which can certify {most_certifiable(units):.1%}. Ask for less, "
            "or calibrate with more lots.",
        )


def guaranteed_coverage(coverage: float, units: int, folds: int) -> float:
    """What theory guarantees of a nominal coverage; Barber et al. 2021, theorem 4.

    1 - 2 alpha - min(2 (1 - 1/K) / (n/K + 1), (1 - K/n) / (K + 1)), for units that are exchangeable
    with the new one and folds of equal size. In practice CV+ covers about 1 - alpha.

    Args:
        coverage: Nominal, 1 - alpha.
        units: n.
        folds: K.

    Returns:
        A probability; 0 where nothing is guaranteed.
    """
    excess = min(
        2.0 * (1.0 - 1.0 / folds) / (units / folds + 1.0),
        (1.0 - folds / units) / (folds + 1.0),
    )
    return max(0.0, 2.0 * coverage - 1.0 - excess)


def _quantile(values: Array, shares: Array, wanted: float) -> float:
    """The smallest value at or below which at least so much of the shares lies."""
    order = np.argsort(values, kind="stable")  # merges runs: half the time of the default
    reached = np.cumsum(shares[order])
    # Rounding may leave the last sum a hair short of n.
    place = min(int(np.searchsorted(reached, wanted)), len(order) - 1)
    return float(values[order[place]])
