"""The report's sections on kinds of shift, verdicts on lots, and the cascade (early exit)."""

from __future__ import annotations

from typing import Final

import numpy as np

from lotwise.core.cascade import CASCADE_FILE, Cascade
from lotwise.core.cascade_fit import evaluations
from lotwise.core.diagnosis import DIAGNOSIS_FILE, Diagnosis
from lotwise.core.lot_diagnosis import LOT_DIAGNOSIS_FILE, LotCalibration
from lotwise_training.evaluation.records import Records, Row
from lotwise_training.evaluation.shifts import (
    EARLY,
    KINDS_OF_LOTS,
    KINDS_OF_TILES,
    KNOWN,
    MIXED,
    NEW,
    PER_LOT,
    REFERRED,
    ShiftPredictions,
    StoredCascade,
    add_early_verdicts,
    add_mixtures,
    balanced_accuracy,
    kind_records,
)
from lotwise_training.report.figures.shifts import kinds_figure, roc_figure
from lotwise_training.report.render import Inputs, Section, Table, cell, plot, section_of, table
from lotwise_training.report.served_models import COMMITTEE, check_same
from lotwise_training.report.targets import Target, at_least, at_most

MOST_ALARMS: Final = 15
LEAST_LOT_ACCURACY: Final = 0.90
MOST_NEEDED: Final = 0.20
CASCADE: Final = "cascade"
LEAST_EQUAL: Final = 0.995
MOST_EVALUATIONS: Final = 1 / 3


@section_of(ShiftPredictions)
def diagnosis_section(inputs: Inputs, predictions: ShiftPredictions) -> Section:
    """The section, see `Inputs`; compares the served diagnosis."""
    if inputs.models is not None:
        folder = inputs.models / COMMITTEE
        served, lots = Diagnosis.read(folder / DIAGNOSIS_FILE), predictions.lots
        pair = (
            None if served is None else served.version,
            LotCalibration.read(folder / LOT_DIAGNOSIS_FILE),
        )
        check_same("diagnosis", pair, (lots.diagnosis_version, lots), "lotwise-train diagnose")
    records = kind_records(predictions)
    add_mixtures(records, predictions, inputs.seed)
    add_early_verdicts(records, predictions)
    blocks = (
        plot("kinds", kinds_figure(records)),
        plot("roc", roc_figure(predictions, inputs.outputs)),
        kinds_table(records, KINDS_OF_TILES),
        kinds_table(records, KINDS_OF_LOTS),
        early_table(records),
    )
    stated = {"diagnosis_version": predictions.lots.diagnosis_version}
    title, targets = "Kinds of shift, and verdicts on lots", diagnosis_targets(records)
    return Section("diagnosis", title, blocks, records, targets, stated)


def kinds_table(records: Records, section: str) -> Table:
    """What sets are diagnosed as: KINDS_OF_TILES or KINDS_OF_LOTS."""
    accuracy, name = balanced_accuracy(records, section), section.replace(" ", "-")
    return table(name, records.rows(section), accuracy=accuracy, per_lot=PER_LOT)


def early_table(records: Records) -> Table:
    """How early verdicts are settled."""

    def undecided(row: Row) -> str:
        lots = row.metrics["accepted"].count or 0
        return cell(lots - row.value("accepted") - row.value("referred"), ",")

    mixed = ", ".join(
        f"{row.of['share_of_second_lot']:.0%} of the second lot "
        f"{row.value('mixed_alarms'):.0f} of {row.metrics['mixed_alarms'].count}"
        for row in records.rows(MIXED)
    )
    forms = {"undecided": undecided}
    return table("early-verdicts", records.rows(EARLY), forms, per_lot=PER_LOT, mixed=mixed)


def diagnosis_targets(records: Records) -> tuple[Target, ...]:
    """The project's targets beside what was measured."""
    by_lot = balanced_accuracy(records, KINDS_OF_LOTS)
    (new,) = records.rows(KINDS_OF_LOTS, set=NEW)
    alarms, lots = new.value("instrument_alarms"), new.metrics["instrument_alarms"].count or 1
    # Every lot counts once.
    found = [row.metrics["needed"] for row in records.rows(EARLY)]
    needed = [
        each.value for each in found for _ in range(each.count or 0) if each.value is not None
    ]
    share = float(np.median(needed)) / PER_LOT if needed else None
    what = "kind of shift of a lot, balanced accuracy"
    return (
        at_least(what, by_lot, LEAST_LOT_ACCURACY, digits=1),
        Target(
            f"false alarms on {lots} new lots",
            f"at most {MOST_ALARMS}",
            f"{alarms:.0f}",
            reached=alarms <= MOST_ALARMS,
            value=alarms / lots,
        ),
        at_most("share of a lot's tiles needed for its verdict", share, MOST_NEEDED, digits=0),
    )


def cascade_records(stored: StoredCascade) -> Records:
    """Cost and decisions by set."""
    records = Records()
    for name, each in stored.sets.items():
        records.add(
            CASCADE,
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
    (known,) = records.rows(CASCADE, set=KNOWN)
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
    shown = table("cascade", records.rows(CASCADE), stored=stored)
    stated = {name: getattr(stored, name) for name in ("version", "first", "members")}
    targets = cascade_targets(records)
    return Section("cascade", "Cascade (early exit)", (shown,), records, targets, stated)
