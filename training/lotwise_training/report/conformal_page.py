"""The report's part on intervals of the property: their coverage on new lots beside the nominal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from lotwise.core.conformal import units_needed
from lotwise.core.intervals import IntervalCalibration
from lotwise_training.evaluation.bootstrap import Interval
from lotwise_training.evaluation.conformal import (
    ALL_LOTS,
    CoverageFigures,
    lot_intervals,
)
from lotwise_training.evaluation.interval_predictions import NewLots
from lotwise_training.report.figures.conformal import lot_intervals_figure
from lotwise_training.report.html_parts import Plot, figure_html, table_html
from lotwise_training.report.sheets import Sheet
from lotwise_training.report.targets import Target
from lotwise_training.report.wording import NONE, percent


def conformal_sheet(figures: Sequence[CoverageFigures]) -> Sheet:
    """Coverage by calibration, kind and nominal coverage."""
    rows: list[tuple[str, ...]] = []
    groups: list[int] = []
    last = ("", "")
    for each in figures:
        if (each.calibrated, each.kind) != last:
            groups.append(len(rows))
        new_name = each.calibrated != last[0]
        new_kind = (each.calibrated, each.kind) != last
        rows.append(
            (
                each.calibrated if new_name else "",
                each.kind if new_kind else "",
                f"{each.calibration_lots:,} ({each.calibration_recipes:,})",
                percent(each.coverage, 0),
                percent(each.measured, 1)
                if each.measured is not None
                else f"needs {each.recipes_needed}",
                _percent_range(each.band),
                NONE if each.band_of_both is None else _percent_range(each.band_of_both),
                percent(each.guaranteed, 1) if each.measured is not None else NONE,
                percent(each.width, 1),
            )
        )
        last = (each.calibrated, each.kind)
    shown = figures[0]
    return Sheet(
        "conformal",
        f"Table 10: intervals of the property on {shown.lots} new lots, {shown.tiles:,} tiles",
        (
            "calibrated by",
            "interval",
            "lots (recipes)",
            "nominal, %",
            "measured, %",
            "binomial band",
            "band of both",
            "in theory, %",
            "mean width, %",
        ),
        tuple(rows),
        tuple(groups[1:]),
        words=2,
        note="CV+ intervals (Barber et al. 2021) of networks that each held other recipes out; the "
        "recipe is the exchangeable unit, and n of them certify no more than n / (n + 1). Lot: by "
        "the mean over a lot's tiles; tile: by one tile, lots counting the same. Band: 95% of "
        "binomial draws of so many lots at the nominal coverage; of tile intervals, several of a "
        "lot, it is too wide. Of both: the calibration lots drawn, too (beta-binomial). In theory: "
        "what theorem 4 guarantees. Needs: so many recipes to be certified. Width: as a share of "
        "the point.",
    )


def conformal_targets(figures: Sequence[CoverageFigures], coverage: float) -> tuple[Target, ...]:
    """Coverage of the intervals that are served, at their own nominal coverage."""
    return tuple(
        Target(
            f"coverage of {each.kind} intervals on {each.lots} new lots, {coverage:.0%} nominal",
            f"{_percent_range(each.band)}% (binomial)",
            "" if each.measured is None else f"{each.measured:.1%}",
            "",
            each.within,
            each.measured,
        )
        for each in figures
        if each.calibrated == ALL_LOTS and each.coverage == coverage
    )


def conformal_plots(
    calibration: IntervalCalibration, new: NewLots, manifest: Mapping[str, Any]
) -> dict[str, Plot]:
    """Figures of intervals, by name; none where the calibration's coverage has none."""
    if units_needed(calibration.coverage) > calibration.recipes:
        return {}
    name, unit = manifest["property"], manifest["unit"]
    made = lot_intervals(calibration, new)
    plot = Plot(
        "conformal-lots",
        lot_intervals_figure(made, name, unit),
        f"Lot intervals of {made.coverage:.0%} nominal coverage about the measured {name} of every "
        "new lot, which nothing learned from.",
    )
    return {plot.name: plot}


def conformal_parts(
    figures: Sequence[CoverageFigures], manifest: Mapping[str, Any], drawn: Mapping[str, Plot]
) -> list[str]:
    """Elements of the page."""
    words = (
        f"Where the {manifest['property']} of a lot lies, from one tile or from the mean over "
        "many, with a stated coverage. The networks hold lots out in turn, so that every lot "
        f"serves the training and calibrates; profile “{manifest['profile']}”. Coverage is an "
        "average over lots that come from where the calibration lots came from."
    )
    return [
        "<h2>Intervals of the property</h2>",
        f"<p>{escape(words)}</p>",
        table_html(conformal_sheet(figures)),
        *(figure_html(drawn, name) for name in drawn),
    ]


def _percent_range(interval: Interval) -> str:
    return f"{percent(interval[0], 1)} to {percent(interval[1], 1)}"
