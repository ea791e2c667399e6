"""The report's section on intervals of the property: their coverage beside the nominal one."""

from __future__ import annotations

from lotwise.core.conformal import units_needed
from lotwise.core.intervals import IntervalCalibration, IntervalKind
from lotwise_training.evaluation.conformal import (
    ALL_LOTS,
    SECTION,
    IntervalResult,
    calibrations,
    coverage_records,
    intervals_of,
)
from lotwise_training.evaluation.records import Records, Row
from lotwise_training.report.figures.regression import lot_intervals_figure
from lotwise_training.report.figures.style import Plot
from lotwise_training.report.render import (
    NONE,
    Inputs,
    Section,
    Table,
    cell,
    interval,
    paragraph,
    plot,
    section_of,
    table,
)
from lotwise_training.report.served_models import served_models
from lotwise_training.report.targets import Target, in_unit
from lotwise_training.report.verify_networks import check_calibration, check_predictions


@section_of(IntervalResult)
def intervals_section(inputs: Inputs, found: IntervalResult) -> Section:
    """The section, see `Inputs`; asks the served fold networks about tiles of new lots again."""
    stored, verified = calibrations(found)[ALL_LOTS], ""
    if inputs.models is not None:
        check_calibration(inputs.models, stored)
        with served_models(inputs.models) as served:
            tiles, worst = check_predictions(served, found.new, seed=inputs.seed)
        verified = paragraph("folds-verified", tiles=tiles, worst=worst, unit=found.unit)
    records = coverage_records(found)
    lead = paragraph("intervals", property=found.property, profile=found.profile)
    blocks = (lead, coverage_table(records), intervals_plot(stored, found))
    targets = coverage_targets(records, stored.coverage)
    stated = {key: getattr(stored, key) for key in ("calibration_version", "tiles_per_lot")}
    title = "Intervals of the property"
    return Section("intervals", title, blocks, records, targets, stated, verified)


def coverage_table(records: Records) -> Table:
    """Coverage by calibration, kind and nominal coverage."""

    def lots(row: Row) -> str:
        return f"{row.value('calibration_lots'):,.0f} ({row.value('calibration_recipes'):,.0f})"

    def held(row: Row) -> str:
        value = row.metrics["held"].value
        needs = f"needs {row.value('recipes_needed'):.0f}"
        return needs if value is None else cell(value, "%1")

    def theory(row: Row) -> str:
        known = row.metrics["held"].value is not None
        return cell(row.value("guaranteed"), "%1") if known else NONE

    rows, forms = records.rows(SECTION), {"lots": lots, "held": held, "theory": theory}
    new = {key: rows[0].value(key) for key in ("lots", "tiles")}
    return table("intervals", rows, forms, **new)


def coverage_targets(records: Records, coverage: float) -> tuple[Target, ...]:
    """Coverage of the intervals that are served, at their nominal coverage."""
    targets = []
    for row in records.rows(SECTION, calibrated=ALL_LOTS, nominal=coverage):
        held, within = row.metrics["held"], row.metrics["within_band"].value
        value = None if held.value is None else float(held.value)
        targets.append(
            Target(
                f"coverage of {row.of['kind']} intervals on {held.count} new lots, "
                f"{coverage:.0%} nominal",
                f"{interval(row.metrics['binomial'].interval, '%1')}% (binomial)",
                in_unit(value, "%", 1),
                reached=None if within is None else bool(within),
                value=value,
            )
        )
    return tuple(targets)


def intervals_plot(calibration: IntervalCalibration, result: IntervalResult) -> Plot | None:
    """Intervals of new lots; None where the nominal coverage cannot be certified."""
    coverage, name = calibration.coverage, result.property
    if units_needed(coverage) > calibration.recipes:
        return None
    made = intervals_of(calibration, result.new, IntervalKind.LOT, coverage)
    figure = lot_intervals_figure(made, coverage, name, result.unit)
    return plot("conformal-lots", figure, coverage=coverage, property=name)
