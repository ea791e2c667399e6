"""The report's section on which lot to test next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from lotwise.core.calibration import read_calibration
from lotwise_training.active_learning.acquisition import RISK
from lotwise_training.active_learning.savings import (
    FORECASTS,
    MOST_OFF,
    PLANS,
    most_off,
    plan_records,
)
from lotwise_training.active_learning.simulation import (
    FIRST,
    RANDOM,
    SimulatedPlans,
)
from lotwise_training.evaluation.records import Records, Row
from lotwise_training.report.figures.plans import plan_figure
from lotwise_training.report.render import (
    NONE,
    Column,
    Inputs,
    Section,
    Table,
    cell,
    plot,
    section_of,
    table,
)
from lotwise_training.report.served_models import COMMITTEE, check_same
from lotwise_training.report.targets import Target, at_most

SAVING_AT: Final = 20


@section_of(SimulatedPlans)
def plans_section(inputs: Inputs, made: SimulatedPlans) -> Section:
    """The section, see `Inputs`; compares the served committee."""
    stated = made.manifest()
    weights = stated["weights_sha256"]
    if inputs.models is not None:
        served = read_calibration(inputs.models / COMMITTEE).calibration.weights_sha256
        check_same("committee", served, weights, "lotwise-train plan lots --measure")
    records = plan_records(made, stated["unit"], inputs.seed)
    starts, figure = len(made.errors[RANDOM]), plan_figure(made, stated)
    blocks = (
        plot("plan-lots", figure, starts=starts, off=100 * MOST_OFF),
        plans_table(records, made, stated),
        forecasts_table(records),
    )
    title, targets = "Which lot to test next", plan_targets(records, made)
    return Section("plans", title, blocks, records, targets, {"weights_sha256": weights})


def plans_table(records: Records, made: SimulatedPlans, stated: Mapping[str, Any]) -> Table:
    """Errors by way and number of tested lots, and what is saved."""
    last = int(made.sizes[-1])

    def needs(row: Row) -> str:
        metric = row.metrics["random_needs"]
        ends = metric.interval or (None, None)
        lots = [f"over {last}" if n is None else f"{n:.0f}" for n in (metric.value, *ends)]
        return lots[0] if len(set(lots)) == 1 else f"{lots[0]} ({lots[1]} to {lots[2]})"

    def chosen(text: Callable[[Row], str]) -> Callable[[Row], str]:
        return lambda row: NONE if row.of["way"] == RANDOM else text(row)

    forms = {
        "difference": chosen(Column("", "against_random", "+%2").text),
        "ends": chosen(Column("", "against_random", "~+%2").text),
        "needs": chosen(needs),
        "saved": chosen(Column("", "saved", "%0").text),
    }
    # Nothing is chosen yet at the first size.
    rows = [r for r in records.rows(PLANS) if r.of["way"] == RANDOM or r.of["tested"] != FIRST]
    starts, unit, name = len(made.errors[RANDOM]), stated["unit"], stated["property"]
    return table(
        "plans", rows, forms, made=made, starts=starts, first=FIRST, unit=unit, property=name
    )


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
