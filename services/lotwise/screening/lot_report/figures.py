"""The figures of a lot report; they need matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lotwise.plots.style import BLUE, GREY, PNG_DPI, RED, WIDTH_IN, blank, styled
from lotwise.screening.lot_report.gathering import Array, Gathered, Marks
from lotwise.screening.lot_report.mosaic_map import MosaicMap
from lotwise.screening.lot_report.said import Scores
from lotwise.screening.lot_report.wording import readable

_BINS: Final = 20
_REFERRED: Final = "#E8C66B"
"""Paul Tol's yellow, lighter; its hatching tells it in grey, too."""
_LINES: Final = ((BLUE, "-"), (RED, "--"))
# Paul Tol's YlOrBr: its lightness falls evenly, so it is read in grey and by all eyes.
_ENTROPY: Final = LinearSegmentedColormap.from_list(
    "ylorbr",
    ["#FFFFE5", "#FFF7BC", "#FEE391", "#FEC44F", "#FB9A29", "#EC7014", "#CC4C02", "#993404"],
)
_SERIES: Final = ("first", "second")
"""In place of names: matplotlib leaves those out of a legend that begin with _."""
_MOST_VECTOR_MARKS: Final = 400
"""More marks are drawn as one picture, or the page would grow with the lot."""


@styled
def map_figure(grid: MosaicMap) -> Figure:
    """Entropy over the mosaic, referred and failed tiles marked.

    Args:
        grid: Of R rows and C columns.
    """
    rows, columns = grid.entropy.shape
    height = float(np.clip(5.8 * rows / columns, 1.4, 3.0))
    width = float(np.clip(height * columns / rows, 2.2, WIDTH_IN - 1.4))
    figure = blank(height + 0.7)
    figure.set_figwidth(width + 1.4)
    figure.set_dpi(PNG_DPI)
    axes = figure.subplots()
    axes.grid(visible=False)
    axes.set_facecolor("#e5e7eb")
    down = grid.top + grid.step * np.arange(rows + 1) - 0.5
    across = grid.left + grid.step * np.arange(columns + 1) - 0.5
    highest = float(np.nanmax(grid.entropy))
    marks = int(grid.referred.sum() + grid.failed.sum())
    mesh = axes.pcolormesh(
        across,
        down,
        np.ma.masked_invalid(grid.entropy),
        cmap=_ENTROPY,
        vmin=0.0,
        vmax=highest if highest > 0 else 1.0,
        rasterized=rows * columns > _MOST_VECTOR_MARKS,
    )
    size = float(np.clip(14_000 / max(rows, columns) ** 2, 1.5, 40))
    wide = float(np.clip(24 / max(rows, columns), 0.3, 1.5))
    for which, marker, label in (
        (grid.referred, "x", "referred"),
        (grid.failed, "s", "failed: no entropy"),
    ):
        at_row, at_column = np.nonzero(which)
        if not len(at_row):
            continue
        axes.scatter(
            grid.left + grid.step * (at_column + 0.5) - 0.5,
            grid.top + grid.step * (at_row + 0.5) - 0.5,
            s=size,
            marker=marker,
            color=BLUE,
            linewidths=wide,
            facecolors="none" if marker == "s" else BLUE,
            label=label,
            rasterized=marks > _MOST_VECTOR_MARKS,
            # Else blue crosses are lost on dark cells in grey.
            path_effects=[patheffects.withStroke(linewidth=2.2 * wide, foreground="white")],
        )
    axes.set_aspect("equal")
    axes.set_ylim(down[-1], down[0])
    axes.set_xlim(across[0], across[-1])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(8, integer=True))
    if grid.placed:
        axes.set_xlabel("column of the mosaic [tiles]")
        axes.set_ylabel("row [tiles]")
    else:
        axes.set_xlabel("tiles in the order of their files, row by row (places are not known)")
        axes.set_yticks([])
        axes.set_xticks([])
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, shrink=0.9, aspect=18)
    bar.set_label("entropy [nats]")
    bar.outline.set_linewidth(0.5)
    if marks:
        # The same in the legend, however small the marks in the map are.
        scale = (40 / size) ** 0.5
        figure.legend(loc="outside lower left", ncols=2, markerscale=scale)
    return figure


@styled
def histogram_figure(gathered: Gathered) -> Figure:
    """Familiarity, chance of error and property over the tiles, accepted and referred ones.

    Args:
        gathered: Of the screening.
    """
    columns, said = gathered.columns, gathered.said
    figure = blank(2.75)
    familiar, error, value = figure.subplots(1, 3)
    unit_bins = np.linspace(0.0, 1.0, _BINS + 1)
    known = _stacked(familiar, columns.familiarity, columns.referred, unit_bins)
    if known:
        familiar.axhline(known / _BINS, color="black", linestyle="--", linewidth=1.2,
                         label="tiles like the calibration tiles")  # fmt: skip
    _limit(familiar, said.min_familiarity)
    familiar.set(xlabel="familiarity [p-value]", ylabel="tiles", title="Familiarity")
    scores = said.scores
    if scores is None:
        _stacked(error, columns.score, columns.referred, unit_bins)
        _limit(error, said.threshold)
    else:
        _against_calibration(error, gathered, scores)
    error.set(xlabel="chance of error [probability]", title="Chance of error")
    _stacked(value, columns.value, columns.referred, _bins([columns.value]))
    _moments(value, gathered)
    value.set(xlabel=_property_label(gathered), title=_text(gathered.property_name).capitalize())
    for axes in (familiar, error):
        axes.set_xlim(0.0, 1.0)
    _finish(figure, (familiar, error, value), columns=4)
    if scores is not None:
        _edge_labels(error, scores)
    return figure


@styled
def overlay_figure(first: Gathered, second: Gathered, names: tuple[str, str]) -> Figure:
    """The histograms of two screenings, one over the other, as shares of their tiles.

    Args:
        first: One.
        second: The other, its property in the unit of the first.
        names: How they are called.
    """
    figure = blank(2.9)
    shown = dict(zip(_SERIES, map(_text, names), strict=True))
    panels = figure.subplots(1, 3)
    unit_bins = np.linspace(0.0, 1.0, _BINS + 1)
    both = (first, second)
    kinds = (
        ([each.columns.familiarity for each in both], unit_bins, "familiarity [p-value]",
         "Familiarity"),
        ([each.columns.score for each in both], unit_bins, "chance of error [probability]",
         "Chance of error"),
        ([each.columns.value for each in both], _bins([each.columns.value for each in both]),
         _property_label(first), _text(first.property_name or second.property_name).capitalize()),
    )  # fmt: skip
    for axes, (arrays, bins, label, title) in zip(panels, kinds, strict=True):
        for values, name, (colour, line) in zip(arrays, _SERIES, _LINES, strict=True):
            known = values[np.isfinite(values)]
            if len(known):
                weights = np.full(len(known), 100 / len(known))
                axes.hist(known, bins=bins.tolist(), weights=weights, histtype="step", color=colour,
                          linestyle=line, linewidth=1.6, label=name)  # fmt: skip
        axes.set(xlabel=label, title=title)
        if not axes.patches:
            _nothing(axes)
    if panels[0].patches:
        panels[0].axhline(100 / _BINS, color="black", linestyle=":", linewidth=1.2,
                          label="tiles like the calibration tiles")  # fmt: skip
    panels[0].set_ylabel("share of tiles [%]")
    for axes in panels[:2]:
        axes.set_xlim(0.0, 1.0)
    _finish(figure, tuple(panels), columns=1, shown=shown)
    return figure


def _against_calibration(axes: Axes, gathered: Gathered, scores: Scores) -> None:
    """Chances of error, each bar as wide as the share of calibration tiles in it."""
    edges, places = np.array(scores.edges), _places(scores)
    at = np.interp(gathered.columns.score, edges, places)  # NaN stays NaN
    known = _stacked(axes, at, gathered.columns.referred, places)
    if known:
        axes.stairs(known * np.diff(places), places, color="black", linestyle="--", linewidth=1.2,
                    label="tiles like the calibration tiles")  # fmt: skip
    threshold = gathered.said.threshold
    _limit(axes, None if threshold is None else float(np.interp(threshold, edges, places)))


def _places(scores: Scores) -> Array:
    """Where the edges of bins stand when each bin is as wide as its share."""
    ends = np.concatenate([[0.0], np.cumsum(scores.shares)])
    placed: Array = ends / ends[-1]
    return placed


def _edge_labels(axes: Axes, scores: Scores) -> None:
    """The axis is one of shares; what is written on it are chances of error."""
    places = _places(scores)
    shown = [int(np.abs(places - at).argmin()) for at in np.linspace(0.0, 1.0, 5)]
    axes.set_xticks(places[shown], [f"{scores.edges[each]:.2g}" for each in shown])


def _stacked(axes: Axes, values: Array, referred: Marks, bins: Array) -> int:
    """Bars of accepted tiles, and of referred ones on top; how many tiles there are."""
    known = np.isfinite(values)
    if not known.any():
        _nothing(axes)
        return 0
    accepted, others = values[known & ~referred], values[known & referred]
    axes.hist(
        [accepted, others],
        bins=bins.tolist(),
        stacked=True,
        color=[BLUE, _REFERRED],
        edgecolor="white",
        linewidth=0.4,
        label=["accepted", "referred"],
    )
    # Only hatching that is dark is seen in grey.
    for patch in axes.containers[1]:
        patch.set(hatch="//////", edgecolor="#6b5410")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return int(known.sum())


def _nothing(axes: Axes) -> None:
    axes.text(0.5, 0.5, "no tile has one", transform=axes.transAxes, ha="center", color=GREY)
    axes.set_yticks([])


def _limit(axes: Axes, at: float | None) -> None:
    if at is not None:
        axes.axvline(at, color=RED, linestyle="-.", linewidth=1.4, label="limit of the policy")


def _moments(axes: Axes, gathered: Gathered) -> None:
    mean, sd = gathered.mean, gathered.sd
    if mean is None or not axes.patches:
        return
    top = axes.get_ylim()[1]
    axes.set_ylim(0, top * 1.3)
    axes.plot([mean, mean], [0, top * 1.05], color="black", linewidth=1.2, label="mean ± sd")
    if sd is not None:
        axes.errorbar([mean], [top * 1.08], xerr=[sd], color="black", capsize=3, linewidth=1.2)
    if gathered.interval is not None:
        low, high = gathered.interval
        axes.errorbar(
            [(low + high) / 2],
            [top * 1.21],
            xerr=[(high - low) / 2],
            color=RED,
            capsize=3,
            linewidth=1.8,
            label="interval of the lot",
            fmt="none",
        )


def _property_label(gathered: Gathered) -> str:
    name = _text(gathered.property_name) or "property"
    return f"{name} [{_text(gathered.unit)}]" if gathered.unit else name


def _text(given: str) -> str:
    """A text from a store, of which matplotlib takes nothing for mathematics."""
    return readable(given, 60).replace("$", r"\$")


def _bins(arrays: list[Array]) -> Array:
    known = np.concatenate([values[np.isfinite(values)] for values in arrays])
    if not len(known):
        return np.linspace(0.0, 1.0, _BINS + 1)
    low, high = float(known.min()), float(known.max())
    if not high > low:
        wide = abs(low) * 0.05 or 0.5
        low, high = low - wide, high + wide
    return np.linspace(low, high, _BINS + 1)


def _finish(
    figure: Figure,
    panels: tuple[Axes, ...],
    *,
    columns: int,
    shown: Mapping[str, str] = MappingProxyType({}),
) -> None:
    entries: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    if entries:
        figure.legend(
            list(entries.values()),
            [shown.get(label, label) for label in entries],
            loc="outside lower center",
            ncols=columns,
        )
