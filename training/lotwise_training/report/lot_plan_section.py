"""The report's section on which lot to test next, from stored plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from lotwise.core.calibration import read_calibration
from lotwise_training.active_learning.acquisition import INFORMATION, RISK
from lotwise_training.active_learning.savings import (
    SIZES,
    ForecastFigures,
    PlanFigures,
    forecast_figures,
    most_off,
    plan_figures,
)
from lotwise_training.active_learning.simulation import (
    FIGURES,
    FIRST,
    RANDOM,
    SimulatedPlans,
)
from lotwise_training.report.figures.style import GREY, blank, percent, styled
from lotwise_training.report.html_parts import Plot, figure_html, table_html
from lotwise_training.report.section import Section
from lotwise_training.report.served_models import COMMITTEE, RecheckFailed
from lotwise_training.report.sheets import Sheet
from lotwise_training.report.targets import Target
from lotwise_training.report.wording import NONE, signed
from lotwise_training.report.wording import percent as as_percent
from lotwise_training.store.arrays import find

MOST_OFF: Final = 0.02
_NAMED: Final = (8, 12, 20, 60)
"""Sizes that the figure names."""
SAVING_AT: Final = 20
_COLOURS: Final[Mapping[str, str]] = MappingProxyType(
    {RANDOM: GREY, RISK: "#004488", INFORMATION: "#DDAA33"}
)
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {RANDOM: "at random", RISK: "by cut of risk", INFORMATION: "by mutual information"}
)
_LINES: Final[Mapping[str, str]] = MappingProxyType({RANDOM: "--", RISK: "-", INFORMATION: "-."})
_MARKERS: Final[Mapping[str, str]] = MappingProxyType({RANDOM: "s", RISK: "o", INFORMATION: "^"})


def plan_sheet(
    figures: Sequence[PlanFigures], made: SimulatedPlans, stated: Mapping[str, Any]
) -> Sheet:
    """Errors by way and number of tested lots, and what is saved.

    Args:
        figures: As `plan_figures` computes them.
        made: The plans.
        stated: What they rest on.
    """
    rows: list[tuple[str, ...]] = []
    groups: list[int] = []
    last, last_size = "", int(made.sizes[-1])
    for each in figures:
        if each.way != RANDOM and each.tested == FIRST:
            continue  # nothing is chosen yet
        if each.way != last:
            groups.append(len(rows))
        rows.append(
            (
                each.way if each.way != last else "",
                str(each.tested),
                f"{each.mae:.0f}",
                as_percent(each.mape),
                as_percent(each.expected),
                as_percent(each.off),
                as_percent(each.mape_untested),
                *_against_random(each, last_size),
            )
        )
        last = each.way
    starts = len(made.errors[RANDOM])
    return Sheet(
        "plans",
        "Table 15: which lot to test next",
        (
            "chosen by",
            "tested",
            f"MAE, {stated['unit']}",
            "MAPE, %",
            "expected, %",
            "off",
            "untested, %",
            "to random",
            "95% interval",
            "random needs",
            "saved, %",
        ),
        tuple(rows),
        tuple(groups[1:]),
        note=f"Mean over {starts} starts of {FIRST} random lots; errors of the {stated['property']}"
        f" on {made.held} lots that are never offered, {made.offered} are. Intervals: bootstrap "
        "over starts; other lots would move the figures, too. Expected: by the process, without "
        "labels; off: points from the truth in a single plan, mean absolute. Untested: MAPE on the "
        "offered lots that are not tested yet. To random: points of MAPE, from the same starts. "
        "Random needs: tested lots with which random choice has this MAPE, with a 95% interval; "
        "saved: share of them. Every value is the mean of two simulated strength tests.",
    )


def forecast_sheet(figures: Sequence[ForecastFigures]) -> Sheet:
    """Errors foretold, and as they came."""
    return Sheet(
        "forecasts",
        "Table 15, continued: errors foretold",
        (
            "lots at hand",
            "tested",
            "foretold for",
            "foretold, %",
            "came, %",
            "off, points",
            "in 90% interval, %",
        ),
        tuple(
            (
                str(each.at_hand),
                str(each.tested),
                str(each.size),
                as_percent(each.foretold),
                as_percent(each.came),
                as_percent(each.off),
                as_percent(each.covered, 0),
            )
            for each in figures
        ),
        words=0,
        note=f"Means over {figures[0].starts if figures else 0} starts. Foretold from variances "
        "alone, for so many tested lots: of the lots at hand while they last, chosen by cut of "
        "risk; beyond, of further ones like them, by a power law. Off: mean absolute difference "
        "to the MAPE that came.",
    )


def plan_targets(figures: Sequence[PlanFigures], made: SimulatedPlans) -> tuple[Target, ...]:
    """What was to be reached."""
    off = most_off(made)
    found = [each for each in figures if (each.way, each.tested) == (RISK, SAVING_AT)]
    difference = found[0].against_random_interval if found else None
    return (
        Target(
            "expected error of untested lots, off by",
            f"<= {100 * MOST_OFF:.0f} points",
            f"{100 * off:.1f} points",
            "",
            off <= MOST_OFF,
            off,
        ),
        Target(
            f"{SAVING_AT} chosen lots against as many random ones",
            "clearly less MAPE",
            "" if difference is None else f"{signed(100 * found[0].against_random, 2)} points",
            "",
            None if difference is None else difference[1] < 0,
            None if difference is None else found[0].against_random,
        ),
    )


@styled
def plan_figure(made: SimulatedPlans, stated: Mapping[str, Any]) -> Figure:
    """Error against the number of tested lots by way, and what the process expects of it.

    Args:
        made: The plans.
        stated: What they rest on.
    """
    at = {name: number for number, name in enumerate(FIGURES)}
    figure = blank(3.3)
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.55, 1]})
    marked = [int(n) for n in np.flatnonzero(np.isin(made.sizes, SIZES))]
    for way, errors in made.errors.items():
        shown, colour = errors[:, :, at["mape"]], _COLOURS[way]
        low, high = np.quantile(shown, (0.25, 0.75), axis=0)
        left.fill_between(made.sizes, low, high, color=colour, alpha=0.15, lw=0)
        style = {"color": colour, "marker": _MARKERS[way], "markevery": marked, "ms": 4}
        left.plot(made.sizes, shown.mean(axis=0), _LINES[way], label=_WORDS[way], **style)
        expected = errors[:, :, at["expected"]].mean(axis=0)
        right.plot(expected, shown.mean(axis=0), _LINES[way], lw=1.1, **style)
    left.set_yscale("log")
    left.yaxis.set_major_locator(FixedLocator([0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.16]))
    left.yaxis.set_minor_locator(NullLocator())
    left.yaxis.set_major_formatter(percent)
    left.set_xlim(made.sizes[0] - 1, made.sizes[-1] + 1)
    left.set_xlabel(f"tested lots (the first {FIRST} at random)")
    left.set_ylabel(f"mean absolute error of the {stated['property']} (log)")
    left.set_title(f"Error on {made.held} lots that are never offered")
    ends = [0.0, 1.1 * float(max(e[:, 0, at["expected"]].mean() for e in made.errors.values()))]
    right.plot(ends, ends, color=GREY, lw=0.8, ls=":")
    right.fill_between(
        ends, [end - MOST_OFF for end in ends], [end + MOST_OFF for end in ends],
        color=GREY, alpha=0.12, lw=0,
    )  # fmt: skip
    random = made.errors[RANDOM].mean(axis=0)
    for number in marked:
        if made.sizes[number] in _NAMED:
            right.annotate(
                f"{made.sizes[number]} lots",
                (random[number, at["expected"]], random[number, at["mape"]]),
                xytext=(7, -9),
                textcoords="offset points",
                fontsize=7,
                color=GREY,
            )
    right.set_xlim(*ends)
    right.set_ylim(*ends)
    right.set_aspect("equal")
    for axis in (right.xaxis, right.yaxis):
        axis.set_major_formatter(percent)
    right.set_xlabel("expected error, without labels")
    right.set_ylabel("true mean error")
    right.set_title("Expected and true error")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def lot_plan_section(results: Path, models: Path | None, *, seed: int) -> Section | None:
    """The section; None where nothing of it is stored.

    Args:
        results: Folder of stored answers.
        models: The model repository, whose committee must be the one that was measured; None
            compares nothing.
        seed: Of the bootstrap.

    Raises:
        ResultsError: What is stored cannot be read.
        RecheckFailed: Another committee is served than was measured.
    """
    made = find(SimulatedPlans, results)
    if made is None:
        return None
    stated = made.manifest()
    if models is not None:
        served = read_calibration(models / COMMITTEE).calibration.weights_sha256
        if served != stated["weights_sha256"]:
            raise RecheckFailed(
                "plans of tests were measured with another committee than is served; "
                "`lotwise-train plan lots --measure` makes them anew"
            )
    figures, foretold = plan_figures(made, seed), forecast_figures(made)
    sheets = (plan_sheet(figures, made, stated), forecast_sheet(foretold))
    plot = Plot(
        "plan-lots",
        plan_figure(made, stated),
        f"Left: mean absolute percentage error against the number of tested lots, mean of "
        f"{len(made.errors[RANDOM])} starts; bands: the middle half of the starts. Right: the "
        "error that the process expects without labels against the true one, from many tested "
        f"lots (lower left) to few; shaded: within {100 * MOST_OFF:.0f} points.",
    )
    return Section(
        name="plan_lots",
        targets=plan_targets(figures, made),
        sheets=sheets,
        content={
            "weights_sha256": stated["weights_sha256"],
            "plans": [{**asdict(each), "saved": each.saved} for each in figures],
            "forecasts": [asdict(each) for each in foretold],
        },
        parts=[
            "<h2>Which lot to test next</h2>",
            figure_html({plot.name: plot}, plot.name),
            *map(table_html, sheets),
        ],
    )


def _against_random(each: PlanFigures, last_size: int) -> tuple[str, ...]:
    """Difference with its interval; what random choice needs, with its interval; what is saved."""
    if each.against_random_interval is None:
        return (NONE,) * 4
    needed = [
        f"over {last_size}" if lots is None else f"{lots:.0f}"
        for lots in (each.random_needs, *each.random_needs_interval)
    ]
    return (
        signed(100 * each.against_random, 2),
        " to ".join(signed(100 * end, 2) for end in each.against_random_interval),
        needed[0] if len(set(needed)) == 1 else f"{needed[0]} ({needed[1]} to {needed[2]})",
        as_percent(each.saved, 0),
    )
