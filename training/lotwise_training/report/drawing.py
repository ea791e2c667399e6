"""How figures look, and how they become SVG text or PNG files."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lotwise_training.outputs import DROPOUT, ENSEMBLE, SINGLE

P = ParamSpec("P")

WIDTH_IN: Final = 7.2
"""Two columns of a journal; text of 8 pt stays 8 pt there."""
PNG_DPI: Final = 200
COLOURS: Final[Mapping[str, str]] = MappingProxyType(
    {SINGLE: "#BB5566", DROPOUT: "#DDAA33", ENSEMBLE: "#004488"}
)
"""Paul Tol's "high contrast": told apart with any colour vision, and in grey."""
LINES: Final[Mapping[str, str]] = MappingProxyType({SINGLE: "--", DROPOUT: "-.", ENSEMBLE: "-"})
MARKERS: Final[Mapping[str, str]] = MappingProxyType({SINGLE: "s", DROPOUT: "^", ENSEMBLE: "o"})
GREY: Final = "#6b7280"
PALE: Final = "#d5d9e0"
REPEAT: Final = "#8fb3d9"
"""Confusion with a repeat of the same recipe: between right and wrong."""

_STYLE: Final[Any] = {
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
_NO_METADATA: Final = {"Creator": None, "Date": None, "Format": None, "Type": None}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the style of the report, whatever the caller's settings are."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def blank(height_in: float) -> Figure:
    """An empty figure, as wide as the text."""
    return Figure(figsize=(WIDTH_IN, height_in))


def percent(share: float, _position: float = 0.0) -> str:
    """Text of a tick: 0.125 is 12.5%."""
    return f"{100 * share:.4g}%"


def legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    """One legend for all panels, under them, from the entries of one."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def as_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an element to be put into a page.

    Args:
        figure: What to draw.
        name: Prefix of every id inside, so that figures on one page do not share any.
        description: For those who do not see it.
    """
    buffer = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].rstrip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", svg)
    # Where DejaVu is missing, a font no wider than it, so that nothing overlaps.
    svg = svg.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
    # The page decides on the width; the box keeps the shape.
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{_quoted(description)}"', 1)


def write_png(figure: Figure, path: Path) -> None:
    """The figure as a file for a document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        figure.savefig(path, format="png", dpi=PNG_DPI)


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
