"""Figures of the property's intervals."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from lotwise_training.evaluation.conformal import LotIntervals
from lotwise_training.report.figures.style import BLUE, GREY, RED, blank, legend_below, styled


@styled
def lot_intervals_figure(made: LotIntervals, name: str, unit: str) -> Figure:
    """Every new lot's interval about its measured property, by the measured property."""
    order = np.argsort(made.true)
    true, lower, upper = (each[order] for each in (made.true, made.lower, made.upper))
    held = (lower <= true) & (true <= upper)
    figure = blank(2.8)
    axes = figure.subplots()
    places = np.arange(len(true))
    for kept, colour, label in ((held, BLUE, "covers it"), (~held, RED, "misses it")):
        axes.vlines(places[kept], lower[kept], upper[kept], color=colour, lw=1.2, label=label)
    axes.plot(places, true, ".", ms=2.5, color=GREY, label=f"measured {name}")
    axes.set_xlim(-1, len(true))
    axes.set_ylabel(f"{name}, {unit}")
    axes.set_xlabel("new lot, from the weakest to the strongest")
    axes.set_title(f"Lot intervals of {made.coverage:.0%} nominal coverage")
    legend_below(figure, axes, 3)
    return figure
