"""Figures of edits, as those of Liu et al. 2020.

Response matrices, training curves (their Figure 10) and contact sheets (3 and 11 to 17).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from lotwise_training.evaluation.edits import SIMULATOR, EditFigures
from lotwise_training.evaluation.tile_sets import words
from lotwise_training.report.figures.style import (
    BLUE,
    GREY,
    RED,
    WIDTH_IN,
    blank,
    legend_below,
    styled,
)

KINDS: Final = (SIMULATOR, "difference", "attgan")
"""In the order in which they are shown."""
_COLOURS: Final = {"difference": BLUE, "attgan": RED}
_CURVES: Final = (
    ("redrawing", "reconstruction: mean error, grey levels"),
    ("reading", "attribute reader, real tiles: RMSE"),
    ("edits", "attribute reader, edited tiles: RMSE"),
    ("texture", "texture loss, share"),
    ("critic", "critic's hinge loss (2: chance)"),
)
CHANCE: Final = 12**-0.5


@styled
def response_figure(figures: Mapping[str, EditFigures], attributes: Sequence[str]) -> Figure:
    """Edit-response matrices, a panel a kind of editor."""
    shown = [kind for kind in KINDS if kind in figures]
    figure = blank(2.9)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    places = range(len(attributes))
    for axes, kind in zip(panels, shown, strict=True):
        response = figures[kind].response.value
        axes.imshow(response, cmap="RdBu", vmin=-1.1, vmax=1.1)
        for row in places:
            for column in places:
                value = response[row, column]
                axes.text(
                    column,
                    row,
                    f"{round(value, 2) + 0.0:.2f}".replace("-", "−"),
                    ha="center",
                    va="center",
                    color="white" if abs(value) > 0.6 else "black",
                    weight="bold" if row == column else "normal",
                )
        axes.set_xticks(places, attributes, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, attributes if axes is panels[0] else [""] * len(attributes))
        axes.set_title(words(kind), fontsize=8)
        axes.grid(visible=False)
        axes.tick_params(length=0)
    panels[0].set_ylabel("requested change of 1")
    figure.supxlabel("measured change", size=8)
    return figure


@styled
def curves_figure(curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]]) -> Figure:
    """Losses in the course of the trainings, a line a kind of editor."""
    figure = blank(3.4)
    panels = figure.subplots(2, 3).ravel()
    for axes, (name, title) in zip(panels, _CURVES, strict=False):
        for kind, of_kind in curves.items():
            if name in of_kind:
                step, value = np.array(of_kind[name], dtype=float).T
                axes.plot(step, value, color=_COLOURS[kind], lw=0.9, label=words(kind))
        if name in ("reading", "edits"):
            axes.axhline(CHANCE, color=GREY, lw=0.8, ls=":")
        axes.set_title(title, fontsize=7)
        axes.set_ylim(bottom=0.0)
        axes.set_xlim(left=0)
        axes.set_xlabel("step", fontsize=7)
    panels[-1].set_axis_off()
    # Not every editor is followed by every curve.
    fullest = max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[0]))
    legend_below(figure, fullest, len(curves))
    return figure


@styled
def contact_sheet(
    images: npt.NDArray[np.uint8],
    attributes: Sequence[str],
    captions: Sequence[Sequence[str]],
    title: str,
) -> Figure:
    """Edits of one tile: a row an attribute, its value rising from left to right.

    Args:
        images: uint8 [A, n, H, W].
        attributes: Names of the A rows.
        captions: By row, n texts such as "0.20, 1,430 psi".
        title: Of the sheet.
    """
    rows, columns = images.shape[:2]
    figure = Figure(figsize=(WIDTH_IN, 0.35 + rows * (WIDTH_IN / columns * 0.98 + 0.13)))
    grid = figure.subplots(rows, columns, squeeze=False)
    for row in range(rows):
        for column in range(columns):
            axes = grid[row, column]
            axes.imshow(images[row, column], cmap="gray", vmin=0, vmax=255, interpolation="none")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_title(captions[row][column], fontsize=6.5, weight="normal", pad=2)
        grid[row, 0].set_ylabel(attributes[row])
    figure.suptitle(title, size=8.5, weight="bold", x=0.01, ha="left")
    return figure
