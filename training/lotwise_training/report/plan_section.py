"""The report's section on the learning curve, from stored figures."""

from __future__ import annotations

from html import escape
from pathlib import Path

from lotwise_training.active_learning.learning_curve import LearningCurve, figures
from lotwise_training.report.html_parts import Plot, figure_html, table_html
from lotwise_training.report.plan_sheets import (
    curve_sheet,
    curve_targets,
    learning_figure,
    need_sentences,
)
from lotwise_training.report.section import Section
from lotwise_training.store.arrays import find


def plan_section(results: Path) -> Section | None:
    """The section; None where no curve is stored.

    Args:
        results: Folder of stored answers.

    Raises:
        ResultsError: What is stored is no learning curve.
    """
    curve = find(LearningCurve, results)
    if curve is None:
        return None
    sheet, sentences = curve_sheet(curve), need_sentences(curve, ())
    plot = Plot(
        "learning",
        learning_figure(curve),
        "Accuracy against the tiles that committees learned from, predicted from unlabelled tiles "
        "and in truth, and the curve drawn on to ten times the tiles that there are.",
    )
    return Section(
        name="learning_curve",
        targets=curve_targets(curve),
        sheets=(sheet,),
        content=dict(figures(curve)),
        parts=[
            "<h2>How many tiles it takes</h2>",
            table_html(sheet),
            figure_html({plot.name: plot}, plot.name),
            f"<p>{escape(' '.join(sentences))}</p>",
        ],
    )
