"""Simulated plans of tests, on lots whose property is known: chosen lots against random ones.

A third of the lots is never offered; every plan is evaluated on it. Of the other lots some are
tested at random, and further ones are added one by one: at random, or by an acquisition function.
Only "tested" lots give the process values, with their tests' scatter; errors are against the true
property.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.active_learning.acquisition import GAINS, untested
from lotwise_training.active_learning.embedding import PlaceSpace
from lotwise_training.active_learning.forecast import expected_error, outlook
from lotwise_training.active_learning.gaussian_process import LotKernel, LotProcess
from lotwise_training.data.processes import parallel_map
from lotwise_training.data.tiles import Floats, Numbers
from lotwise_training.store.arrays import Result, Shape, joined

DIGITS: Final = 6
RANDOM: Final = "random"
WAYS: Final = (RANDOM, *GAINS)
FIRST: Final = 8
"""Lots tested at the start, at random."""
LAST: Final = 60
STEP: Final = 2
"""Errors are recorded at every other size."""
STARTS: Final = 50
HELD_SHARE: Final = 1 / 3
FORECASTS: Final = ((133, 8, 20), (133, 20, 40), (40, 20, 60), (40, 20, 100))
"""Lots at hand, how many of them are tested, and the number of tested lots of the forecast.
Where that is more than are at hand, further lots are found that are like them."""
FORECAST_STARTS: Final = 20
RESAMPLES: Final = 40
FIGURES: Final = ("mape", "mae", "mape_untested", "expected")
"""Mean absolute error of lots that are never offered, relative and in the unit; of the offered
lots that are not tested yet, relative; and what the process expects of the first, without labels.
"""


@dataclass(frozen=True, eq=False)
class KnownLots:
    """Lots whose property is known.

    Attributes:
        means: float64 [L, D], as `lot_means` gives them.
        measured: float64 [L], mean of the strength tests, in the property's unit.
        true: float64 [L], the property itself.
        standard_error: Of `measured`, relative.
    """

    means: Floats
    measured: Floats
    true: Floats
    standard_error: float


@dataclass(frozen=True, eq=False)
class SimulatedPlans(Result):
    """Errors along all simulated plans.

    Attributes:
        sizes: int64 [M], numbers of tested lots.
        errors: By way, float64 [S, M, 4], of S starts, in the order of `FIGURES`.
        forecasts: By FORECASTS, float64 [S, 4]: the relative error forecast for untested lots,
            the ends of its 90% interval, and the observed error.
        offered, held: How many lots each.
        benchmark: Its version.
        property, unit: Name and unit of the property.
        standard_error: Relative, of a lot's measured property.
        weights_sha256: Of the ensemble whose features embed the lots.
        data_version: Of the tiles.
    """

    stem: ClassVar[str] = "simulated_plans"
    sizes: Annotated[npt.NDArray[np.int64], Shape("M")]
    errors: Mapping[str, Annotated[npt.NDArray[np.float64], Shape("S M F")]]
    forecasts: Mapping[
        Annotated[tuple[int, int, int], joined(int)],
        Annotated[npt.NDArray[np.float64], Shape("T 4")],
    ]
    offered: int
    held: int
    benchmark: int
    property: str
    unit: str
    standard_error: float
    weights_sha256: str
    data_version: str


class Stage:
    """Lots on offer and lots that are held out, seen from the former."""

    def __init__(self, lots: KnownLots, seed: int = 0) -> None:
        count = len(lots.true)
        order = np.random.default_rng([seed, 0]).permutation(count)
        held = round(HELD_SHARE * count)
        offered = order[held:]
        self.lots = lots
        self.order = np.concatenate([offered, order[:held]])
        self.offered = len(offered)
        # The space knows of the lots on offer alone.
        space = PlaceSpace.of(lots.means[offered])
        self.kernel = LotKernel.of(space.places(lots.means[self.order]), self.offered)
        self.true, self.measured = lots.true[self.order], lots.measured[self.order]

    def process(self, tested: Numbers) -> LotProcess:
        """Fitted to tested lots, int64 [n] of those on offer."""
        return LotProcess.fitted(
            self.kernel, tested, self.measured[tested], self.lots.standard_error
        )

    def figures(self, process: LotProcess) -> list[float]:
        """What `FIGURES` names."""
        mean, covariance = process.posterior()
        off = np.abs(np.exp(mean) - self.true)
        held = slice(self.offered, None)
        rest = untested(self.offered, process.tested)
        expected = expected_error(np.sqrt(np.diag(covariance)[held]))
        return [
            float(np.mean((off / self.true)[held])),
            float(np.mean(off[held])),
            float(np.mean((off / self.true)[rest])),
            float(np.mean(expected)),
        ]

    def next(self, process: LotProcess, way: str, rng: np.random.Generator) -> int:
        """The lot to be tested next, of those on offer."""
        rest = untested(self.offered, process.tested)
        if way == RANDOM:
            return int(rng.choice(rest))
        prior = process.prior()[: self.offered, : self.offered]
        return int(rest[np.argmax(GAINS[way](prior, process.tested, process.noise))])

    def first(self, start: int) -> tuple[Numbers, np.random.Generator]:
        """The lots tested at the start, and what draws further random ones."""
        rng = np.random.default_rng([start, 1])
        return rng.permutation(self.offered)[:FIRST], rng


def simulate_start(stage: Stage, start: int, last: int = LAST) -> dict[str, list[list[float]]]:
    """Errors of all ways from one start, by way, size and figure."""
    errors: dict[str, list[list[float]]] = {}
    for way in WAYS:
        tested, rng = stage.first(start)
        errors[way] = []
        while True:
            process = stage.process(tested)
            if (len(tested) - FIRST) % STEP == 0:
                errors[way].append(stage.figures(process))
            if len(tested) >= last:
                break
            tested = np.append(tested, stage.next(process, way, rng))
    return errors


def simulate_forecast(
    stage: Stage, start: int, at_hand: int, tested: int, size: int, resamples: int = RESAMPLES
) -> list[float]:
    """A forecast error with its interval, and the observed one.

    Args:
        stage: The lots.
        start: Seed of the lots at hand.
        at_hand: How many of those on offer are at hand.
        tested: How many of these are tested at the forecast.
        size: For how many tested lots.
        resamples: Of the interval.

    Returns:
        Forecast, low, high, observed; relative.
    """
    order = np.random.default_rng([start, 2]).permutation(stage.offered)
    near, held = order[:at_hand], np.arange(stage.offered, len(stage.true))
    rows = np.concatenate([order, held])
    means, true, measured = (
        values[rows] for values in (stage.lots.means[stage.order], stage.true, stage.measured)
    )
    known = np.arange(tested)
    space = PlaceSpace.of(means[: len(near)])
    error = stage.lots.standard_error
    kernel = LotKernel.of(space.places(means[: len(near)]))
    forecast = outlook(LotProcess.fitted(kernel, known, measured[known], error), resamples)
    if size < len(near):
        then = np.concatenate([known, forecast.chosen[: size - tested]])
        evaluated = np.setdiff1d(np.arange(len(near)), then)
    else:
        then, evaluated = np.arange(size), np.arange(len(order), len(rows))
    pool = len(near) if size < len(near) else size
    places = PlaceSpace.of(means[:pool]).places(means)
    later = LotProcess.fitted(LotKernel.of(places, pool), then, measured[then], error)
    mean, _ = later.posterior()
    off = float(np.mean(np.abs(np.exp(mean) / true - 1.0)[evaluated]))
    return [*forecast.error(size), off]


def simulate_plans(
    lots: KnownLots,
    *,
    benchmark: int,
    property_name: str,
    unit: str,
    weights_sha256: str,
    data_version: str,
) -> SimulatedPlans:
    """Simulate all plans, some minutes on two cores."""
    stage = Stage(lots)
    simulations: list[Callable[[], Any]] = [
        partial(simulate_start, stage, start) for start in range(STARTS)
    ]
    for at_hand, tested, size in FORECASTS:
        forecast = partial(simulate_forecast, stage, at_hand=at_hand, tested=tested, size=size)
        simulations += [partial(forecast, start) for start in range(FORECAST_STARTS)]
    made = parallel_map(_simulate, simulations, title="simulate plans")
    starts, rows = made[:STARTS], np.array(made[STARTS:]).round(DIGITS)
    forecasts = dict(zip(FORECASTS, rows.reshape(len(FORECASTS), FORECAST_STARTS, -1), strict=True))
    return SimulatedPlans(
        sizes=np.arange(FIRST, LAST + 1, STEP),
        errors={way: np.array([errors[way] for errors in starts]).round(DIGITS) for way in WAYS},
        forecasts=forecasts,
        offered=stage.offered,
        held=len(stage.true) - stage.offered,
        benchmark=benchmark,
        property=property_name,
        unit=unit,
        standard_error=lots.standard_error,
        weights_sha256=weights_sha256,
        data_version=data_version,
    )


def _simulate(simulation: Callable[[], Any]) -> Any:
    return simulation()
