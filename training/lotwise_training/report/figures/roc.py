"""ROC curves of shifted tiles: how many are found, at how many false alarms.

Zhang et al. 2020 show them for entropy alone (Figures 7 to 12); here stand the served scores beside
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator
from sklearn.metrics import roc_curve

from lotwise.core.uncertainty import Array
from lotwise_training.evaluation.classification import scores
from lotwise_training.evaluation.predictions import ENSEMBLE, Predictions
from lotwise_training.evaluation.shift_predictions import KNOWN, NEW, ShiftPredictions
from lotwise_training.evaluation.shifts import log_odds_of_change
from lotwise_training.evaluation.tile_sets import NEW_REGIONS, TILE_RANDOM, words
from lotwise_training.metrics import auroc
from lotwise_training.report.figures.style import GREY, blank, percent, styled

LINES: Final[Mapping[str, tuple[str, str]]] = {
    "chance that something has changed": ("#004488", "-"),
    "familiarity": ("#BB5566", "--"),
    "predictive entropy": ("#DDAA33", ":"),
}
"""Colour (Paul Tol's "high contrast") and line of each score."""
COLUMNS: Final = 3


def strangeness(answers: ShiftPredictions, outputs: Predictions, name: str) -> dict[str, Array]:
    """Scores of a set's tiles, high where a tile is strange: float64 [N] by name.

    Args:
        answers: Of the diagnosis.
        outputs: Stored answers of the committee; entropies of 1,000 tiles of each set.
        name: Of the set.
    """
    tiles = answers.sets[name]
    found = {
        "chance that something has changed": log_odds_of_change(tiles),
        "familiarity": -tiles.familiarity.astype(np.float64),
    }
    asked = outputs.get((TILE_RANDOM, NEW_REGIONS if name == KNOWN else name))
    if asked is not None and ENSEMBLE in asked.answers:
        found["predictive entropy"] = scores(asked.answers[ENSEMBLE]).entropy
    return found


@styled
def roc_figure(answers: ShiftPredictions, outputs: Predictions) -> Figure:
    """A panel for every shifted set, a curve for every score, against known lots in new regions.

    Args:
        answers: Of the diagnosis.
        outputs: Stored answers of the committee.
    """
    shown = [name for name in answers.sets if name not in (KNOWN, NEW)]
    rows = -(-len(shown) // COLUMNS)
    figure = blank(0.6 + 2.1 * rows)
    grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    known = strangeness(answers, outputs, KNOWN)
    for axes, name in zip(grid.flat, shown, strict=False):
        _panel(axes, known, strangeness(answers, outputs, name), name)
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    for row in grid:
        row[0].set_ylabel("share of shifted tiles found")
    for axes in grid[-1]:
        axes.set_xlabel("false alarms on known tiles")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    names = [label.rsplit(" ", 1)[0] for label in labels]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def _panel(axes: Axes, known: Mapping[str, Array], shifted: Mapping[str, Array], name: str) -> None:
    said = []
    for score, (colour, line) in LINES.items():
        if score not in known or score not in shifted:
            continue
        truth = np.repeat([0, 1], [len(known[score]), len(shifted[score])])
        alarms, found, _ = roc_curve(truth, np.concatenate([known[score], shifted[score]]))
        area = auroc(known[score], shifted[score])
        axes.plot(alarms, found, line, color=colour, lw=1.3, label=f"{score} {area:.3f}")
        said.append((f"{area:.3f}", colour))
    chance = np.linspace(0, 1, 101)  # a line of two points would stay straight
    axes.plot(chance, chance, color=GREY, lw=0.6)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    # A root shows where alarms are rare, which is where one works.
    axes.set_xscale("function", functions=(np.sqrt, np.square))
    axes.xaxis.set_major_locator(FixedLocator([0.01, 0.05, 0.2, 0.5, 1.0]))
    axes.xaxis.set_major_formatter(percent)
    axes.yaxis.set_major_formatter(percent)
    axes.set_title(words(name), fontsize=7.5)
    axes.text(0.96, 0.36, "AUROC", transform=axes.transAxes, ha="right", fontsize=7, color=GREY)
    for place, (text, colour) in enumerate(said):
        axes.text(
            0.96,
            0.26 - 0.1 * place,
            text,
            transform=axes.transAxes,
            ha="right",
            fontsize=7.5,
            color=colour,
        )
