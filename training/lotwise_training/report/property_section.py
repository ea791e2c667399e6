"""The report's section on the property, from stored predictions and from the served regressor."""

from __future__ import annotations

from pathlib import Path

from lotwise_training.evaluation.property_predictions import NEW_LOTS, PropertyResult
from lotwise_training.evaluation.regression import property_figures, property_json
from lotwise_training.report.property_page import (
    property_parts,
    property_plots,
    property_sheet,
    property_targets,
)
from lotwise_training.report.section import Section
from lotwise_training.report.served_models import served_models
from lotwise_training.report.verify_property import check_property
from lotwise_training.store.arrays import find


def property_section(results: Path, models: Path | None, *, seed: int) -> Section | None:
    """The report's section on the property; None where nothing of it is stored.

    Args:
        results: Folder of stored answers.
        models: The model repository, whose regressor is asked again; None asks none.
        seed: Of the choice of tiles.

    Raises:
        ResultsError: What is stored is not what its manifest speaks of.
        RecheckFailed: The served regressor is not the one that was measured.
    """
    found = find(PropertyResult, results)
    if found is None:
        return None
    sets, manifest = found.sets, found.manifest()
    said = ""
    # A laboratory's own tiles cannot be made anew.
    if models is not None and NEW_LOTS in sets:
        with served_models(models) as served:
            tiles, worst = check_property(served, sets[NEW_LOTS], seed=seed)
        said = (
            f"asked again about {tiles} tiles of new lots: property within {worst:.2f} "
            f"{manifest['unit']} of the stored predictions"
        )
    return Section(
        name="property",
        targets=property_targets(sets),
        sheets=(property_sheet(property_figures(sets), manifest["unit"]),),
        content={"networks": manifest["networks"], **property_json(sets)},
        parts=property_parts(sets, manifest, property_plots(sets, manifest)),
        said=said,
    )
