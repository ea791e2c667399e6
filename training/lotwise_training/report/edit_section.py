"""The report's section on edits, from stored measurements and from the served editor."""

from __future__ import annotations

from pathlib import Path

from lotwise_training.evaluation.edit_records import EditResult
from lotwise_training.evaluation.edits import edit_figures
from lotwise_training.report.edit_page import (
    edit_parts,
    edit_plots,
    edit_targets,
    edits_sheet,
    redrawn_sheet,
)
from lotwise_training.report.section import Section
from lotwise_training.report.served_models import served_models
from lotwise_training.report.verify_edits import served_edits
from lotwise_training.store.arrays import find


def edit_section(results: Path, models: Path | None, *, seed: int) -> Section | None:
    """The section; None where nothing of it is stored.

    Args:
        results: Folder of stored answers.
        models: The model repository, whose editor is asked; None asks none and shows no pictures.
        seed: Of the bootstrap.

    Raises:
        ResultsError: What is stored is not what its manifest speaks of.
        RecheckFailed: The served editor is not the one that was measured.
    """
    found = find(EditResult, results)
    if found is None:
        return None
    sets, manifest = found.sets, found.manifest()
    figures = edit_figures(sets, seed=seed)
    drawn, said = edit_plots(figures, manifest), ""
    if models is not None:
        with served_models(models) as served:
            sheets, worst = served_edits(served, sets[manifest["served"]], manifest)
        drawn |= sheets
        said = f"edited anew: property within {worst:.1f} {manifest['unit']} of the stored changes"
    return Section(
        name="edits",
        targets=edit_targets(figures, manifest["served"]),
        sheets=(edits_sheet(figures, manifest), redrawn_sheet(figures)),
        content={
            "served": manifest["served"],
            "networks": manifest["networks"],
            **{kind: each.as_json() for kind, each in figures.items()},
        },
        parts=edit_parts(figures, manifest, drawn),
        said=said,
    )
