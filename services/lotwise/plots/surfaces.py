"""Figures of a property over two attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lotwise.client.explanations import PairExplanation
from lotwise.plots.labels import Shown, titled
from lotwise.plots.style import RED, blank, styled

COLOURS = "cividis"
"""Even in lightness, and alike for all eyes."""


@styled
def pair_figure(
    answer: PairExplanation, shown: Shown, own: tuple[float, float] | None = None
) -> Figure:
    """The property of a tile over a pair of attributes.

    Args:
        answer: Of the explain service.
        shown: Converts to the unit of the scale.
        own: The lot's own values of the pair, where they are known.
    """
    figure = blank(3.4)
    axes = figure.subplots()
    points = [
        (step.first_value, step.second_value, shown(step.quantity).value) for step in answer.steps
    ]
    label = f"{answer.property_name}, {shown(answer.original).unit}"
    draw_surface(axes, (answer.first, answer.second), points, label, own)
    titled(figure, answer.lot_id, f"{answer.tile_id}, edited", answer.simulated)
    return figure


def draw_surface(
    axes: Axes,
    names: tuple[str, str],
    points: Sequence[tuple[float, float, float]],
    label: str,
    own: tuple[float, float] | None,
) -> None:
    """Colours and contour lines over two attributes.

    Args:
        axes: To draw into.
        names: Of the attributes; the first runs to the right.
        points: Both attributes and the property, the second attribute's running faster.
        label: Of the property.
        own: The lot's own values, where they are known.
    """
    across, up = (np.unique([point[place] for point in points]) for place in (0, 1))
    values: npt.NDArray[np.float64] = np.array([point[2] for point in points])
    grid = values.reshape(len(across), len(up)).T
    mesh = axes.pcolormesh(across, up, grid, cmap=COLOURS, shading="gouraud", rasterized=True)
    if np.ptp(grid) > 0:
        lines = axes.contour(across, up, grid, levels=6, colors="white", linewidths=0.8)
        axes.clabel(lines, fontsize=6.5, fmt=lambda value: f"{value:,.4g}")
    if own is not None:
        axes.plot(*[[each] for each in own], "D", color=RED, mec="white", ms=6, zorder=3)
        axes.annotate(
            "the lot", own, xytext=(6, 5), textcoords="offset points", color="white", fontsize=7.5
        )
    assert axes.figure is not None
    axes.figure.colorbar(mesh, ax=axes, label=label)
    axes.grid(visible=False)
    axes.set_xlabel(f"{names[0]}, 0 to 1 over the design range")
    axes.set_ylabel(f"{names[1]}, 0 to 1")
