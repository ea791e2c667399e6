"""The report's part on predicted properties: tables, figures, elements of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from lotwise_training.evaluation.property_predictions import (
    LOT_HELD_OUT,
    NETWORK,
    TILE_RANDOM,
    PropertySet,
)
from lotwise_training.evaluation.regression import (
    LEAST_GAIN,
    MOST_MAPE_PERCENT,
    PropertyFigures,
    gain,
    property_figures,
)
from lotwise_training.report.figures.regression import (
    lots_figure,
    methods_figure,
    predicted_figure,
)
from lotwise_training.report.html_parts import Plot, figure_html, table_html
from lotwise_training.report.sheets import Sheet
from lotwise_training.report.targets import Target
from lotwise_training.report.wording import number


def property_sheet(figures: Sequence[PropertyFigures], unit: str) -> Sheet:
    """Errors by set and method."""
    rows: list[tuple[str, ...]] = []
    groups: list[int] = []
    last = ""
    for each in figures:
        if each.set != last:
            groups.append(len(rows))
        rows.append(
            (
                each.set if each.set != last else "",
                each.method,
                f"{each.tiles:,}",
                f"{each.lots:,}",
                number(each.mape_percent, 2),
                f"{each.mape_interval[0]:.2f} to {each.mape_interval[1]:.2f}",
                number(each.rmse, 0),
                number(each.lot_mape_percent, 2),
                number(each.lot_rmse, 0),
            )
        )
        last = each.set
    return Sheet(
        "property",
        "Table 7: the predicted property",
        (
            "set",
            "method",
            "tiles",
            "lots",
            "MAPE, %",
            "95% interval",
            f"RMSE, {unit}",
            "of lots: MAPE, %",
            f"RMSE, {unit}",
        ),
        tuple(rows),
        tuple(groups[1:]),
        words=2,
        note="tile-random: other tiles of lots that were learned from, so that recognising the lot "
        "is enough. lot-held-out: every lot once, by a network that has not seen its recipe. New "
        "lots: 200 lots of the benchmark that nothing learned from. Of lots: the mean over a lot's "
        "tiles is its prediction. Intervals: bootstrap over lots. A forest on scores gives all "
        "tiles of a lot the same answer; of known lots it knows the value itself.",
    )


def property_targets(sets: Mapping[str, PropertySet]) -> tuple[Target, ...]:
    """The project's targets for the property beside what was measured."""
    figures = {(each.set, each.method): each for each in property_figures(sets)}
    tiles = figures.get((TILE_RANDOM, NETWORK))
    held = gain(sets[LOT_HELD_OUT]) if LOT_HELD_OUT in sets else None
    return (
        Target(
            "MAPE of the property, tile-random",
            f"at most {MOST_MAPE_PERCENT:.2f}%",
            "" if tiles is None else f"{tiles.mape_percent:.2f}%",
            f"{MOST_MAPE_PERCENT:.2f}%",
            None if tiles is None else tiles.mape_percent <= MOST_MAPE_PERCENT,
            None if tiles is None else tiles.mape_percent,
        ),
        Target(
            "MAPE of held-out lots, below the best baseline",
            f"by at least {LEAST_GAIN:.0%}",
            "" if held is None else f"by {held.share:.0%} ({held.baseline})",
            "",
            None if held is None else held.share >= LEAST_GAIN,
            None if held is None else held.share,
        ),
    )


def property_plots(sets: Mapping[str, PropertySet], manifest: Mapping[str, Any]) -> dict[str, Plot]:
    """Figures of the property, by name."""
    name, unit = manifest["property"], manifest["unit"]
    made = [
        Plot(
            "property-methods",
            methods_figure(property_figures(sets)),
            "Mean absolute percentage error of single tiles by set and method; bars: 95% interval "
            "over lots.",
        ),
        Plot(
            "property-predicted",
            predicted_figure(sets, name, unit),
            "Predicted against measured: a dot a lot, with the mean and the standard deviation of "
            "the predictions of its tiles (Liu et al. 2020, Figure 8).",
        ),
    ]
    if LOT_HELD_OUT in sets:
        made.append(
            Plot(
                "property-lots",
                lots_figure(sets[LOT_HELD_OUT], "Error of every lot when it was held out", unit),
                "Root mean square error of every lot's tiles, by a network that has not seen its "
                "recipe (Liu et al. 2020, Figure 9).",
            )
        )
    return {plot.name: plot for plot in made}


def property_parts(
    sets: Mapping[str, PropertySet], manifest: Mapping[str, Any], drawn: Mapping[str, Plot]
) -> list[str]:
    """Elements of the page."""
    figures = property_figures(sets)
    lots = {name: run["train_lots"] for name, run in manifest["networks"].items()}
    learned = f"{max(lots.values())} simulated lots" if lots else "simulated lots"
    return [
        "<h2>The property</h2>",
        f"<p>{escape(_words(manifest, learned))}</p>",
        table_html(property_sheet(figures, manifest["unit"])),
        *(figure_html(drawn, name) for name in drawn),
    ]


def _words(manifest: Mapping[str, Any], learned: str) -> str:
    return (
        f"WRN-28-1 predicts {manifest['property']} in {manifest['unit']} from one tile of 256 by "
        f"256 pixels, 1 micrometre each; learned from {learned}, profile "
        f"“{manifest['profile']}”. Beside it: random forests on texture (Haralick's "
        "statistics, local binary patterns) and on experts' scores, and the mean of the lots."
    )
