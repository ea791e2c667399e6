"""How the report's figures look, and how they become SVG text."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lotwise.plots.style import GREY, PALE, STYLE, WIDTH_IN, blank, styled, write_png
from lotwise_training.outputs import DROPOUT, ENSEMBLE, SINGLE

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

_NO_METADATA: Final = {"Creator": None, "Date": None, "Format": None, "Type": None}


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
    with mpl.rc_context(STYLE):
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


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
