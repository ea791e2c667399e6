"""The report's sections on the predicted property, and on familiarity to the regressor."""

from __future__ import annotations

from typing import Final

from lotwise.core.known_tiles import KNOWN_TILES_FILE, KnownTiles
from lotwise_training.evaluation.bootstrap import wilson
from lotwise_training.evaluation.familiarity_predictions import FamiliarityResult, PValues
from lotwise_training.evaluation.property_predictions import (
    LOT_HELD_OUT,
    NETWORK,
    NEW_LOTS,
    TILE_RANDOM,
    PropertyResult,
)
from lotwise_training.evaluation.records import Records
from lotwise_training.evaluation.regression import (
    GAIN,
    LEAST_GAIN,
    MOST_MAPE_PERCENT,
    SECTION,
    property_records,
)
from lotwise_training.metrics import auroc
from lotwise_training.report.figures.regression import lots_figure, methods_figure, predicted_figure
from lotwise_training.report.figures.style import Plot
from lotwise_training.report.render import (
    Block,
    Inputs,
    Section,
    Table,
    paragraph,
    plot,
    section_of,
    table,
)
from lotwise_training.report.served_models import check_same, served_models
from lotwise_training.report.targets import Target, at_least, at_most
from lotwise_training.report.verify_networks import check_predictions

FAMILIARITY: Final = "known tiles"
LEVELS: Final = (0.005, 0.01, 0.05)


@section_of(PropertyResult)
def property_section(inputs: Inputs, found: PropertyResult) -> Section:
    """The section, see `Inputs`; asks the served regressor about tiles of new lots again."""
    sets, name, unit, verified = found.sets, found.property, found.unit, ""
    # Tiles of a user's lots cannot be rendered again.
    if inputs.models is not None and NEW_LOTS in sets:
        with served_models(inputs.models) as served:
            tiles, worst = check_predictions(served, sets[NEW_LOTS], seed=inputs.seed)
        verified = paragraph("regressor-verified", tiles=tiles, worst=worst, unit=unit)
    records = property_records(sets, unit)
    trained = [run.train_lots for run in found.networks.values()]
    learned = f"{max(trained)} simulated lots" if trained else "simulated lots"
    lead = paragraph("property", learned=learned, property=name, unit=unit, profile=found.profile)
    blocks: list[Block] = [lead, property_table(records, unit), *property_plots(found, records)]
    stated, targets = {"networks": found.manifest()["networks"]}, property_targets(records)
    return Section("property", "Predicted property", blocks, records, targets, stated, verified)


def property_table(records: Records, unit: str) -> Table:
    """Errors by set and method."""
    return table("property", records.rows(SECTION), unit=unit)


def property_targets(records: Records) -> tuple[Target, ...]:
    """The project's targets for the property beside what was measured."""
    mape = records.value(SECTION, "mape", set=TILE_RANDOM, method=NETWORK)
    gains = records.rows(GAIN, set=LOT_HELD_OUT)
    gain = gains[0].value("gain") if gains else None
    bound = f"{MOST_MAPE_PERCENT:.2f}%"
    return (
        Target(
            "MAPE of the property, tile-random",
            f"at most {bound}",
            "" if mape is None else f"{mape:.2f}%",
            bound,
            at_most("", mape, MOST_MAPE_PERCENT).reached,
            mape,
        ),
        Target(
            "MAPE of held-out lots, below the best baseline",
            f"by at least {LEAST_GAIN:.0%}",
            "" if gain is None else f"by {gain:.0%} ({gains[0].of['baseline']})",
            reached=at_least("", gain, LEAST_GAIN).reached,
            value=gain,
        ),
    )


def property_plots(result: PropertyResult, records: Records) -> list[Plot]:
    """Figures of the property."""
    sets, unit = result.sets, result.unit
    plots = [
        plot("property-methods", methods_figure(records)),
        plot("property-predicted", predicted_figure(sets, result.property, unit)),
    ]
    if LOT_HELD_OUT in sets:
        title = "Error of every lot when it was held out"
        plots.append(plot("property-lots", lots_figure(sets[LOT_HELD_OUT], title, unit)))
    return plots


def ood_records(p_values: PValues) -> Records:
    """Shares of tiles at or below each of LEVELS, and AUROCs against new lots, by set."""
    records, known = Records(), p_values[NEW_LOTS]
    for name, values in p_values.items():
        area = None
        if name != NEW_LOTS:
            area = auroc(-known, -values)
        flagged = {f"flagged_{level:g}": float((values <= level).mean()) for level in LEVELS}
        records.add(FAMILIARITY, {"set": name}, len(values), auroc=area, **flagged)
    return records


def ood_table(records: Records) -> Table:
    """How often each set is flagged, and how well it is separated from new lots."""
    rows = records.rows(FAMILIARITY)
    known = [rows[0].metrics[f"flagged_{level:g}"] for level in LEVELS]
    tiles = known[0].count or 1
    bands = [wilson(float(each.value or 0.0) * tiles, tiles) for each in known]
    intervals = ", ".join(f"{100 * low:.1f} to {100 * high:.1f}" for low, high in bands)
    return table("known-tiles", rows, intervals=intervals)


@section_of(FamiliarityResult)
def familiarity_section(inputs: Inputs, found: FamiliarityResult) -> Section:
    """The section, see `Inputs`; compares the served known tiles."""
    if inputs.models is not None:
        served = KnownTiles.read(inputs.models / "regressor" / KNOWN_TILES_FILE).statement
        check_same("set of known tiles", served, found.known_tiles, "lotwise-train evaluate")
    records = ood_records(found.sets)
    title, stated = "Familiarity of tiles to the regressor", {"levels": list(LEVELS)}
    return Section("known-tiles", title, (ood_table(records),), records, (), stated)
