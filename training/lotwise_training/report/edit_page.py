"""The report's part on edits: tables, targets, figures, elements of the page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from lotwise_training.edit_outputs import SIMULATOR
from lotwise_training.report.edit_figures import KIND_WORDS, curves_figure, response_figure
from lotwise_training.report.edit_tables import (
    LEAST_DIAGONAL,
    LEAST_PSNR_DB,
    MOST_OFF_DIAGONAL,
    MOST_SHIFT,
    EditFigures,
)
from lotwise_training.report.html_parts import Plot, figure_html, table_html
from lotwise_training.report.sheets import Sheet
from lotwise_training.report.targets import Target
from lotwise_training.report.wording import NONE, number, percent


def edits_sheet(figures: Mapping[str, EditFigures], manifest: Mapping[str, Any]) -> Sheet:
    """What every editor does to attributes and to the property."""
    rows: list[tuple[str, ...]] = []
    groups: list[int] = []
    real = np.diag(figures[SIMULATOR].response)
    for kind in (kind for kind in KIND_WORDS if kind in figures):
        each = figures[kind]
        groups.append(len(rows))
        for row, name in enumerate(manifest["attributes"]):
            off = [abs(v) for i, v in enumerate(each.response[row]) if i != row]
            rows.append(
                (
                    KIND_WORDS[kind] if row == 0 else "",
                    name,
                    number(each.response[row, row], 2),
                    f"{each.low[row, row]:.2f} to {each.high[row, row]:.2f}",
                    NONE if kind == SIMULATOR else number(each.response[row, row] / real[row], 2),
                    number(max(off), 2),
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
            "of a real change",
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
        "that change, the property being the true one: what the meter sees of a real change is the "
        'most that can be asked of an editor, and "of a real change" is the share of it that the '
        "edit shows. Largest leak: into another attribute. True "
        "direction: edits that move the property as the truth does. Intervals: bootstrap over "
        "lots.",
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
    return (
        Target(
            "edit response, diagonal",
            f"at least {LEAST_DIAGONAL:.1f}",
            f"{each.least_diagonal:.2f} (least)",
            "",
            each.least_diagonal >= LEAST_DIAGONAL,
            each.least_diagonal,
        ),
        Target(
            "edit response, off the diagonal",
            f"at most {MOST_OFF_DIAGONAL:.2f}",
            f"{each.most_off_diagonal:.2f} (most)",
            "",
            each.most_off_diagonal <= MOST_OFF_DIAGONAL,
            each.most_off_diagonal,
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
