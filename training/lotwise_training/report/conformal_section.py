"""The report's section on intervals, from stored answers and from the served fold networks."""

from __future__ import annotations

from pathlib import Path

from lotwise_training.evaluation.conformal import (
    ALL_LOTS,
    calibrations,
    conformal_json,
    coverage_figures,
)
from lotwise_training.evaluation.interval_predictions import IntervalResult
from lotwise_training.report.conformal_page import (
    conformal_parts,
    conformal_plots,
    conformal_sheet,
    conformal_targets,
)
from lotwise_training.report.section import Section
from lotwise_training.report.served_models import served_models
from lotwise_training.report.verify_conformal import check_calibration, check_folds
from lotwise_training.store.arrays import find


def conformal_section(results: Path, models: Path | None, *, seed: int) -> Section | None:
    """The report's section on intervals; None where nothing of them is stored.

    Args:
        results: Folder of stored answers.
        models: The model repository, whose calibration is compared and whose fold networks are
            asked again; None asks none.
        seed: Of the choice of tiles.

    Raises:
        ResultsError: What is stored is not what its manifest speaks of.
        RecheckFailed: The served networks or their calibration are not those that were measured.
    """
    found = find(IntervalResult, results)
    if found is None:
        return None
    held, new, manifest = found.held, found.new, found.manifest()
    stored = calibrations(held, manifest)[ALL_LOTS]
    said = ""
    if models is not None:
        check_calibration(models, stored)
        with served_models(models) as served:
            tiles, worst = check_folds(served, new, seed=seed)
        said = (
            f"asked the fold networks again about {tiles} tiles of new lots: property within "
            f"{worst:.2f} {manifest['unit']} of the stored predictions"
        )
    figures = coverage_figures(held, new, manifest)
    return Section(
        name="conformal",
        targets=conformal_targets(figures, stored.coverage),
        sheets=(conformal_sheet(figures),),
        content={
            "calibration_version": stored.calibration_version,
            "tiles_per_lot": stored.tiles_per_lot,
            "coverage": conformal_json(figures),
        },
        parts=conformal_parts(figures, manifest, conformal_plots(stored, new, manifest)),
        said=said,
    )
