"""The report's sections on planning: which lot to test next, how many tiles an accuracy takes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from lotwise.core.calibration import read_calibration
from lotwise_training.active_learning.acquisition import RISK
from lotwise_training.active_learning.learning_curve import LearningCurve
from lotwise_training.active_learning.power_law import INTERVAL, Need, interval, need
from lotwise_training.active_learning.savings import (
    FORECASTS,
    MOST_OFF,
    PLANS,
    most_off,
    plan_records,
)
from lotwise_training.active_learning.simulation import FIRST, RANDOM, SimulatedPlans
from lotwise_training.evaluation.records import Records, Row
from lotwise_training.report.figures.plans import learning_figure, plan_figure
from lotwise_training.report.render import (
    NONE,
    Inputs,
    Section,
    Table,
    cell,
    paragraph,
    plot,
    section_of,
    table,
)
from lotwise_training.report.served_models import COMMITTEE, check_same
from lotwise_training.report.targets import Target, at_most

SAVING_AT: Final = 20
AGAINST: Final = ("against_random", "random_needs", "saved")
"""Says nothing of random choice itself."""
LEARNING_CURVE: Final = "learning curve"
WITHIN: Final = 0.02
"""Of the true accuracy the predicted one was to lie."""
LEAST_POINTS: Final = 3
"""That a curve is extrapolated from."""


@section_of(SimulatedPlans)
def plans_section(inputs: Inputs, made: SimulatedPlans) -> Section:
    """The section, see `Inputs`; compares the served committee."""
    weights = made.weights_sha256
    if inputs.models is not None:
        served = read_calibration(inputs.models / COMMITTEE).calibration.weights_sha256
        check_same("committee", served, weights, "lotwise-train plan lots --measure")
    records = plan_records(made, made.unit, inputs.seed)
    starts, figure = len(made.errors[RANDOM]), plan_figure(made)
    blocks = (
        plot("plan-lots", figure, starts=starts, off=100 * MOST_OFF),
        plans_table(records, made),
        forecasts_table(records),
    )
    title, targets = "Which lot to test next", plan_targets(records, made)
    return Section("plans", title, blocks, records, targets, {"weights_sha256": weights})


def plans_table(records: Records, made: SimulatedPlans) -> Table:
    """Errors by way and number of tested lots, and what is saved."""
    last = int(made.sizes[-1])

    def needs(row: Row) -> str:
        metric = row.metrics.get("random_needs")
        if metric is None:
            return NONE
        ends = metric.interval or (None, None)
        lots = [f"over {last}" if n is None else f"{n:.0f}" for n in (metric.value, *ends)]
        return lots[0] if len(set(lots)) == 1 else f"{lots[0]} ({lots[1]} to {lots[2]})"

    rows = []
    for row in records.rows(PLANS):
        if row.of["way"] == RANDOM:
            kept = {name: each for name, each in row.metrics.items() if name not in AGAINST}
            rows.append(Row(row.of, kept))
        elif row.of["tested"] != FIRST:  # nothing is chosen yet at the first size
            rows.append(row)
    fields = {"starts": len(made.errors[RANDOM]), "unit": made.unit, "property": made.property}
    return table("plans", rows, {"needs": needs}, made=made, first=FIRST, **fields)


def forecasts_table(records: Records) -> Table:
    """Forecast errors beside those observed."""
    rows = records.rows(FORECASTS)
    return table("forecasts", rows, starts=rows[0].metrics["forecast"].count if rows else 0)


def plan_targets(records: Records, made: SimulatedPlans) -> tuple[Target, ...]:
    """The project's targets beside what was measured."""
    found = records.find(PLANS, "against_random", way=RISK, tested=SAVING_AT)
    value = None if found is None or found.interval is None else float(found.value or 0.0)
    ends = found.interval if found is not None else None
    return (
        at_most("expected error of untested lots, off by", most_off(made), MOST_OFF, "points", 1),
        Target(
            f"{SAVING_AT} chosen lots against as many random ones",
            "significantly less MAPE",
            "" if value is None else f"{cell(value, '+%2')} points",
            reached=None if ends is None or ends[1] is None else ends[1] < 0,
            value=value,
        ),
    )


@section_of(LearningCurve)
def learning_section(_: Inputs, curve: LearningCurve) -> Section:
    """The section, see `Inputs`."""
    text = " ".join(need_sentences(curve, ()))
    blocks = (curve_table(curve), plot("learning", learning_figure(curve)), text)
    left_out = ("points", "arrays_sha256")
    stated = {key: value for key, value in curve.manifest().items() if key not in left_out}
    title, records = "Learning curve: how many tiles an accuracy takes", curve_records(curve)
    return Section("learning", title, blocks, records, curve_targets(curve), stated)


def curve_records(curve: LearningCurve) -> Records:
    """All points."""
    records = Records()
    for point in curve.points:
        low, high = np.quantile(point.drawn, INTERVAL).tolist()
        records.add(
            LEARNING_CURVE,
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
    rows = curve_records(curve).rows(LEARNING_CURVE)
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
