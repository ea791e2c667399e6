"""How all figures look: text that stays text, colours that all eyes tell apart."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

P = ParamSpec("P")

WIDTH_IN: Final = 7.2
"""Two columns of a journal; text of 8 pt stays 8 pt there."""
PNG_DPI: Final = 200
BLUE: Final = "#004488"
RED: Final = "#BB5566"
YELLOW: Final = "#DDAA33"
"""Paul Tol's "high contrast": told apart with any colour vision, and in grey."""
GREY: Final = "#6b7280"
PALE: Final = "#d5d9e0"

STYLE: Final[Any] = {
    "svg.fonttype": "none",  # text stays text: it can be read, searched and copied
    "svg.hashsalt": "lotwise",  # the same figure gives the same bytes
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.0,
    "axes.edgecolor": "#374151",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 5.0,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the style of the report, whatever the caller's settings are."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def blank(height_in: float) -> Figure:
    """An empty figure, as wide as the text."""
    return Figure(figsize=(WIDTH_IN, height_in))


def write_figure(figure: Figure, path: Path) -> None:
    """The figure as a file whose name ends with .png or .svg.

    Raises:
        ValueError: It ends otherwise.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in ("png", "svg"):
        raise ValueError(f"{path.name} is no name of a plot; end it with .png or .svg.")
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if ending == "svg" else None
    with mpl.rc_context(STYLE):
        figure.savefig(path, format=ending, dpi=PNG_DPI, metadata=metadata)


def write_png(figure: Figure, path: Path) -> None:
    """The figure as a PNG file, whatever its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure.savefig(path, format="png", dpi=PNG_DPI)
