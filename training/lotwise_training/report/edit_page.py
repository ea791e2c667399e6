"""The report's part on edits: tables, targets, figures, elements of the page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from lotwise_training.evaluation.edit_records import SIMULATOR
from lotwise_training.evaluation.edits import (
    LEAST_DIAGONAL,
    LEAST_PSNR_DB,
    MOST_OFF_DIAGONAL,
    MOST_SHIFT,
    EditFigures,
    least_diagonal,
    most_off_diagonal,
)
from lotwise_training.report.figures.edits import KIND_WORDS, curves_figure, response_figure
from lotwise_training.report.html_parts import Plot, figure_html, table_html
from lotwise_training.report.sheets import Sheet
from lotwise_training.report.targets import Target
from lotwise_training.report.wording import NONE, number, percent


def edits_sheet(figures: Mapping[str, EditFigures], manifest: Mapping[str, Any]) -> Sheet:
    """What every editor does to attributes and to the property."""
    rows: list[tuple[str, ...]] = []
    groups: list[int] = []
    for kind in (kind for kind in KIND_WORDS if kind in figures):
        each = figures[kind]
        groups.append(len(rows))
        for row, name in enumerate(manifest["attributes"]):
            rows.append(
                (
                    KIND_WORDS[kind] if row == 0 else "",
                    name,
                    number(each.response[row, row], 2),
                    f"{each.low[row, row]:.2f} to {each.high[row, row]:.2f}",
                    number(_leak(each.response, row), 2),
                    *_corrected(each, row),
                    f"{each.slopes[row]:,.0f}".replace("-", "−"),
                    NONE if kind == SIMULATOR else percent(each.true_signs[row], 0),
                )
            )
    return Sheet(
        "edits",
        "Table 8: what edits change",
        (
            "by",
            "attribute",
            "measured, of 1 asked",
            "95% interval",
            "largest leak",
            "corrected",
            "95% interval",
            "largest leak",
            f"property, {manifest['unit']} for 1",
            "true direction, %",
        ),
        tuple(rows),
        tuple(groups[1:]),
        words=2,
        note="Each attribute of each tile is edited by 0.3 up and down, all others left. A network "
        "that has never seen an editor, and learned from other simulated lots, measures the edited "
        "tiles; the regressor reads their property. First the lots themselves, made again with "
        "that change, the property being the true one: what the meter sees of a real change. "
        "Corrected: the true change that would make the meter answer as it does to the edit, its "
        "answers to real changes being known. Largest leak: into another attribute. True "
        "direction: edits that move the property as the truth does. Intervals: bootstrap over "
        "lots.",
    )


def _leak(response: npt.NDArray[np.float64], row: int) -> float:
    """Largest change of another attribute, where that of `row` was asked for."""
    return float(np.abs(np.delete(response[row], row)).max())


def _corrected(each: EditFigures, row: int) -> tuple[str, str, str]:
    """Cells: what an edit changes without the meter's own errors."""
    low, high = each.corrected_low, each.corrected_high
    if each.corrected is None or low is None or high is None:
        return NONE, NONE, NONE
    return (
        number(each.corrected[row, row], 2),
        f"{low[row, row]:.2f} to {high[row, row]:.2f}",
        number(_leak(each.corrected, row), 2),
    )


def redrawn_sheet(figures: Mapping[str, EditFigures]) -> Sheet:
    """What editors do where nothing is to change."""
    shown = [kind for kind in KIND_WORDS if kind in figures and kind != SIMULATOR]
    return Sheet(
        "redrawn",
        "Table 9: tiles redrawn with their own attributes",
        ("editor", "tiles", "PSNR, dB", "prediction moves by, %", "there and back, PSNR, dB"),
        tuple(
            (
                KIND_WORDS[kind],
                f"{figures[kind].tiles:,}",
                number(figures[kind].redrawn_psnr_db, 1),
                percent(figures[kind].shift),
                number(figures[kind].returned_psnr_db, 1),
            )
            for kind in shown
        ),
        note="The difference editor returns such a tile as it is by its build, so its first two "
        "figures are no merit of training. There and back: edited upwards by 0.3 and back again, "
        "mean over attributes.",
    )


def edit_targets(figures: Mapping[str, EditFigures], served: str) -> tuple[Target, ...]:
    """The project's targets for the editor that is served."""
    each = figures[served]
    decibels, shift = each.redrawn_psnr_db, each.shift
    responses = {"edit response": each.response}
    if each.corrected is not None:
        responses["edit response, corrected"] = each.corrected
    return (
        *(
            target
            for name, response in responses.items()
            for target in _response_targets(name, response)
        ),
        Target(
            "PSNR of redrawn tiles",
            f"at least {LEAST_PSNR_DB:.0f} dB",
            "" if decibels is None else f"{decibels:.1f} dB",
            "",
            None if decibels is None else decibels >= LEAST_PSNR_DB,
            decibels,
        ),
        Target(
            "prediction moved by redrawing",
            f"at most {MOST_SHIFT:.0%}",
            "" if shift is None else f"{shift:.2%}",
            "",
            None if shift is None else shift <= MOST_SHIFT,
            shift,
        ),
    )


def _response_targets(name: str, response: npt.NDArray[np.float64]) -> tuple[Target, Target]:
    least, most = least_diagonal(response), most_off_diagonal(response)
    return (
        Target(
            f"{name}, diagonal",
            f"at least {LEAST_DIAGONAL:.1f}",
            f"{least:.2f} (least)",
            "",
            least >= LEAST_DIAGONAL,
            least,
        ),
        Target(
            f"{name}, off the diagonal",
            f"at most {MOST_OFF_DIAGONAL:.2f}",
            f"{most:.2f} (most)",
            "",
            most <= MOST_OFF_DIAGONAL,
            most,
        ),
    )


def edit_plots(figures: Mapping[str, EditFigures], manifest: Mapping[str, Any]) -> dict[str, Plot]:
    """Figures of edits, by name."""
    attributes = manifest["attributes"]
    made = [
        Plot(
            "edit-response",
            response_figure(figures, attributes),
            "By how much the meter's readings change (columns) for each unit of an attribute that "
            "an edit asks for (rows). Perfect: 1 on the diagonal, 0 elsewhere. Left: what the "
            "meter sees of real changes, the most that can be asked of an editor.",
        ),
        Plot(
            "edit-curves",
            curves_figure(manifest["curves"]),
            "The editors' trainings (Liu et al. 2020, Figure 10). Dotted: a reader that always "
            "answers 0.5.",
        ),
    ]
    return {plot.name: plot for plot in made}


def edit_parts(
    figures: Mapping[str, EditFigures], manifest: Mapping[str, Any], drawn: Mapping[str, Plot]
) -> list[str]:
    """Elements of the page."""
    served = KIND_WORDS[manifest["served"]]
    words = (
        f"Editors change attributes of a tile; served is the {served}. Measured on "
        f"{figures[SIMULATOR].tiles:,} tiles of {figures[SIMULATOR].lots} lots that nothing "
        "learned from."
    )
    return [
        "<h2>Edits</h2>",
        f"<p>{escape(words)}</p>",
        table_html(edits_sheet(figures, manifest)),
        table_html(redrawn_sheet(figures)),
        *(figure_html(drawn, name) for name in drawn),
    ]
