"""How the report's figures look."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lotwise.plots.inline import as_svg
from lotwise.plots.style import GREY, PALE, WIDTH_IN, blank, styled, write_png
from lotwise_training.evaluation.predictions import DROPOUT, ENSEMBLE, SINGLE

COLOURS: Final[Mapping[str, str]] = MappingProxyType(
    {SINGLE: "#BB5566", DROPOUT: "#DDAA33", ENSEMBLE: "#004488"}
)
"""Paul Tol's "high contrast": told apart with any colour vision, and in grey."""
LINES: Final[Mapping[str, str]] = MappingProxyType({SINGLE: "--", DROPOUT: "-.", ENSEMBLE: "-"})
MARKERS: Final[Mapping[str, str]] = MappingProxyType({SINGLE: "s", DROPOUT: "^", ENSEMBLE: "o"})
REPEAT: Final = "#8fb3d9"
"""Confusion with a repeat of the same recipe: between right and wrong."""

__all__ = [
    "COLOURS",
    "GREY",
    "LINES",
    "MARKERS",
    "PALE",
    "REPEAT",
    "WIDTH_IN",
    "as_svg",
    "blank",
    "legend_below",
    "percent",
    "styled",
    "write_png",
]


def percent(share: float, _position: float = 0.0) -> str:
    """Text of a tick: 0.125 is 12.5%."""
    return f"{100 * share:.4g}%"


def legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    """One legend for all panels, under them, from the entries of one."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
