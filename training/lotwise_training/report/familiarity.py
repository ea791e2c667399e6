"""The report's section on how familiar tiles are to the regressor."""

from __future__ import annotations

from typing import Final

from lotwise.core.known_tiles import KNOWN_TILES_FILE, KnownTiles
from lotwise_training.evaluation.bootstrap import wilson
from lotwise_training.evaluation.familiarity_predictions import (
    NEW_LOTS,
    FamiliarityResult,
    PValues,
)
from lotwise_training.evaluation.records import Records
from lotwise_training.metrics import auroc
from lotwise_training.report.render import Inputs, Section, Table, section_of, table
from lotwise_training.report.served_models import check_same

SECTION: Final = "known tiles"
LEVELS: Final = (0.005, 0.01, 0.05)


def ood_records(p_values: PValues) -> Records:
    """Shares of tiles at or below each of LEVELS, and AUROCs against new lots, by set."""
    records, known = Records(), p_values[NEW_LOTS]
    for name, values in p_values.items():
        area = None
        if name != NEW_LOTS:
            area = auroc(-known, -values)
        flagged = {f"flagged_{level:g}": float((values <= level).mean()) for level in LEVELS}
        records.add(SECTION, {"set": name}, len(values), auroc=area, **flagged)
    return records


def ood_table(records: Records) -> Table:
    """How often each set is flagged, and how well it is separated from new lots."""
    rows = records.rows(SECTION)
    known = [rows[0].metrics[f"flagged_{level:g}"] for level in LEVELS]
    tiles = known[0].count or 1
    bands = [wilson(float(each.value or 0.0) * tiles, tiles) for each in known]
    intervals = ", ".join(f"{100 * low:.1f} to {100 * high:.1f}" for low, high in bands)
    return table("known-tiles", rows, intervals=intervals)


@section_of(FamiliarityResult)
def familiarity_section(inputs: Inputs, found: FamiliarityResult) -> Section:
    """The section, see `Inputs`; compares the served known tiles."""
    p_values, manifest = found.sets, found.manifest()
    if inputs.models is not None:
        served = KnownTiles.read(inputs.models / "regressor" / KNOWN_TILES_FILE).statement
        stated = served.model_dump(mode="json")
        check_same("set of known tiles", stated, manifest["known_tiles"], "lotwise-train evaluate")
    records = ood_records(p_values)
    title = "Familiarity of tiles to the regressor"
    stated = {"levels": list(LEVELS)}
    return Section("known-tiles", title, (ood_table(records),), records, (), stated)
