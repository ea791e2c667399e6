"""The report's sections on the ensemble: known lots, selective prediction, shifted tiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lotwise_training.evaluation.classification import DIFFERENCES, SECTION, SHIFTS, intervals_over
from lotwise_training.evaluation.predictions import DROPOUT, ENSEMBLE, SINGLE, TEST, Predictions
from lotwise_training.evaluation.records import Records, Row
from lotwise_training.evaluation.tile_sets import (
    SPLITS,
    TILE_RANDOM,
    TILE_RANDOM_SHORT,
    splits_of,
    words,
)
from lotwise_training.report.figures.classification import (
    accuracy_figure,
    confusion_figure,
    reliability_figure,
    risk_coverage_figure,
)
from lotwise_training.report.figures.shifts import entropy_figure, shifted_sets
from lotwise_training.report.render import Section, Table, cell, paragraph, plot, table
from lotwise_training.report.targets import (
    LEAST_ACCURACY,
    MOST_ECE,
    MOST_NLL,
    MOST_SELECTIVE_RISK,
    PUBLISHED,
    SINGLE_ACCURACY,
    SINGLE_WITHIN,
    Target,
    at_least,
    at_most,
    in_unit,
    published,
    published_records,
)

RUN_FIGURES: Final = ("members", "dropout_passes", "train_tiles", "steps")


def classification_sections(
    outputs: Predictions, manifest: Mapping[str, Any], records: Records
) -> list[Section]:
    """The sections."""
    splits, over = splits_of(outputs), intervals_over(records)
    plots = [plot("accuracy", accuracy_figure(records, splits), over=over)]
    for split in splits:
        figure = reliability_figure(outputs, split)
        plots.append(plot(f"reliability-{split}", figure, "reliability", split=split))
        if ENSEMBLE in outputs[split, TEST].predictions:
            figure = confusion_figure(outputs, manifest, split)
            plots.append(plot(f"confusion-{split}", figure, "confusion", split=split))
    risk = plot(
        "risk-coverage",
        risk_coverage_figure(outputs),
        single=published("selective_risk", SINGLE),
        ensemble=published("selective_risk"),
        target=MOST_SELECTIVE_RISK,
    )
    tables = (accuracy_table(records), differences_table(records))
    targets = classification_targets(records)
    referral = table("referral", _by_split(records))
    sections = [
        Section("known-lots", "Known lots", (*tables, *plots), records, targets),
        Section("referral", "Selective prediction", (referral, risk)),
    ]
    if records.rows(SHIFTS):
        shown = shifted_sets(outputs)
        entropy = plot("entropy", entropy_figure(outputs)) if shown else None
        detection = table("shifts", records.rows(SHIFTS))
        blocks = (shifted_accuracy_table(records), detection, entropy)
        sections.append(Section("shifted", "Shifted tiles", blocks))
    return sections


def classification_targets(records: Records) -> tuple[Target, ...]:
    """Targets as published on tile-random, then the ensemble against the others on all splits."""

    def measured(metric: str, method: str = ENSEMBLE) -> float | None:
        return records.value(SECTION, metric, split=TILE_RANDOM, set=TEST, method=method)

    def theirs(metric: str, method: str = ENSEMBLE, unit: str = "%", digits: int = 1) -> str:
        return in_unit(published(metric, method), unit, digits)

    alone, nll = measured("accuracy", SINGLE), theirs("nll", unit="nats", digits=3)
    accuracy, ece, risk = (measured(name) for name in ("accuracy", "ece", "selective_risk"))
    at_90 = theirs("selective_risk")
    targets = [
        at_least("accuracy of the ensemble", accuracy, LEAST_ACCURACY, "%", 2, theirs("accuracy")),
        Target(
            "accuracy of a single network",
            f"{SINGLE_ACCURACY:.0%} within {100 * SINGLE_WITHIN:.1f} points",
            in_unit(alone, "%", 2),
            theirs("accuracy", SINGLE),
            None if alone is None else abs(alone - SINGLE_ACCURACY) <= SINGLE_WITHIN,
            alone,
        ),
        at_most(
            "ECE of the ensemble, uncalibrated", ece, MOST_ECE, "%", 2, theirs("ece", digits=2)
        ),
        at_most("NLL of the ensemble", measured("nll"), MOST_NLL, "nats", 3, nll),
        at_most("error of the ensemble at 90% coverage", risk, MOST_SELECTIVE_RISK, "%", 2, at_90),
    ]
    return (
        *targets,
        *(
            _beats(records, split, other)
            for split in SPLITS
            if split != TILE_RANDOM_SHORT
            for other in (SINGLE, DROPOUT)
        ),
    )


def accuracy_table(records: Records) -> Table:
    """Table 1 of Zhang et al. 2020 for all splits."""
    return table("accuracy", _by_split(records), intervals=paragraph(intervals_over(records)))


def differences_table(records: Records) -> Table:
    """The ensemble against the others, pair by pair."""

    def verdict(row: Row) -> str:
        text = "better" if row.metrics["better"].value else "not better"
        return f"{text}, significant" if row.metrics["significant"].value else text

    rows, over = records.rows(DIFFERENCES, set=TEST), intervals_over(records)
    return table("differences", rows, {"verdict": verdict}, over=over)


def shifted_accuracy_table(records: Records) -> Table:
    """Accuracy where the lots are known and something else has changed."""
    rows = []
    for row in records.rows(SHIFTS):
        of = {key: row.of[key] for key in ("split", "set", "method")}
        found = records.rows(SECTION, **of)
        if row.metrics["accuracy_drop"].value is not None and found:
            rows.append(Row(row.of, row.metrics | found[0].metrics))
    forms = {"change": lambda row: cell(-row.value("accuracy_drop"), "+%2")}
    return table("shifted-accuracy", rows, forms)


def _by_split(records: Records) -> list[Row]:
    """Test tiles by split and method; the published values after those of tile-random."""
    rows: list[Row] = []
    for split in dict.fromkeys(row.of["split"] for row in records.rows(SECTION, set=TEST)):
        rows += records.rows(SECTION, split=split, set=TEST)
        if split == TILE_RANDOM:
            rows += published_records().rows(PUBLISHED)
    return rows


def runs_table(manifest: Mapping[str, Any]) -> Table:
    """What was trained."""
    runs: Mapping[str, Mapping[str, Any]] = manifest.get("runs", {})
    names = [split for split in SPLITS if split in runs] + sorted(set(runs) - set(SPLITS))
    missing = [TILE_RANDOM_SHORT] if runs and TILE_RANDOM_SHORT not in runs else []

    rows = []
    for split in names:
        run = runs[split]
        stated = {key: run[key] for key in RUN_FIGURES if key in run}
        if "seconds" in run:
            stated["minutes"] = run["seconds"] / 60.0
        rows.append(Row({"split": split, **stated}, {}))
    rows += [Row({"split": f"{split}: not measured"}, {}) for split in missing]
    return table("runs", rows)


def _beats(records: Records, split: str, other: str) -> Target:
    def gains(accuracy: float, nll: float) -> str:
        return f"{cell(accuracy, '+%2')} points, {cell(nll, '+.3')} nats"

    theirs = ""
    if split == TILE_RANDOM:
        theirs = gains(*(published(m) - published(m, other) for m in ("accuracy", "nll")))
    what, wanted = f"{split}: beats {words(other)}", "higher accuracy, lower NLL"
    rows = records.rows(DIFFERENCES, split=split, set=TEST, other=other)
    if not rows:
        return Target(what, wanted, "", theirs)
    measured = gains(rows[0].value("accuracy_gain"), rows[0].value("nll_gain"))
    return Target(what, wanted, measured, theirs, bool(rows[0].metrics["better"].value))
