"""The report's section on the cascade (early exit): few members first."""

from __future__ import annotations

from typing import Final

from lotwise.core.cascade import CASCADE_FILE, Cascade
from lotwise.core.cascade_fit import evaluations
from lotwise_training.evaluation.cascade import REFERRED, StoredCascade
from lotwise_training.evaluation.records import Records
from lotwise_training.evaluation.shift_predictions import KNOWN
from lotwise_training.report.render import Inputs, Section, section_of, table
from lotwise_training.report.served_models import COMMITTEE, check_same
from lotwise_training.report.targets import Target, at_least, at_most

SECTION: Final = "cascade"
LEAST_EQUAL: Final = 0.995
MOST_EVALUATIONS: Final = 1 / 3


def cascade_records(stored: StoredCascade) -> Records:
    """Cost and decisions by set."""
    records = Records()
    for name, each in stored.sets.items():
        records.add(
            SECTION,
            {"set": name},
            len(each.done),
            first_enough=float(each.done.mean()),
            evaluations=evaluations(each.done, stored.first, stored.members),
            same_decision=float((each.decided == each.by_all).mean()),
            accepted_tiles=float((each.decided != REFERRED).mean()),
            accepted_by_all=float((each.by_all != REFERRED).mean()),
        )
    return records


def cascade_targets(records: Records) -> tuple[Target, ...]:
    """The project's targets, on known lots in new regions."""
    (known,) = records.rows(SECTION, set=KNOWN)
    same, cost = known.value("same_decision"), known.value("evaluations")
    return (
        at_least("cascade: same decision as the whole ensemble", same, LEAST_EQUAL),
        at_most("cascade: share of the members' evaluations", cost, MOST_EVALUATIONS, digits=0),
    )


@section_of(StoredCascade)
def cascade_section(inputs: Inputs, stored: StoredCascade) -> Section:
    """The section, see `Inputs`; compares the served cascade."""
    if inputs.models is not None:
        served = Cascade.read(inputs.models / COMMITTEE / CASCADE_FILE)
        version = None if served is None else served.calibration.calibration_version
        check_same("cascade", version, stored.version, "lotwise-train cascade")
    records = cascade_records(stored)
    shown = table("cascade", records.rows(SECTION), stored=stored)
    stated = {name: getattr(stored, name) for name in ("version", "first", "members")}
    targets = cascade_targets(records)
    return Section("cascade", "Cascade (early exit)", (shown,), records, targets, stated)
