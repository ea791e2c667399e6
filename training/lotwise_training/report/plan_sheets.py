"""The learning curve in words and figures, and how far one gets with more tiles."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from lotwise_training.active_learning.learning_curve import LearningCurve
from lotwise_training.active_learning.power_law import INTERVAL, Need, interval, need
from lotwise_training.evaluation.predictions import DROPOUT, ENSEMBLE
from lotwise_training.report.figures.style import (
    COLOURS,
    GREY,
    PALE,
    blank,
    legend_below,
    percent,
    styled,
)
from lotwise_training.report.sheets import Sheet
from lotwise_training.report.targets import Target
from lotwise_training.report.wording import percent as as_percent
from lotwise_training.report.wording import signed

WITHIN: Final = 0.02
"""Of the true accuracy the predicted one was to lie."""
LEAST_POINTS: Final = 3
"""That a curve is drawn further from."""
FURTHER: Final = 10
"""The curve is drawn up to so many times the tiles that there are."""
_SHARE: Final = f"{INTERVAL[1] - INTERVAL[0]:.0%}"


def curve_sheet(curve: LearningCurve) -> Sheet:
    """The learning curve, predicted and true."""
    rows = []
    for point in curve.points:
        low, high = np.quantile(point.drawn, INTERVAL)
        rows.append(
            (
                f"{point.tiles:,}",
                f"{point.tiles / curve.lots:,.0f}",
                f"{point.steps:,}",
                as_percent(point.confidence, 1),
                f"{point.temperature:.2f}",
                as_percent(point.predicted, 1),
                f"{100 * low:.1f} to {100 * high:.1f}",
                as_percent(point.accuracy, 1),
                signed(100 * (point.predicted - point.accuracy), 1),
            )
        )
    depth, widen = curve.network
    return Sheet(
        "learning",
        "Table 6: learning curve, predicted from unlabelled tiles",
        (
            "tiles learned from",
            "of each lot",
            "steps",
            "confidence, %",
            "temperature",
            "predicted accuracy, %",
            f"{_SHARE} interval",
            "true accuracy, %",
            "difference, points",
        ),
        tuple(rows),
        words=0,
        note=f"Committees of {curve.members} networks (WRN-{depth}-{widen}), profile "
        f"{curve.profile}, as many steps each; smaller and less trained than those that are "
        f"served. Asked about {curve.asked:,} tiles. Confidence: of the committee as it is, as "
        "Zhang et al. 2020 take it; predicted: scaled by a temperature that is fitted on "
        "validation tiles. " + _looked_ahead(curve),
    )


def need_sentences(curve: LearningCurve, accuracies: Iterable[float]) -> list[str]:
    """How many tiles accuracies take; where none are named, half of the present errors' less.

    Args:
        curve: The learning curve.
        accuracies: Shares of tiles that are named rightly.
    """
    last = curve.points[-1]
    wanted = list(accuracies) or [1.0 - (1.0 - last.predicted) * share for share in (0.75, 0.5)]
    law, resampled = curve.law(), curve.resampled()
    best = 1.0 - law.floor
    sentences = [
        f"With the {last.tiles:,} tiles that there are, {last.predicted:.1%} are named rightly; "
        + (
            f"by the curve no number of tiles gets beyond {best:.1%}."
            if law.floor > 0.0
            else "the curve shows no limit to what more tiles bring."
        )
    ]
    for accuracy in wanted:
        found = need(law, resampled, 1.0 - accuracy)
        sentences.append(f"For {accuracy:.1%}: {_needed(found, last.tiles, curve.lots)}")
    return sentences


def _needed(found: Need, tiles: int, lots: int) -> str:
    never = (
        f" In {found.never:.0%} of the resamples the curve never gets there." if found.never else ""
    )
    if math.isinf(found.tiles):
        return (
            "out of reach by the curve: other networks, a longer training or other lots would be "
            f"needed, not more tiles.{never}"
        )
    if found.tiles <= tiles:
        return f"reached with {_rounded(found.tiles)} tiles."
    more = found.tiles - tiles
    return (
        f"about {_rounded(found.tiles)} tiles in all ({_SHARE} interval {_rounded(found.low)} to "
        f"{_rounded(found.high)}), {_rounded(more)} more: {_rounded(more / lots)} of each of the "
        f"{lots} lots.{never}"
    )


def _rounded(tiles: float) -> str:
    """Two digits: more would feign to know."""
    if math.isinf(tiles):
        return "no number of"
    if tiles < 1:
        return "1"
    unit = 10 ** max(0, math.floor(math.log10(tiles)) - 1)
    return f"{round(tiles / unit) * unit:,}"


def _looked_ahead(curve: LearningCurve) -> str:
    """What the points before the last say of it."""
    if len(curve.points) <= LEAST_POINTS:
        return ""
    last, before = curve.points[-1], len(curve.points) - 1
    low, high = interval(curve.resampled(before), last.tiles)
    return (
        f"Drawn further from the points before it, the last one would be "
        f"{1 - curve.law(before).error(last.tiles):.1%} ({_SHARE} interval {1 - high:.1%} to "
        f"{1 - low:.1%}); it is {last.accuracy:.1%}."
    )


def curve_targets(curve: LearningCurve) -> tuple[Target, ...]:
    """What was to be reached."""
    worst = max(abs(point.predicted - point.accuracy) for point in curve.points)
    return (
        Target(
            "accuracy predicted from unlabelled tiles, largest difference from the truth",
            f"<= {100 * WITHIN:.0f} points",
            f"{100 * worst:.1f} points",
            "",
            worst <= WITHIN,
            worst,
        ),
    )


@styled
def learning_figure(curve: LearningCurve) -> Figure:
    """Predicted and true accuracy against the tiles learned from, and the curve drawn further."""
    figure = blank(3.1)
    axes = figure.subplots()
    tiles = np.array([point.tiles for point in curve.points])
    ahead = np.geomspace(tiles[0], FURTHER * tiles[-1], 200)
    law, resampled = curve.law(), curve.resampled()
    bounds = np.array([interval(resampled, each) for each in ahead])
    axes.fill_between(
        ahead, 1 - bounds[:, 1], 1 - bounds[:, 0], color=PALE, lw=0, label=f"{_SHARE} interval"
    )
    seen = ahead <= tiles[-1]
    errors = np.array([law.error(each) for each in ahead])
    axes.plot(ahead[seen], 1 - errors[seen], color=COLOURS[ENSEMBLE], label="power law")
    axes.plot(ahead[~seen], 1 - errors[~seen], "--", color=COLOURS[ENSEMBLE], label="drawn further")
    drawn = np.array([np.quantile(point.drawn, INTERVAL) for point in curve.points])
    predicted = np.array([point.predicted for point in curve.points])
    axes.errorbar(
        tiles,
        predicted,
        yerr=np.stack([predicted - drawn[:, 0], drawn[:, 1] - predicted]),
        fmt="o",
        ms=4,
        color=COLOURS[ENSEMBLE],
        capsize=2,
        label="predicted from unlabelled tiles",
    )
    axes.plot(
        tiles,
        [point.accuracy for point in curve.points],
        "^",
        ms=5,
        mfc="none",
        color=COLOURS[DROPOUT],
        label="true accuracy",
    )
    axes.plot(
        tiles,
        [point.confidence for point in curve.points],
        "x",
        ms=4,
        color=GREY,
        label="confidence before scaling",
    )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([*tiles.tolist(), FURTHER * int(tiles[-1])]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(percent)
    axes.set_xlabel("tiles learned from (logarithmic)")
    axes.set_ylabel("share of tiles named rightly")
    legend_below(figure, axes, 3)
    return figure
