"""A plan of tests as a table and sentences."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lotwise_training.active_learning.acquisition import INFORMATION, RISK
from lotwise_training.active_learning.forecast import FARTHEST, expected_error
from lotwise_training.pipelines.plan_lots import FEW_UNTESTED, LotPlan

SIMULATED_COMMITTEE: Final = (
    "The committee was trained on simulated lots alone. It still compares lots by what it sees of "
    "them, but how well was measured on simulated lots only: trust the order more than the errors."
)


def show_plan(plan: LotPlan, target: float, console: Console) -> None:
    """Print the ranking, the next lots and the outlook; the target is relative, 0.05 for 5%."""
    console.print(ranking(plan))
    for line in ("", *sentences(plan, target)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def ranking(plan: LotPlan) -> Table:
    """The untested lots, the best to test first."""
    unit = f", {plan.unit}" if plan.unit else ""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("rank", justify="right")
    table.add_column("lot", overflow="fold")
    for heading in (
        f"{plan.property_name}{unit}",
        f"± sd{unit}",
        "cut of risk, %",
        "information, nats",
        "its rank",
    ):
        table.add_column(escape(heading), justify="right")
    digits = _digits([lot.deviation for lot in plan.lots])
    for lot in plan.lots:
        table.add_row(
            str(lot.risk_rank),
            escape(lot.lot_id),
            f"{lot.predicted:,.{digits}f}",
            f"{lot.deviation:,.{digits}f}",
            f"{100 * lot.cut_of_risk:.1f}",
            f"{lot.mutual_information:.3f}",
            str(lot.information_rank),
        )
    return table


def sentences(plan: LotPlan, target: float) -> list[str]:
    """The next lots, the error now and later, and how many more lots the target takes."""
    lines = []
    by_risk, by_information = plan.batches[RISK], plan.batches[INFORMATION]
    order = ", in this order" if len(by_risk) > 1 else ""
    lines.append(f"Test next, by cut of risk{order}: {', '.join(by_risk)}.")
    if by_information != by_risk:
        lines.append(f"By mutual information: {', '.join(by_information)}.")
    now, low, high = plan.outlook.error(plan.tested)
    at_hand = plan.outlook.curve.lots
    lines.append(
        f"With {plan.tested} of {at_hand} lots tested, the expected mean error on the others is "
        f"{now:.1%} (90% interval {low:.1%} to {high:.1%})."
    )
    further = sorted({step for step in (5, 10, 20) if plan.tested + step < at_hand})
    later = [
        f"{error:.1%} ({low:.1%} to {high:.1%}) with {step} more"
        for step in further
        for error, low, high in [plan.outlook.error(plan.tested + step)]
    ]
    if later:
        lines.append(f"Tested in the order that cuts the risk: {', '.join(later)}.")
    lines.append(needed(plan, target))
    if len(plan.lots) <= FEW_UNTESTED:
        lines.append(f"Only {len(plan.lots)} lots are untested: list more for a choice.")
    if plan.simulated:
        lines.append(SIMULATED_COMMITTEE)
    return lines


def needed(plan: LotPlan, target: float) -> str:
    """How many more lots a relative mean error takes, or that it is out of reach."""
    more, low, high = plan.outlook.more(target)
    untested = len(plan.outlook.curve.errors)
    goal = f"A mean error of {100 * target:g}%"
    if more == 0:
        doubt = "" if high == 0 else f" It may still take {_lots(high)} (90% interval)."
        return f"{goal} is reached already, by the variances.{doubt}"
    interval = f"90% interval {_number(low)} to {_lots(high)}"
    if math.isinf(more):
        floor = float(expected_error(np.array(plan.nugget)))
        why = (
            "a lot's own deviation, and the scatter of its tests where that is not stated, alone "
            f"makes {floor:.1%}"
            if floor >= target
            else f"it takes more than {FARTHEST} times the lots at hand, farther than they can tell"
        )
        chance = "" if math.isinf(low) else f" At best it takes {_lots(low)} (90% interval)."
        return f"{goal} is out of reach: {why}.{chance}"
    where = (
        f", beyond the {untested} at hand: of lots like these, by a power law"
        if more >= untested
        else ", tested in that order"
    )
    return f"{goal} takes about {_lots(more)}{where} ({interval})."


def _number(count: float) -> str:
    return "out of reach" if math.isinf(count) else f"{count:,.0f}"


def _lots(count: float) -> str:
    if math.isinf(count):
        return "out of reach"
    return f"{count:,.0f} more lot{'' if count == 1 else 's'}"


def _digits(deviations: list[float]) -> int:
    """Decimals that leave two figures of the smallest deviation."""
    smallest = min(each for each in deviations if each > 0)
    return max(0, 1 - math.floor(math.log10(smallest)))
