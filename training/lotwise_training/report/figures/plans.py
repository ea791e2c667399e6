"""Figures on planning: which lot to test next, and how many tiles an accuracy takes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from lotwise_training.active_learning.acquisition import INFORMATION, RISK
from lotwise_training.active_learning.learning_curve import LearningCurve
from lotwise_training.active_learning.power_law import INTERVAL, interval
from lotwise_training.active_learning.savings import MOST_OFF, SIZES
from lotwise_training.active_learning.simulation import FIGURES, FIRST, RANDOM, SimulatedPlans
from lotwise_training.evaluation.predictions import DROPOUT, ENSEMBLE
from lotwise_training.evaluation.tile_sets import words
from lotwise_training.report.figures.style import (
    COLOURS,
    GREY,
    PALE,
    blank,
    in_percent,
    legend_below,
    styled,
)

FURTHER: Final = 10
"""The learning curve is extrapolated to so many times the tiles that there are."""
_NAMED: Final = (8, 12, 20, 60)
"""Sizes that the figure names."""
_COLOURS: Final[Mapping[str, str]] = MappingProxyType(
    {RANDOM: GREY, RISK: "#004488", INFORMATION: "#DDAA33"}
)
_LINES: Final[Mapping[str, str]] = MappingProxyType({RANDOM: "--", RISK: "-", INFORMATION: "-."})
_MARKERS: Final[Mapping[str, str]] = MappingProxyType({RANDOM: "s", RISK: "o", INFORMATION: "^"})


@styled
def plan_figure(made: SimulatedPlans) -> Figure:
    """Error against the number of tested lots by way, and what the process expects of it."""
    at = {name: number for number, name in enumerate(FIGURES)}
    figure = blank(3.3)
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.55, 1]})
    marked = [int(n) for n in np.flatnonzero(np.isin(made.sizes, SIZES))]
    for way, errors in made.errors.items():
        shown, colour = errors[:, :, at["mape"]], _COLOURS[way]
        low, high = np.quantile(shown, (0.25, 0.75), axis=0)
        left.fill_between(made.sizes, low, high, color=colour, alpha=0.15, lw=0)
        style = {"color": colour, "marker": _MARKERS[way], "markevery": marked, "ms": 4}
        left.plot(made.sizes, shown.mean(axis=0), _LINES[way], label=words(way), **style)
        expected = errors[:, :, at["expected"]].mean(axis=0)
        right.plot(expected, shown.mean(axis=0), _LINES[way], lw=1.1, **style)
    left.set_yscale("log")
    left.yaxis.set_major_locator(FixedLocator([0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.16]))
    left.yaxis.set_minor_locator(NullLocator())
    in_percent(left, "y")
    left.set_xlim(made.sizes[0] - 1, made.sizes[-1] + 1)
    left.set_xlabel(f"tested lots (the first {FIRST} at random)")
    left.set_ylabel(f"MAPE of the {made.property} (log)")
    left.set_title(f"Error on {made.held} lots that are never offered")
    ends = [0.0, 1.1 * float(max(e[:, 0, at["expected"]].mean() for e in made.errors.values()))]
    right.plot(ends, ends, color=GREY, lw=0.8, ls=":")
    right.fill_between(
        ends, [end - MOST_OFF for end in ends], [end + MOST_OFF for end in ends],
        color=GREY, alpha=0.12, lw=0,
    )  # fmt: skip
    random = made.errors[RANDOM].mean(axis=0)
    for number in marked:
        if made.sizes[number] in _NAMED:
            right.annotate(
                f"{made.sizes[number]} lots",
                (random[number, at["expected"]], random[number, at["mape"]]),
                xytext=(7, -9),
                textcoords="offset points",
                fontsize=7,
                color=GREY,
            )
    right.set_xlim(*ends)
    right.set_ylim(*ends)
    right.set_aspect("equal")
    in_percent(right, "xy")
    right.set(xlabel="expected error, without labels", ylabel="true mean error")
    right.set_title("Expected and true error")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


@styled
def learning_figure(curve: LearningCurve) -> Figure:
    """Predicted and true accuracy against the training tiles, and the extrapolated curve."""
    figure = blank(3.1)
    axes = figure.subplots()
    tiles = np.array([point.tiles for point in curve.points])
    ahead = np.geomspace(tiles[0], FURTHER * tiles[-1], 200)
    law, resampled = curve.law(), curve.resampled()
    bounds = np.array([interval(resampled, each) for each in ahead])
    axes.fill_between(
        ahead, 1 - bounds[:, 1], 1 - bounds[:, 0], color=PALE, lw=0, label="90% interval"
    )
    seen = ahead <= tiles[-1]
    errors = np.array([law.error(each) for each in ahead])
    axes.plot(ahead[seen], 1 - errors[seen], color=COLOURS[ENSEMBLE], label="power law")
    colour = COLOURS[ENSEMBLE]
    label = "power law, extrapolated"
    axes.plot(ahead[~seen], 1 - errors[~seen], "--", color=colour, label=label)
    drawn = np.array([np.quantile(point.drawn, INTERVAL) for point in curve.points])
    predicted = np.array([point.predicted for point in curve.points])
    off = np.abs(drawn.T - predicted)
    style: dict[str, Any] = {"fmt": "o", "ms": 4, "color": colour, "capsize": 2}
    axes.errorbar(tiles, predicted, off, label="predicted from unlabelled tiles", **style)
    accuracy = [point.accuracy for point in curve.points]
    style = {"ms": 5, "mfc": "none", "color": COLOURS[DROPOUT]}
    axes.plot(tiles, accuracy, "^", label="true accuracy", **style)
    confidence = [point.confidence for point in curve.points]
    axes.plot(tiles, confidence, "x", ms=4, color=GREY, label="confidence before scaling")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([*tiles.tolist(), FURTHER * int(tiles[-1])]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    in_percent(axes, "y")
    axes.set(xlabel="training tiles (log)", ylabel="accuracy")
    legend_below(figure, axes, 3)
    return figure
