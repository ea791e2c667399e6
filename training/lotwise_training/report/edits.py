"""The report's section on edits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lotwise_training.evaluation.edits import (
    SECTION,
    SIMULATOR,
    EditFigures,
    EditResult,
    edit_figures,
    edit_records,
)
from lotwise_training.evaluation.records import Records, Row
from lotwise_training.evaluation.tile_sets import words
from lotwise_training.report.figures.edits import KINDS, curves_figure, response_figure
from lotwise_training.report.figures.style import Plot
from lotwise_training.report.render import (
    NONE,
    Block,
    Inputs,
    Section,
    Table,
    cell,
    paragraph,
    plot,
    section_of,
    table,
)
from lotwise_training.report.served_models import served_models
from lotwise_training.report.targets import Target, at_least, at_most
from lotwise_training.report.verify_networks import served_edits

LEAST_DIAGONAL: Final = 0.8
MOST_OFF_DIAGONAL: Final = 0.15
LEAST_PSNR_DB: Final = 28.0
MOST_SHIFT: Final = 0.01


@section_of(EditResult)
def edit_section(inputs: Inputs, found: EditResult) -> Section:
    """The section, see `Inputs`; asks the served editor again and shows what it draws."""
    sets, manifest = found.sets, found.manifest()
    unit, served = found.unit, found.served
    figures = edit_figures(sets, seed=inputs.seed)
    records = edit_records(figures, found.attributes, unit)
    plots, verified = edit_plots(figures, found), ""
    if inputs.models is not None:
        with served_models(inputs.models) as models:
            sheets, worst = served_edits(models, sets[served], manifest)
        plots += sheets
        verified = f"edited anew: property within {worst:.1f} {unit} of the stored changes"
    truth, name = figures[SIMULATOR], words(served)
    lead = paragraph("edits", served=name, tiles=truth.tiles, lots=truth.lots)
    tables = (edits_table(records, unit), redrawn_table(records))
    blocks: list[Block] = [lead, *tables, *plots]
    stated = {"served": served, "networks": manifest["networks"]}
    targets = edit_targets(figures[served])
    return Section("edits", "Edits", blocks, records, targets, stated, verified)


def edits_table(records: Records, unit: str) -> Table:
    """What every editor does to attributes and to the property."""
    rows = [row for kind in KINDS for row in records.rows(SECTION, editor=kind) if _one(row)]
    return table("edits", rows, {"sign": _sign}, unit=unit)


def redrawn_table(records: Records) -> Table:
    """What editors do where nothing is to change."""
    found = [row for kind in KINDS for row in records.rows(SECTION, editor=kind)]
    rows = [row for row in found if len(row.of) == 1 and row.of["editor"] != SIMULATOR]
    return table("redrawn", rows)


def edit_targets(served: EditFigures) -> tuple[Target, ...]:
    """The project's targets for the editor that is served."""
    responses = {"edit response": served.response, "edit response, corrected": served.corrected}
    targets = []
    for name, response in responses.items():
        if response is not None:
            least, most = response.least_diagonal, response.most_off_diagonal
            targets += [
                at_least(f"{name}, least diagonal entry", least, LEAST_DIAGONAL, ""),
                at_most(f"{name}, largest off-diagonal entry", most, MOST_OFF_DIAGONAL, ""),
            ]
    decibels, shift = served.redrawn_psnr_db, served.shift
    return (
        *targets,
        at_least("PSNR of redrawn tiles", decibels, LEAST_PSNR_DB, "dB", 1),
        at_most("change of the prediction by redrawing", shift, MOST_SHIFT),
    )


def edit_plots(figures: Mapping[str, EditFigures], result: EditResult) -> list[Plot]:
    """Figures of edits."""
    return [
        plot("edit-response", response_figure(figures, result.attributes)),
        plot("edit-curves", curves_figure(result.curves)),
    ]


def _sign(row: Row) -> str:
    # The truth is not measured against itself.
    truth = row.of["editor"] == SIMULATOR
    return NONE if truth else cell(row.metrics["true_sign"].value, "%0")


def _one(row: Row) -> bool:
    """Whether a row is of one attribute, not of an editor or of a pair of attributes."""
    return "attribute" in row.of and "measured" not in row.of
