"""Figures of predicted properties: lot by lot as in Liu et al. 2020 (Figures 8 and 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from lotwise_training.evaluation.property_predictions import (
    LOT_HELD_OUT,
    MEAN,
    METHODS,
    NETWORK,
    NEW_LOTS,
    REGION_BLOCKED,
    SCORES,
    TEXTURE,
    TILE_RANDOM,
    PropertySet,
)
from lotwise_training.evaluation.regression import PropertyFigures, lot_predictions
from lotwise_training.report.figures.style import GREY, blank, legend_below, styled

_COLOURS: Final[Mapping[str, str]] = MappingProxyType(
    {NETWORK: "#004488", TEXTURE: "#DDAA33", SCORES: "#BB5566", MEAN: "#6b7280"}
)
_MARKERS: Final[Mapping[str, str]] = MappingProxyType(
    {NETWORK: "o", TEXTURE: "^", SCORES: "s", MEAN: "D"}
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
            lots.true,
            lots.mean,
            yerr=lots.spread,
            fmt="o",
            ms=2.6,
            lw=0.6,
            color=_COLOURS[NETWORK],
            alpha=0.75,
        )
        axes.set_title(f"{each}\n{len(lots.lot_ids)} lots", fontsize=7.5)
    panels[0].set_ylabel(f"predicted {name}, {unit}")
    figure.supxlabel(f"measured {name}, {unit} (bars: standard deviation of a lot's tiles)", size=8)
    return figure


@styled
def lots_figure(answered: PropertySet, title: str, unit: str) -> Figure:
    """RMSE of every lot's tiles, lots in the order of their measured property."""
    lots = lot_predictions(answered, NETWORK)
    order = np.argsort(lots.true)
    figure = blank(2.4)
    axes = figure.subplots()
    places = np.arange(len(order))
    axes.bar(places, lots.rmse[order], color=_COLOURS[NETWORK], width=0.7)
    axes.axhline(float(np.sqrt(np.mean(lots.rmse**2))), color=GREY, lw=0.8, ls=":")
    axes.set_xticks(places, [lots.lot_ids[n] for n in order], rotation=90, fontsize=6)
    axes.set_xlim(-0.8, len(order) - 0.2)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel(f"RMSE of the lot's tiles, {unit}")
    axes.set_xlabel("lot, from the weakest to the strongest (dotted: root mean square of all)")
    axes.set_title(title)
    return figure


@styled
def methods_figure(figures: Sequence[PropertyFigures]) -> Figure:
    """MAPE of tiles by set and method, with intervals over lots."""
    shown = [each for each in _PANELS if any(row.set == each for row in figures)]
    rows = [row for row in figures if row.set in shown]
    methods = [method for method in METHODS if any(row.method == method for row in rows)]
    figure = blank(0.9 + 0.8 * len(shown))
    axes = figure.subplots()
    for row, name in enumerate(shown):
        for step, method in enumerate(methods):
            found = next((f for f in figures if (f.set, f.method) == (name, method)), None)
            if found is None:
                continue
            y = row + 0.2 * (step - (len(methods) - 1) / 2)
            colour = _COLOURS[method]
            axes.plot(found.mape_interval, (y, y), color=colour, solid_capstyle="butt")
            axes.plot(
                found.mape_percent,
                y,
                _MARKERS[method],
                color=colour,
                label=method if row == 0 else None,
            )
            axes.text(
                1.01,
                y,
                f"{found.mape_percent:.1f}%",
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=7,
                color=colour,
            )
    axes.set_yticks(range(len(shown)), shown)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(left=0.0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("mean absolute percentage error of tiles, % (bars: 95% interval over lots)")
    axes.set_title("Error of the predicted property, by set and method")
    legend_below(figure, axes, 4)
    return figure
