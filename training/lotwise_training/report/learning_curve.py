"""The report's section on the learning curve, and how many tiles an accuracy takes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from lotwise_training.active_learning.learning_curve import LearningCurve, figures
from lotwise_training.active_learning.power_law import INTERVAL, Need, interval, need
from lotwise_training.evaluation.records import Records, Row
from lotwise_training.report.figures.plans import learning_figure
from lotwise_training.report.render import (
    Inputs,
    Section,
    Table,
    cell,
    paragraph,
    plot,
    section_of,
    table,
)
from lotwise_training.report.targets import Target, at_most

SECTION: Final = "learning curve"
WITHIN: Final = 0.02
"""Of the true accuracy the predicted one was to lie."""
LEAST_POINTS: Final = 3
"""That a curve is extrapolated from."""


@section_of(LearningCurve)
def learning_section(_: Inputs, curve: LearningCurve) -> Section:
    """The section, see `Inputs`."""
    text = " ".join(need_sentences(curve, ()))
    blocks = (curve_table(curve), plot("learning", learning_figure(curve)), text)
    stated = {key: value for key, value in figures(curve).items() if key != "points"}
    title, records = "Learning curve: how many tiles an accuracy takes", curve_records(curve)
    return Section("learning", title, blocks, records, curve_targets(curve), stated)


def curve_records(curve: LearningCurve) -> Records:
    """All points."""
    records = Records()
    for point in curve.points:
        low, high = np.quantile(point.drawn, INTERVAL).tolist()
        records.add(
            SECTION,
            {"training_tiles": point.tiles},
            curve.unlabelled,
            share=point.share,
            steps=point.steps,
            confidence=point.confidence,
            temperature=point.temperature,
            predicted=(point.predicted, (low, high)),
            accuracy=point.accuracy,
        )
    return records


def curve_table(curve: LearningCurve) -> Table:
    """The learning curve, predicted and true."""

    def of_lot(row: Row) -> str:
        return cell(float(row.of["training_tiles"]) / curve.lots, ",")

    def difference(row: Row) -> str:
        return cell(row.value("predicted") - row.value("accuracy"), "+%1")

    forms = {"of_lot": of_lot, "difference": difference}
    rows = curve_records(curve).rows(SECTION)
    return table("learning-curve", rows, forms, curve=curve, extrapolated=_extrapolated(curve))


def need_sentences(curve: LearningCurve, accuracies: Iterable[float]) -> list[str]:
    """How many tiles accuracies take.

    Args:
        curve: The learning curve.
        accuracies: To be reached; where empty, those with 25% and 50% less error than now.
    """
    last = curve.points[-1]
    wanted = list(accuracies) or [1.0 - (1.0 - last.predicted) * share for share in (0.75, 0.5)]
    law, resampled = curve.law(), curve.resampled()
    limit = paragraph("law-no-floor")
    if law.floor > 0.0:
        limit = paragraph("law-floor", most=1.0 - law.floor)
    sentences = [paragraph("law", last=last, limit=limit)]
    for accuracy in wanted:
        found = need(law, resampled, 1.0 - accuracy)
        sentences.append(f"For {accuracy:.1%}: {_needed(found, last.tiles, curve.lots)}")
    return sentences


def _needed(found: Need, tiles: int, lots: int) -> str:
    never = (
        f" In {found.never:.0%} of the resamples the curve never reaches it." if found.never else ""
    )
    if math.isinf(found.tiles):
        return paragraph("need-never", never=never)
    if found.tiles <= tiles:
        return paragraph("need-reached", tiles=_rounded(found.tiles))
    more = found.tiles - tiles
    numbers = {"tiles": found.tiles, "low": found.low, "high": found.high}
    numbers |= {"more": more, "each": more / lots}
    shown = {name: _rounded(number) for name, number in numbers.items()}
    return paragraph("need", **shown, lots=lots, never=never)


def _rounded(tiles: float) -> str:
    """Two digits: more would feign precision."""
    if math.isinf(tiles):
        return "no number of"
    if tiles < 1:
        return "1"
    unit = 10 ** max(0, math.floor(math.log10(tiles)) - 1)
    return f"{round(tiles / unit) * unit:,}"


def _extrapolated(curve: LearningCurve) -> str:
    """The last point as the points before it predict it."""
    if len(curve.points) <= LEAST_POINTS:
        return ""
    last, before = curve.points[-1], len(curve.points) - 1
    low, high = interval(curve.resampled(before), last.tiles)
    accuracy = 1 - curve.law(before).error(last.tiles)
    return paragraph("extrapolated", last=last, accuracy=accuracy, low=1 - high, high=1 - low)


def curve_targets(curve: LearningCurve) -> tuple[Target, ...]:
    """The project's target beside what was measured."""
    worst = max(abs(point.predicted - point.accuracy) for point in curve.points)
    what = "accuracy predicted from unlabelled tiles, largest error"
    return (at_most(what, worst, WITHIN, "points", 1),)
