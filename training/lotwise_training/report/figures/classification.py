"""Figures on tiles of known lots: accuracy, risk-coverage, calibration, confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, StrMethodFormatter
from sklearn.metrics import confusion_matrix

from lotwise_training.evaluation.bootstrap import wilson
from lotwise_training.evaluation.classification import COVERAGE, SECTION, misclassified, scores
from lotwise_training.evaluation.predictions import ENSEMBLE, METHODS, SINGLE, TEST, Predictions
from lotwise_training.evaluation.records import Records
from lotwise_training.evaluation.tile_sets import (
    TILE_RANDOM,
    lot_names,
    recipe_numbers,
    splits_of,
    words,
)
from lotwise_training.metrics import ECE_BINS, reliability, risk_coverage
from lotwise_training.report.figures.style import (
    COLOURS,
    GREY,
    LINES,
    MARKERS,
    PALE,
    REPEAT,
    blank,
    in_percent,
    legend_below,
    method_marks,
    percent,
    styled,
)
from lotwise_training.report.targets import LEAST_ACCURACY, MOST_SELECTIVE_RISK, published

_LEAST_TILES: Final = 10
"""A bin of fewer is drawn hollow: its accuracy says little."""
_CURVE_POINTS: Final = 300


@styled
def accuracy_figure(records: Records, splits: Sequence[str]) -> Figure:
    """Accuracy on test tiles, by split and method, with intervals and the published values."""
    figure = blank(0.9 + 0.75 * len(splits))
    axes = figure.subplots()
    rows = [
        (str(row.of["split"]), str(row.of["method"]), row.metrics["accuracy"])
        for row in records.rows(SECTION, set=TEST)
        if "accuracy" in row.metrics
    ]
    tiles = {split: metric.count for split, _, metric in rows}
    labels = {split: f"{split}\n{tiles.get(split, 0):,} tiles" for split in splits}
    looks = {method: (COLOURS[method], MARKERS[method]) for method in METHODS}
    heights = method_marks(axes, rows, labels, looks, "{:.1%}")
    for (split, method), y in heights.items():
        if split == TILE_RANDOM:
            label = "published (Zhang et al. 2020, other lots)" if method == ENSEMBLE else None
            at, colour = published("accuracy", method), COLOURS[method]
            axes.plot(at, y, MARKERS[method], mfc="white", mec=colour, label=label)
    axes.axvline(LEAST_ACCURACY, color=GREY, lw=0.8, ls=":", zorder=0.5)
    in_percent(axes, "x")
    axes.set_xlabel("accuracy: share of test tiles whose lot is identified (bars: 95% interval)")
    axes.set_title("Accuracy on test tiles, by split and method")
    legend_below(figure, axes, 4)
    return figure


@styled
def risk_coverage_figure(outputs: Predictions) -> Figure:
    """Error among accepted tiles against the share accepted, a panel for each split."""
    splits = splits_of(outputs)
    figure = blank(3.0)
    panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
    for axes, split in zip(panels, splits, strict=True):
        predicted = outputs[split, TEST]
        for method, predictions in predicted.predictions.items():
            scored = scores(predictions)
            curve = risk_coverage(scored.entropy, misclassified(scored, predicted.labels))
            # From 5% on: the first few tiles alone jump.
            n = len(curve.coverage)
            shown = np.unique(np.linspace(max(n // 20, 1) - 1, n - 1, _CURVE_POINTS).astype(int))
            line, colour = LINES[method], COLOURS[method]
            x, y = curve.coverage[shown], curve.risk[shown]
            axes.plot(x, y, line, color=colour, label=words(method))
            axes.plot(COVERAGE, curve.at(COVERAGE), MARKERS[method], color=colour, ms=4)
        if split == TILE_RANDOM:
            for method in (SINGLE, ENSEMBLE):
                risk, look = published("selective_risk", method), MARKERS[method]
                label = "published, at 90%" if method == ENSEMBLE else None
                style: dict[str, Any] = {"mfc": "white", "mec": COLOURS[method], "ms": 5}
                axes.plot(COVERAGE, risk, look, label=label, **style)
        axes.plot([0, COVERAGE], [MOST_SELECTIVE_RISK] * 2, color=GREY, lw=0.8, ls=":")
        axes.axvline(COVERAGE, color=GREY, lw=0.8, ls=":")
        axes.set(xlim=(0, 1), xlabel="coverage: share of tiles accepted")
        axes.set_title(f"{split}, {len(predicted.tiles):,} tiles")
        in_percent(axes, "xy")
        axes.xaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1.0]))
    # Last, because it ends the scaling to what is drawn, in all panels.
    panels[0].set_ylim(bottom=0)
    panels[0].set_ylabel("risk: error among accepted tiles")
    legend_below(figure, panels[splits.index(TILE_RANDOM) if TILE_RANDOM in splits else 0], 4)
    return figure


@styled
def reliability_figure(outputs: Predictions, split: str) -> Figure:
    """Accuracy against confidence in 20 bins with their counts, a column for each method."""
    predicted = outputs[split, TEST]
    labels = predicted.labels.astype(np.int64)
    figure = blank(3.6)
    grid: dict[str, Any] = {
        "sharex": True,
        "sharey": "row",
        "squeeze": False,
        "height_ratios": [3, 1],
    }
    rows = figure.subplots(2, len(predicted.predictions), **grid)
    edges = np.linspace(0, 1, ECE_BINS + 1)
    for column, (method, predictions) in enumerate(predicted.predictions.items()):
        bins = reliability(predictions.probabilities, labels)
        above, below = rows[0, column], rows[1, column]
        above.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
        some, few = bins.tiles > 0, bins.tiles < _LEAST_TILES
        right = zip(bins.accuracy[some] * bins.tiles[some], bins.tiles[some], strict=True)
        low, high = zip(*(wilson(hits, int(n)) for hits, n in right), strict=True)
        colour, look = COLOURS[method], MARKERS[method]
        above.vlines(bins.confidence[some], low, high, color=colour, lw=0.9, alpha=0.7)
        for shown, fill in ((some & ~few, colour), (some & few, "white")):
            x, y = bins.confidence[shown], bins.accuracy[shown]
            above.plot(x, y, look, color=colour, mfc=fill, ms=4)
        above.set_title(words(method))
        above.text(0.96, 0.05, f"ECE {bins.error:.2%}", transform=above.transAxes, ha="right")
        above.set_ylim(-0.02, 1.02)
        in_percent(above, "y")
        style = {"color": colour, "ec": "white", "lw": 0.5}
        below.bar(edges[:-1], bins.tiles, 1 / ECE_BINS, align="edge", **style)
        below.set_yscale("log")
        below.set_ylim(bottom=0.7)
        below.yaxis.set_major_locator(FixedLocator([1, 10, 100, 1000, 10000]))
        below.yaxis.set_minor_locator(NullLocator())
        below.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        below.set(xlim=(0, 1), xlabel="confidence: max p(lot)")
        in_percent(below, "x")
    figure.suptitle(f"{split}, {len(labels):,} test tiles", x=0.01, ha="left", fontsize=8.5)
    rows[0, 0].set_ylabel("accuracy in the bin")
    rows[1, 0].set_ylabel("tiles")
    return figure


@styled
def confusion_figure(outputs: Predictions, manifest: Mapping[str, Any], split: str) -> Figure:
    """Confusion matrix of the ensemble, recipe by recipe, and the predictions of each lot."""
    predicted = outputs[split, TEST]
    predictions = predicted.predictions[ENSEMBLE if ENSEMBLE in predicted.predictions else SINGLE]
    n_lots = predictions.log_probabilities.shape[1]
    names = lot_names(manifest, split, n_lots)
    recipes = recipe_numbers(manifest, names)
    recipes = np.arange(n_lots) if recipes is None else recipes
    # Recipes in the order of their first lots, so that R01 comes first and not recipe "10".
    _, first, number = np.unique(recipes, return_index=True, return_inverse=True)
    order = np.argsort(first[number], kind="stable")
    guessed = predictions.probabilities.argmax(axis=1)
    counts = confusion_matrix(predicted.labels, guessed, labels=order)
    n_tiles = counts.sum(axis=1)
    shares = counts / np.maximum(n_tiles, 1)[:, None]
    same = recipes[order][:, None] == recipes[order][None, :]

    figure = blank(4.3)
    matrix, bars = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [1.25, 1]})
    colours = LinearSegmentedColormap.from_list(
        "blues", ["#ffffff", "#9dbfe0", "#004488", "#00203f"]
    )
    image = matrix.imshow(shares, cmap=colours, norm=PowerNorm(0.5, 0, 1), aspect="auto")
    style: dict[str, Any] = {"location": "left", "shrink": 0.8, "format": FuncFormatter(percent)}
    bar = figure.colorbar(image, ax=matrix, label="share of the lot's tiles", **style)
    bar.set_ticks([0, 0.01, 0.05, 0.2, 0.5, 1.0])
    _outline_recipes(matrix, recipes[order])
    labels = [names[lot] for lot in order]
    small = {"fontsize": 6.5 if n_lots <= 40 else 4.0}
    matrix.set_xticks(range(n_lots), labels, rotation=90, **small)
    matrix.set_yticks(range(n_lots), labels, **small)
    matrix.tick_params(length=0)
    matrix.grid(visible=False)
    matrix.set(xlabel="predicted lot (frames: repeats of one recipe)", ylabel="true lot")
    matrix.set_title(f"{split}: true and predicted lot")

    right = np.diag(shares)
    repeat = (shares * same).sum(axis=1) - right
    # Not what is left of 1: a lot may have no tiles here.
    other = (shares * ~same).sum(axis=1)
    y = np.arange(n_lots)
    bars.barh(y, right, 0.8, color=COLOURS[ENSEMBLE], label="correct")
    bars.barh(y, repeat, 0.8, left=right, color=REPEAT, label="repeat of its recipe")
    bars.barh(y, other, 0.8, left=right + repeat, color=COLOURS[SINGLE], label="another recipe")
    bars.set_xlim(0, 1)
    in_percent(bars, "x")
    bars.grid(visible=False, axis="y")
    bars.tick_params(left=False)
    few, many = int(n_tiles.min()), int(n_tiles.max())
    each = f"{few}" if few == many else f"{few} to {many}"
    bars.set(xlabel=f"share of the lot's tiles ({each} a lot)", title="Predictions, lot by lot")
    legend_below(figure, bars, 3)
    return figure


def _outline_recipes(axes: Axes, recipes: np.ndarray[Any, Any]) -> None:
    starts = np.flatnonzero(np.diff(recipes, prepend=recipes[0] - 1))
    ends = np.append(starts[1:], len(recipes))
    for start, n in zip(starts.tolist(), (ends - starts).tolist(), strict=True):
        frame = Rectangle((start - 0.5, start - 0.5), n, n, fill=False, ec=GREY, lw=0.6)
        axes.add_patch(frame)
    for end in ends[:-1].tolist():
        axes.axhline(end - 0.5, color=PALE, lw=0.3, zorder=1.5)
