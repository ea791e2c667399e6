"""Figures of explanations, in the manner of Liu et al. 2020, Figures 4 to 7."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from lotwise.client.explanations import (
    AttributeChange,
    BackwardExplanation,
    Evidence,
    ForwardExplanation,
)
from lotwise.client.lot_answers import LotBackward, LotForward, MeanOverTiles, Spread
from lotwise.plots.evidence import draw_evidence, evidence_pictures
from lotwise.plots.labels import Shown, titled
from lotwise.plots.style import BLUE, GREY, PALE, RED, WIDTH_IN, YELLOW, blank, styled
from lotwise.plots.surfaces import draw_surface

PANELS_IN_A_ROW: Final = 2


@styled
def forward_figure(answer: ForwardExplanation, shown: Shown, own: float | None = None) -> Figure:
    """The property of a tile along one attribute, over the edited pictures (Figure 4).

    Args:
        answer: With or without images.
        shown: Converts to the unit of the axis.
        own: The lot's own value of the attribute, where it is known.
    """
    images = [step.image for step in answer.steps if step.image is not None]
    figure = blank(2.6)
    parts = _parts(figure, 2.6, 1.0 if images else 0.0, _evidence_in(answer.evidence, 1.7))
    axes = parts[0].subplots()
    if images:
        bottom = parts[1]
        for place, (each, step) in enumerate(
            zip(np.ravel(bottom.subplots(1, len(images))), answer.steps, strict=True)
        ):
            each.imshow(images[place].array(), cmap="gray", vmin=0, vmax=255)
            each.set_axis_off()
            each.set_title(f"{step.attribute_value:.2f}", loc="center", fontsize=6.5, pad=2)
    if answer.evidence is not None and evidence_pictures(answer.evidence):
        draw_evidence(parts[-1], answer.evidence, shown)
    at = [step.attribute_value for step in answer.steps]
    axes.plot(at, [shown(step.quantity).value for step in answer.steps], "o-", color=BLUE)
    original = shown(answer.original)
    axes.axhline(original.value, color=GREY, ls=":", lw=1.0, label="the tile as it is")
    _mark_own(axes, own)
    _name_axes(axes, answer.attribute, answer.property_name, original.unit)
    axes.legend(loc="best")
    titled(figure, answer.lot_id, f"{answer.tile_id}, edited", answer.simulated)
    return figure


@styled
def lot_forward_figure(answer: LotForward, shown: Shown) -> Figure:
    """The property of a lot along its attributes: median and quartiles over tiles (Figure 5).

    Of pairs of attributes, the median as colours.
    """
    count = len(answer.curves) + len(answer.surfaces)
    rows = -(-count // PANELS_IN_A_ROW)
    columns = min(PANELS_IN_A_ROW, count)
    figure = Figure(figsize=(WIDTH_IN, 0.5 + 2.3 * rows))
    alike = not answer.surfaces
    panels = figure.subplots(rows, columns, squeeze=False, sharey=alike).ravel()
    label = f"median {answer.property_name}, {shown(answer.original.median).unit}"
    for axes, surface in zip(panels[len(answer.curves) :], answer.surfaces, strict=False):
        names = (surface.first, surface.second)
        points = [(a, b, shown(spread.median).value) for a, b, spread in surface.points]
        lot = (answer.attributes[names[0]], answer.attributes[names[1]])
        draw_surface(axes, names, points, label, lot)
    for axes, curve in zip(panels, answer.curves, strict=False):
        at = [value for value, _ in curve.points]
        low, median, high = (
            [shown(getattr(spread, name)).value for _, spread in curve.points]
            for name in ("lower_quartile", "median", "upper_quartile")
        )
        axes.fill_between(at, low, high, color=BLUE, alpha=0.18, lw=0, label="half of the tiles")
        axes.plot(at, median, "o-", color=BLUE, ms=3.5, label="median")
        own = answer.attributes[curve.attribute]
        here = shown(answer.original.median)
        axes.plot([own], [here.value], "D", color=RED, ms=5, label="the lot as it is")
        _mark_own(axes, own)
        _name_axes(axes, curve.attribute, answer.property_name, here.unit)
        axes.set_title(f"slope here: {_slope(curve.sensitivity, shown)}", weight="normal")
    for axes in panels[count:]:
        axes.set_axis_off()
    if answer.curves:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    titled(figure, answer.lot_id, f"{answer.sampled} tiles, edited", answer.simulated)
    return figure


@styled
def backward_figure(answer: BackwardExplanation, shown: Shown) -> Figure:
    """What to change in a tile's lot, and where that leads (Figure 6)."""
    figure = blank(2.8)
    parts = _parts(figure, 2.8, _evidence_in(answer.evidence, 1.25))
    changes, values = parts[0].subplots(1, 2, width_ratios=[1.4, 1.0])
    if answer.evidence is not None and evidence_pictures(answer.evidence):
        draw_evidence(parts[-1], answer.evidence, shown, answer.image)
    _draw_changes(changes, answer.changes)
    before, after, target, tolerance = (
        shown(each) for each in (answer.before, answer.after, answer.target, answer.tolerance)
    )
    _draw_target(values, target.value, tolerance.value)
    values.plot([0, 1], [before.value, after.value], "-", color=GREY, lw=1.0)
    values.plot([0], [before.value], "o", color=GREY)
    values.plot([1], [after.value], "D", color=BLUE if answer.reached else RED)
    values.set_xticks([0, 1], ["before", "after"])
    values.set_xlim(-0.4, 1.4)
    values.set_ylabel(f"{answer.property_name}, {target.unit}")
    values.set_title("reached" if answer.reached else "not reached: the nearest found")
    titled(figure, answer.lot_id, f"{answer.tile_id}, edited", answer.simulated)
    return figure


@styled
def lot_backward_figure(answer: LotBackward, shown: Shown) -> Figure:
    """One change for a lot, what tiles ask for alone, and the front of cost (Figure 7)."""
    figure = blank(3.0)
    changes, values, front = figure.subplots(1, 3, width_ratios=[1.5, 0.9, 1.1])
    _draw_changes(changes, answer.changes)
    for row, change in enumerate(answer.changes):
        own = answer.own_changes.get(change.name)
        if own is not None:
            ends = [change.before + each for each in (own.lower_quartile, own.upper_quartile)]
            label = "tiles alone, quartiles" if row == 0 else None
            changes.plot(ends, [row + 0.25] * 2, "-", color=YELLOW, lw=3, label=label)
            changes.plot([change.before + own.mean], [row + 0.25], "|", color="black", ms=7)
    figure.legend(*changes.get_legend_handles_labels(), loc="outside lower left", ncols=2)
    target, tolerance = shown(answer.target), shown(answer.tolerance)
    _draw_target(values, target.value, tolerance.value)
    for place, (spread, colour) in enumerate(
        ((answer.before, GREY), (answer.after, BLUE if answer.reached else RED))
    ):
        _draw_spread(values, place, spread, shown, colour)
    mean = answer.after_mean
    bounds = (
        [[shown(mean.mean).value - shown(mean.lower).value]],
        [[shown(mean.upper).value - shown(mean.mean).value]],
    )
    values.errorbar(
        [1.3], [shown(mean.mean).value], yerr=np.concatenate(bounds), fmt="D", color="black", ms=3.5
    )
    values.set_xticks([0, 1], ["before", "after"])
    values.set_xlim(-0.5, 1.6)
    values.set_ylabel(f"{answer.property_name}, {target.unit}")
    values.set_title(f"{answer.share_reaching:.0%} of tiles reach it")
    _draw_target(front, target.value, tolerance.value)
    front.plot(
        [0.0, *(point.cost for point in answer.front)],
        [shown(answer.before.mean).value, *(shown(p.quantity).value for p in answer.front)],
        "o-",
        color=GREY,
        ms=3.5,
    )
    front.plot([answer.cost], [shown(mean.mean).value], "D", color=BLUE if answer.reached else RED)
    front.set_xlabel("cost of the change")
    front.set_ylabel(f"mean {answer.property_name}, {target.unit}")
    front.set_title("how far at which cost")
    titled(figure, answer.lot_id, f"{answer.sampled} tiles, edited", answer.simulated)
    return figure


def _evidence_in(evidence: Evidence | None, height_in: float) -> float:
    """Height of the row of evidence; 0 where there is none."""
    return height_in if evidence_pictures(evidence) else 0.0


def _parts(figure: Figure, *heights_in: float) -> list[SubFigure]:
    """Parts of a figure one above the other, which makes it as high; none for a height of 0."""
    heights = [height for height in heights_in if height]
    figure.set_figheight(sum(heights))
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)
    return [*parts.ravel()]


def _draw_changes(axes: Axes, changes: Sequence[AttributeChange]) -> None:
    """From before to after, a row an attribute."""
    for row, change in enumerate(changes):
        axes.plot([0, 1], [row, row], "-", color=PALE, lw=4, solid_capstyle="round", zorder=1)
        moved = abs(change.after - change.before) >= 0.005
        axes.plot([change.before], [row], "o", color=GREY, label="before" if row == 0 else None)
        if moved:
            axes.annotate(
                "",
                (change.after, row),
                (change.before, row),
                arrowprops={"arrowstyle": "-|>", "color": BLUE, "lw": 1.6, "shrinkA": 0},
            )
            axes.text(
                (change.before + change.after) / 2,
                row - 0.15,
                f"{change.after - change.before:+.2f}".replace("-", "−"),
                ha="center",
                color=BLUE,
                fontsize=7,
            )
    axes.set_yticks(range(len(changes)), [change.name for change in changes])
    axes.set_ylim(len(changes) - 0.4, -0.6)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("attribute, 0 to 1 over the design range")
    axes.grid(visible=False, axis="y")
    axes.set_title("what to change")


def _draw_target(axes: Axes, target: float, tolerance: float) -> None:
    axes.axhspan(target - tolerance, target + tolerance, color=YELLOW, alpha=0.35, lw=0)
    axes.axhline(target, color=YELLOW, lw=1.0)
    axes.annotate(
        "target",
        (0.0, target),
        xycoords=("axes fraction", "data"),
        xytext=(3, 2),
        textcoords="offset points",
        fontsize=7,
        color=GREY,
    )


def _draw_spread(axes: Axes, place: int, spread: Spread, shown: Shown, colour: str) -> None:
    low, median, high = (
        shown(each).value for each in (spread.lower_quartile, spread.median, spread.upper_quartile)
    )
    axes.bar([place], [high - low], 0.35, bottom=low, color=colour, alpha=0.3)
    axes.plot([place - 0.17, place + 0.17], [median, median], "-", color=colour, lw=2)


def _mark_own(axes: Axes, own: float | None) -> None:
    if own is not None:
        axes.axvline(own, color=RED, lw=0.8, ls="--")


def _name_axes(axes: Axes, attribute: str, property_name: str, unit: str) -> None:
    axes.set_xlabel(f"{attribute}, 0 to 1 over the design range")
    axes.set_ylabel(f"{property_name}, {unit}")
    axes.set_xlim(-0.03, 1.03)


def _slope(mean: MeanOverTiles, shown: Shown) -> str:
    values = [shown(each) for each in (mean.mean, mean.lower, mean.upper)]
    middle, low, high = (f"{each.value:+,.4g}".replace("-", "−") for each in values)
    return f"{middle} {values[0].unit} ({low} to {high})"
