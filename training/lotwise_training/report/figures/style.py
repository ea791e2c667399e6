"""How the report's figures look, and what they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lotwise.plots.inline import as_svg
from lotwise.plots.style import BLUE, GREY, PALE, RED, WIDTH_IN, YELLOW, blank, styled, write_png
from lotwise_training.evaluation.predictions import DROPOUT, ENSEMBLE, SINGLE
from lotwise_training.evaluation.records import Metric
from lotwise_training.evaluation.tile_sets import words

COLOURS: Final[Mapping[str, str]] = MappingProxyType(
    {SINGLE: "#BB5566", DROPOUT: "#DDAA33", ENSEMBLE: "#004488"}
)
"""Paul Tol's "high contrast": told apart with any colour vision, and in grey."""
LINES: Final[Mapping[str, str]] = MappingProxyType({SINGLE: "--", DROPOUT: "-.", ENSEMBLE: "-"})
MARKERS: Final[Mapping[str, str]] = MappingProxyType({SINGLE: "s", DROPOUT: "^", ENSEMBLE: "o"})
REPEAT: Final = "#8fb3d9"
"""Confusion with a repeat of the same recipe: between right and wrong."""

__all__ = [
    "BLUE",
    "COLOURS",
    "GREY",
    "LINES",
    "MARKERS",
    "PALE",
    "RED",
    "REPEAT",
    "WIDTH_IN",
    "YELLOW",
    "Plot",
    "as_svg",
    "blank",
    "in_percent",
    "legend_below",
    "method_marks",
    "percent",
    "styled",
    "write_png",
]


@dataclass(frozen=True)
class Plot:
    """A figure with its caption.

    Attributes:
        name: Short and unique; also the name of a file.
        figure: What is drawn.
        caption: What it shows, and of what; may refer to tables as `[[name]]`.
    """

    name: str
    figure: Figure
    caption: str


def percent(share: float, _position: float = 0.0) -> str:
    """Text of a tick: 0.125 is 12.5%."""
    return f"{100 * share:.4g}%"


def in_percent(axes: Axes, of: str) -> None:
    """Ticks of the axes named, "x", "y" or "xy", as percentages of shares."""
    for name in of:
        getattr(axes, f"{name}axis").set_major_formatter(percent)


def legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    """One legend for all panels, under them, from the entries of one."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def method_marks(
    axes: Axes,
    rows: Sequence[tuple[str, str, Metric]],
    labels: Mapping[str, str],
    looks: Mapping[str, tuple[str, str]],
    text: str,
) -> dict[tuple[str, str], float]:
    """Draw a metric by group and method: a mark with its interval each, its value beside the panel.

    Args:
        axes: To draw on.
        rows: Group, method and what was measured.
        labels: Of the groups, from top to bottom.
        looks: Colour and marker of the methods, in their order.
        text: Format of a value.

    Returns:
        Height of each mark by group and method.
    """
    methods = [method for method in looks if any(row[1] == method for row in rows)]
    groups, heights = list(labels), {}
    for group, method, metric in rows:
        step = methods.index(method) - (len(methods) - 1) / 2
        value: Any = metric.value
        y = heights[group, method] = groups.index(group) + 0.72 / len(methods) * step
        colour, marker = looks[method]
        ends: Any = metric.interval
        if ends is not None:
            axes.plot(ends, (y, y), color=colour, solid_capstyle="butt")
        label = words(method) if group == groups[0] else None
        axes.plot(value, y, marker, color=colour, label=label)
        # In a column beside the panel, where no mark can lie under it.
        beside = axes.get_yaxis_transform()
        shown = text.format(value)
        axes.text(1.01, y, shown, transform=beside, va="center", fontsize=7, color=colour)
    axes.set_yticks(range(len(groups)), list(labels.values()))
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    return heights
