"""ROC curves of shifted tiles: how many are found, at how many false alarms.

Zhang et al. 2020 show them for entropy alone (Figures 7 to 12); here for the served scores, too.
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
from lotwise_training.report.figures.style import BLUE, GREY, RED, YELLOW, blank, percent, styled

LINES: Final[Mapping[str, tuple[str, str]]] = {
    "probability of a shift": (BLUE, "-"),
    "OOD p-value": (RED, "--"),
    "predictive entropy": (YELLOW, ":"),
}
"""Colour (Paul Tol's "high contrast") and line of each score."""
COLUMNS: Final = 3


def ood_scores(predictions: ShiftPredictions, outputs: Predictions, name: str) -> dict[str, Array]:
    """Scores of a set's tiles, high for out-of-distribution tiles: float64 [N] by name.

    Args:
        predictions: Of the diagnosis of shifts.
        outputs: Stored predictions of the committee; entropies of 1,000 tiles of each set.
        name: Of the set.
    """
    tiles = predictions.sets[name]
    found = {
        "probability of a shift": log_odds_of_change(tiles),
        "OOD p-value": -tiles.familiarity.astype(np.float64),
    }
    predicted = outputs.get((TILE_RANDOM, NEW_REGIONS if name == KNOWN else name))
    if predicted is not None and ENSEMBLE in predicted.predictions:
        found["predictive entropy"] = scores(predicted.predictions[ENSEMBLE]).entropy
    return found


@styled
def roc_figure(predictions: ShiftPredictions, outputs: Predictions) -> Figure:
    """A panel for every shifted set, a curve for every score, against known lots in new regions.

    Args:
        predictions: Of the diagnosis of shifts.
        outputs: Stored predictions of the committee.
    """
    shown = [name for name in predictions.sets if name not in (KNOWN, NEW)]
    rows = -(-len(shown) // COLUMNS)
    figure = blank(0.6 + 2.1 * rows)
    grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    known = ood_scores(predictions, outputs, KNOWN)
    for axes, name in zip(grid.flat, shown, strict=False):
        _panel(axes, known, ood_scores(predictions, outputs, name), name)
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    for row in grid:
        row[0].set_ylabel("true positive rate")
    for axes in grid[-1]:
        axes.set_xlabel("false positive rate (known tiles)")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    names = [label.rsplit(" ", 1)[0] for label in labels]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def _panel(axes: Axes, known: Mapping[str, Array], shifted: Mapping[str, Array], name: str) -> None:
    areas = []
    for score, (colour, line) in LINES.items():
        if score not in known or score not in shifted:
            continue
        truth = np.repeat([0, 1], [len(known[score]), len(shifted[score])])
        alarms, found, _ = roc_curve(truth, np.concatenate([known[score], shifted[score]]))
        area = auroc(known[score], shifted[score])
        axes.plot(alarms, found, line, color=colour, lw=1.3, label=f"{score} {area:.3f}")
        areas.append((f"{area:.3f}", colour))
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
    for place, (text, colour) in enumerate(areas):
        axes.text(
            0.96,
            0.26 - 0.1 * place,
            text,
            transform=axes.transAxes,
            ha="right",
            fontsize=7.5,
            color=colour,
        )
