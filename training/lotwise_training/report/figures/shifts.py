"""Figures on shifted tiles: how uncertain the ensemble is of them, what is detected and diagnosed.

ROC curves are of entropy alone in Zhang et al. 2020 (Figures 7 to 12), here of all served scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator
from sklearn.metrics import roc_curve

from lotwise.core.diagnosis import KINDS, Shift
from lotwise.core.uncertainty import Array
from lotwise_training.evaluation.classification import known_set, scores
from lotwise_training.evaluation.predictions import ENSEMBLE, Predictions
from lotwise_training.evaluation.records import Records
from lotwise_training.evaluation.shifts import (
    KINDS_OF_LOTS,
    KINDS_OF_TILES,
    KNOWN,
    NEW,
    PER_LOT,
    ShiftPredictions,
    log_odds_of_change,
)
from lotwise_training.evaluation.tile_sets import NEW_REGIONS, TILE_RANDOM, in_order, words
from lotwise_training.metrics import auroc
from lotwise_training.report.figures.style import (
    BLUE,
    COLOURS,
    GREY,
    PALE,
    RED,
    YELLOW,
    blank,
    in_percent,
    styled,
)

_COLUMNS: Final = 4
_BINS: Final = 30
_KIND_COLOURS: Final = {
    Shift.NONE: "#DDDDDD",
    Shift.INSTRUMENT: YELLOW,
    Shift.SYNTHESIS: BLUE,
    Shift.UNRELATED: RED,
}
_SCORE_LINES: Final[Mapping[str, tuple[str, str]]] = {
    "probability of a shift": (BLUE, "-"),
    "OOD p-value": (RED, "--"),
    "predictive entropy": (YELLOW, ":"),
}
"""Colour (Paul Tol's "high contrast") and line of each score."""
_ROC_COLUMNS: Final = 3


@styled
def entropy_figure(outputs: Predictions) -> Figure:
    """Predictive entropy of the ensemble: shifted sets over the known tiles, a panel each."""
    shown = shifted_sets(outputs)
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = blank(0.7 + 1.75 * rows)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for panel, (split, name, against) in zip(grid.flat, shown, strict=False):
        _panel(panel, outputs, split, name, against)
    for panel in grid.flat[len(shown) :]:
        panel.set_axis_off()
    # Shared by all panels; room above for the words in their corners.
    top = min(1.0, 1.3 * max(panel.get_ylim()[1] for panel in grid.flat[: len(shown)]))
    grid[0, 0].set_ylim(0, top)
    grid[0, 0].set_yticks([tick for tick in (0.01, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0) if tick <= top])
    in_percent(grid[0, 0], "y")
    for row in grid:
        row[0].set_ylabel("share of tiles")
    for number, panel in enumerate(grid.flat):
        if number < len(shown) and number + columns >= len(shown):
            panel.set_xlabel("predictive entropy, nats")
    figure.legend(
        [Patch(color=PALE), Line2D([], [], color=COLOURS[ENSEMBLE])],
        ["known tiles", "shifted tiles"],
        loc="outside lower center",
        ncols=2,
    )
    return figure


def shifted_sets(outputs: Predictions) -> Sequence[tuple[str, str, str]]:
    """(split, shifted set, known set) that the ensemble predicted."""
    found = []
    for split, name in in_order(outputs):
        against = known_set(outputs, split, name)
        if against is None or ENSEMBLE not in outputs[split, name].predictions:
            continue
        if ENSEMBLE in outputs[split, against].predictions:
            found.append((split, name, against))
    return found


@styled
def kinds_figure(records: Records) -> Figure:
    """What tiles and lots of every set are diagnosed as, as bars."""
    rows = records.rows(KINDS_OF_TILES)
    figure = blank(0.9 + 0.28 * len(rows))
    panels = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(rows))[::-1]
    titles = {KINDS_OF_TILES: "single tiles", KINDS_OF_LOTS: f"lots of {PER_LOT} tiles"}
    for axes, (section, title) in zip(panels, titles.items(), strict=True):
        left = np.zeros(len(rows))
        for kind in KINDS:
            shares = np.array([row.value(kind.value) for row in records.rows(section)])
            style = {"color": _KIND_COLOURS[kind], "height": 0.7, "label": kind.value}
            axes.barh(places, shares, left=left, **style)
            left += shares
        axes.set(title=title, xlim=(0, 1))
        in_percent(axes, "x")
        axes.set_xlabel("share diagnosed as each kind")
    panels[0].set_yticks(places, [f"{words(r.of['set'])} ({r.of['truth']})" for r in rows])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(KINDS))
    return figure


def _panel(axes: Axes, outputs: Predictions, split: str, name: str, against: str) -> None:
    shifted = scores(outputs[split, name].predictions[ENSEMBLE])
    known = scores(outputs[split, against].predictions[ENSEMBLE])
    largest = np.log(shifted.probabilities.shape[1])
    edges = np.linspace(0, largest, _BINS + 1)
    for values, filled in ((known.entropy, True), (shifted.entropy, False)):
        # Clipped: rounding may put a flat answer just above ln K.
        share = np.histogram(np.minimum(values, largest), edges)[0] / len(values)
        axes.stairs(share, edges, fill=filled, color=PALE if filled else COLOURS[ENSEMBLE], lw=1.2)
    axes.axvline(largest, color=GREY, lw=0.8, ls=":")
    axes.set_xlim(0, 1.02 * largest)
    # A root shows the few unsure known tiles beside the many sure ones.
    axes.set_yscale("function", functions=(np.sqrt, np.square))
    axes.set_title(f"{words(name)}", fontsize=7.5)
    axes.text(
        0.9,
        0.95,
        f"{len(shifted.entropy):,} tiles\nagainst {len(known.entropy):,}\n"
        f"AUROC {auroc(known.entropy, shifted.entropy):.3f}",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=7,
    )


def ood_scores(predictions: ShiftPredictions, outputs: Predictions, name: str) -> dict[str, Array]:
    """Scores of a set's tiles, high for out-of-distribution tiles: float64 [N] by name."""
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
    """A panel for every shifted set, a curve for every score, against known lots in new regions."""
    shown = [name for name in predictions.sets if name not in (KNOWN, NEW)]
    rows = -(-len(shown) // _ROC_COLUMNS)
    figure = blank(0.6 + 2.1 * rows)
    grid = figure.subplots(rows, _ROC_COLUMNS, sharex=True, sharey=True, squeeze=False)
    known = ood_scores(predictions, outputs, KNOWN)
    for axes, name in zip(grid.flat, shown, strict=False):
        _roc_panel(axes, known, ood_scores(predictions, outputs, name), name)
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


def _roc_panel(
    axes: Axes, known: Mapping[str, Array], shifted: Mapping[str, Array], name: str
) -> None:
    areas = []
    for score, (colour, line) in _SCORE_LINES.items():
        if score not in known or score not in shifted:
            continue
        truth = np.repeat([0, 1], [len(known[score]), len(shifted[score])])
        alarms, found, _ = roc_curve(truth, np.concatenate([known[score], shifted[score]]))
        area = auroc(known[score], shifted[score])
        axes.plot(alarms, found, line, color=colour, lw=1.3, label=f"{score} {area:.3f}")
        areas.append((f"{area:.3f}", colour))
    chance = np.linspace(0, 1, 101)  # a line of two points would stay straight
    axes.plot(chance, chance, color=GREY, lw=0.6)
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    # A root shows where alarms are rare, which is where one works.
    axes.set_xscale("function", functions=(np.sqrt, np.square))
    axes.xaxis.set_major_locator(FixedLocator([0.01, 0.05, 0.2, 0.5, 1.0]))
    in_percent(axes, "xy")
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
