"""Figures of predicted properties and their intervals, as in Liu et al. 2020 (Figures 8, 9)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from lotwise_training.evaluation.conformal import Intervals
from lotwise_training.evaluation.property_predictions import (
    LOT_HELD_OUT,
    MEAN,
    NETWORK,
    NEW_LOTS,
    REGION_BLOCKED,
    SCORES,
    TEXTURE,
    TILE_RANDOM,
    PropertySet,
)
from lotwise_training.evaluation.records import Records
from lotwise_training.evaluation.regression import SECTION, lot_predictions
from lotwise_training.report.figures.style import (
    BLUE,
    GREY,
    RED,
    blank,
    legend_below,
    method_marks,
    styled,
)

_LOOKS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        NETWORK: ("#004488", "o"),
        TEXTURE: ("#DDAA33", "^"),
        SCORES: ("#BB5566", "s"),
        MEAN: ("#6b7280", "D"),
    }
)
_PANELS: Final = (TILE_RANDOM, REGION_BLOCKED, LOT_HELD_OUT, NEW_LOTS)


@styled
def predicted_figure(sets: Mapping[str, PropertySet], name: str, unit: str) -> Figure:
    """Predicted against measured, a dot a lot with the spread of its tiles, a panel a set."""
    shown = [each for each in _PANELS if each in sets]
    figure = blank(2.3)
    panels = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
    for axes, each in zip(panels, shown, strict=True):
        lots = lot_predictions(sets[each], NETWORK)
        ends = [float(lots.true.min()), float(lots.true.max())]
        axes.plot(ends, ends, color=GREY, lw=0.8, ls=":")
        axes.errorbar(
            lots.true, lots.mean, yerr=lots.spread, fmt="o", ms=2.6, lw=0.6, color=BLUE, alpha=0.75
        )
        axes.set_title(f"{each}\n{len(lots.lot_ids)} lots", fontsize=7.5)
    panels[0].set_ylabel(f"predicted {name}, {unit}")
    figure.supxlabel(f"measured {name}, {unit} (bars: standard deviation of a lot's tiles)", size=8)
    return figure


@styled
def lots_figure(predicted: PropertySet, title: str, unit: str) -> Figure:
    """RMSE of every lot's tiles, lots in the order of their measured property."""
    lots = lot_predictions(predicted, NETWORK)
    order = np.argsort(lots.true)
    figure = blank(2.4)
    axes = figure.subplots()
    places = np.arange(len(order))
    axes.bar(places, lots.rmse[order], color=BLUE, width=0.7)
    axes.axhline(float(np.sqrt(np.mean(lots.rmse**2))), color=GREY, lw=0.8, ls=":")
    axes.set_xticks(places, [lots.lot_ids[n] for n in order], rotation=90, fontsize=6)
    axes.set_xlim(-0.8, len(order) - 0.2)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel(f"RMSE of the lot's tiles, {unit}")
    axes.set_xlabel("lot, from the weakest to the strongest (dotted: root mean square of all)")
    axes.set_title(title)
    return figure


@styled
def methods_figure(records: Records) -> Figure:
    """MAPE of tiles by set and method, with intervals over lots."""
    found = [row for row in records.rows(SECTION) if row.of["set"] in _PANELS]
    shown = [name for name in _PANELS if any(row.of["set"] == name for row in found)]
    figure = blank(0.9 + 0.8 * len(shown))
    axes = figure.subplots()
    rows = [
        (str(row.of["set"]), str(row.of["method"]), row.metrics["mape"])
        for row in found
        if row.of["method"] in _LOOKS
    ]
    method_marks(axes, rows, {name: name for name in shown}, _LOOKS, "{:.1f}%")
    axes.set_xlim(left=0.0)
    axes.set_xlabel("mean absolute percentage error of tiles, % (bars: 95% interval over lots)")
    axes.set_title("Error of the predicted property, by set and method")
    legend_below(figure, axes, 4)
    return figure


@styled
def lot_intervals_figure(made: Intervals, coverage: float, name: str, unit: str) -> Figure:
    """Every new lot's interval about its measured property, by the measured property."""
    order = np.argsort(made.true)
    true, lower, upper = (each[order] for each in (made.true, made.lower, made.upper))
    held = made.held[order]
    figure = blank(2.8)
    axes = figure.subplots()
    places = np.arange(len(true))
    for kept, colour, label in ((held, BLUE, "covers it"), (~held, RED, "misses it")):
        axes.vlines(places[kept], lower[kept], upper[kept], color=colour, lw=1.2, label=label)
    axes.plot(places, true, ".", ms=2.5, color=GREY, label=f"measured {name}")
    axes.set(xlim=(-1, len(true)), ylabel=f"{name}, {unit}")
    axes.set_xlabel("new lot, from the weakest to the strongest")
    axes.set_title(f"Lot intervals of {coverage:.0%} nominal coverage")
    legend_below(figure, axes, 3)
    return figure
