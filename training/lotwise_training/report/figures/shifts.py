"""Figures on shifted tiles: how uncertain the ensemble is of them, what the diagnosis says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lotwise.core.diagnosis import KINDS, Shift
from lotwise_training.evaluation.classification import known_set, scores
from lotwise_training.evaluation.predictions import ENSEMBLE, Predictions
from lotwise_training.evaluation.records import Records
from lotwise_training.evaluation.shift_predictions import PER_LOT
from lotwise_training.evaluation.shifts import KINDS_OF_LOTS, KINDS_OF_TILES
from lotwise_training.evaluation.tile_sets import in_order, words
from lotwise_training.metrics import auroc
from lotwise_training.report.figures.style import (
    BLUE,
    COLOURS,
    GREY,
    PALE,
    RED,
    YELLOW,
    blank,
    percent,
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
    grid[0, 0].yaxis.set_major_formatter(percent)
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
        axes.set_title(title)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(percent)
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
