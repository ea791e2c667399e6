"""Whether a chosen lot tells more than a random one: tests played through where all are known.

A third of the lots is never offered; on it every plan is judged alike. From the other lots some are
tested at random, and further ones added one by one: at random, or as the process over lots chooses.
Only lots that were "tested" give it values, with their tests' scatter; errors are against the true
property.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.progress import track

from lotwise_training.active_learning.acquisition import GAINS, untested
from lotwise_training.active_learning.embedding import PlaceSpace
from lotwise_training.active_learning.forecast import expected_error, outlook
from lotwise_training.active_learning.gaussian_process import LotKernel, LotProcess
from lotwise_training.data.tiles import Floats, Numbers
from lotwise_training.store.arrays import ResultsError

FILE: Final = "plan_lots.json"
DIGITS: Final = 6
RANDOM: Final = "random"
WAYS: Final = (RANDOM, *GAINS)
FIRST: Final = 8
"""Lots tested at the start, at random."""
LAST: Final = 60
STEP: Final = 2
"""Errors are put down at every other size."""
STARTS: Final = 50
HELD_SHARE: Final = 1 / 3
FORECASTS: Final = ((133, 8, 20), (133, 20, 40), (40, 20, 60), (40, 20, 100))
"""Lots at hand, how many of them are tested, and for how many tested lots the error is foretold.
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
class SimulatedPlans:
    """Errors along all plans.

    Attributes:
        sizes: int64 [M], numbers of tested lots.
        errors: By way, float64 [S, M, 4], of S starts, in the order of `FIGURES`.
        forecasts: By FORECASTS, float64 [S, 4]: the relative error that is foretold for untested
            lots, the ends of its 90% interval, and the error as it came.
        offered, held: How many lots each.
    """

    sizes: Numbers
    errors: dict[str, Floats]
    forecasts: dict[tuple[int, int, int], Floats]
    offered: int
    held: int


class Stage:
    """Lots on offer and lots that are held out, seen from the former.

    Args:
        lots: All of them.
        seed: Of what is held out.
    """

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
    """Errors of all ways from one start, by way, size and figure.

    Args:
        stage: The lots.
        start: Its number, seed of what is drawn.
        last: Lots tested at the end.
    """
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
    """An error foretold with its interval, and as it came.

    Args:
        stage: The lots.
        start: Seed of the lots at hand.
        at_hand: How many of those on offer are at hand.
        tested: How many of these are tested when it is foretold.
        size: For how many tested lots.
        resamples: Of the interval.

    Returns:
        Foretold, low, high, came; relative.
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
    told = outlook(LotProcess.fitted(kernel, known, measured[known], error), resamples)
    if size < len(near):
        then = np.concatenate([known, told.chosen[: size - tested]])
        judged = np.setdiff1d(np.arange(len(near)), then)
    else:
        then, judged = np.arange(size), np.arange(len(order), len(rows))
    pool = len(near) if size < len(near) else size
    places = PlaceSpace.of(means[:pool]).places(means)
    came = LotProcess.fitted(LotKernel.of(places, pool), then, measured[then], error)
    mean, _ = came.posterior()
    off = float(np.mean(np.abs(np.exp(mean) / true - 1.0)[judged]))
    return [*told.error(size), off]


def played(lots: KnownLots, jobs: int | None = None) -> SimulatedPlans:
    """Play all plans through, some minutes on two cores.

    Args:
        lots: With their property.
        jobs: Processes; None for one a core.
    """
    stage = Stage(lots)
    workers = jobs or len(os.sched_getaffinity(0))
    # Spawned, because a fork of a process in which torch runs threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        console = Console(stderr=True)
        playing = pool.map(partial(simulate_start, stage), range(STARTS))
        starts = list(track(playing, "play plans", total=STARTS, console=console))
        told = {}
        for each in FORECASTS:
            at_hand, tested, size = each
            told[each] = pool.map(
                partial(simulate_forecast, stage, at_hand=at_hand, tested=tested, size=size),
                range(FORECAST_STARTS),
            )
        forecasts = {
            each: np.array(list(track(one, f"foretell {each}", FORECAST_STARTS, console=console)))
            for each, one in told.items()
        }
    return SimulatedPlans(
        sizes=np.arange(FIRST, LAST + 1, STEP),
        errors={way: np.array([errors[way] for errors in starts]) for way in WAYS},
        forecasts=forecasts,
        offered=stage.offered,
        held=len(stage.true) - stage.offered,
    )


def write_simulated_plans(folder: Path, made: SimulatedPlans, stated: dict[str, Any]) -> None:
    """Write `plan_lots.json`."""
    content = {
        **stated,
        "offered": made.offered,
        "held": made.held,
        "sizes": made.sizes.tolist(),
        "errors": {way: each.round(DIGITS).tolist() for way, each in made.errors.items()},
        "forecasts": [
            {"forecast": list(each), "starts": values.round(DIGITS).tolist()}
            for each, values in made.forecasts.items()
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, allow_nan=False)
    (folder / FILE).write_text(text.replace(']], "', ']],\n"') + "\n", encoding="utf-8")


def read_simulated_plans(folder: Path) -> tuple[SimulatedPlans, dict[str, Any]] | None:
    """What `write_simulated_plans` wrote; None where it wrote nothing.

    Raises:
        ResultsError: The file is unreadable.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        made = SimulatedPlans(
            sizes=np.array(content.pop("sizes"), dtype=np.int64),
            errors={way: np.array(each) for way, each in content.pop("errors").items()},
            forecasts={
                tuple(each["forecast"]): np.array(each["starts"])
                for each in content.pop("forecasts")
            },
            offered=content.pop("offered"),
            held=content.pop("held"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{path} holds no plans: {error}; `lotwise-train plan lots --measure` writes it"
        ) from None
    return made, content
