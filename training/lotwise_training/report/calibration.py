"""The report's section on calibration: what probabilities, familiarity and policy promise."""

from __future__ import annotations

from typing import Final

from lotwise.core.calibration import read_calibration
from lotwise.core.errors import LotwiseError
from lotwise_training.evaluation.calibration import (
    FAMILIARITY,
    SCALING,
    SELECTIVE,
    add_familiarity,
    add_scaling,
    add_selective,
    scored,
)
from lotwise_training.evaluation.predictions import ENSEMBLE, TEST, CalibrationCheck
from lotwise_training.evaluation.records import Records, Row
from lotwise_training.evaluation.risk_promise import (
    ACCEPTED,
    PROMISE,
    add_accepted,
    add_promise,
    check_promises,
)
from lotwise_training.evaluation.tile_sets import TILE_RANDOM, words
from lotwise_training.report.render import Inputs, Section, paragraph, section_of, table
from lotwise_training.report.served_models import COMMITTEE, RecheckFailed, check_same
from lotwise_training.report.targets import (
    MOST_SELECTIVE_RISK,
    PUBLISHED,
    Target,
    at_least,
    at_most,
    in_unit,
    published,
    published_records,
)

MOST_SCALED_ECE: Final = 0.005
FRESH_TILES: Final = 50_000
"""Least tiles that the target on ECE is to be measured on."""
FRESH_WORDS: Final = "fresh tiles"


@section_of(CalibrationCheck)
def calibration_section(inputs: Inputs, check: CalibrationCheck) -> Section:
    """The section, see `Inputs`; compares the served calibration."""
    outputs, seed = inputs.outputs, inputs.seed
    version, verified = check.calibration.calibration_version, ""
    if inputs.models is not None:
        try:
            served = read_calibration(inputs.models / COMMITTEE).calibration
        except LotwiseError as error:
            raise RecheckFailed(f"the served committee has no calibration: {error}") from None
        check_same("calibration", served, check.calibration, "lotwise-train predict")
        verified = f"served calibration {version} is the one measured"
    temperature, request = check.calibration.temperature, check.policy.request
    fresh, policy, records = check.fresh, check.policy, Records()
    labels = fresh.labels
    pool = scored(fresh.pooled, labels, fresh.familiarity, temperature)
    add_scaling(records, check, seed=seed)
    for promise in check_promises(policy, pool, labels, seed=seed):
        add_promise(records, promise)
    add_accepted(records, pool, labels, request.min_familiarity, policy.max_score)
    if (TILE_RANDOM, TEST) in outputs:
        test = outputs[TILE_RANDOM, TEST]
        pooled = test.predictions[ENSEMBLE].probabilities
        add_selective(records, TEST, scored(pooled, test.labels, test.familiarity, temperature))
    add_selective(records, FRESH_WORDS, pool)
    add_familiarity(records, outputs, request.min_familiarity)
    used = check.calibration.calibration_set
    lead = paragraph("calibration", version=version, used=used, policy=policy)
    theirs = published_records().rows(PUBLISHED, method=ENSEMBLE)[0].metrics["ece"]
    scaling = [*records.rows(SCALING), Row({"method": PUBLISHED}, {"ece_before": theirs})]
    promises = records.rows(PROMISE)
    numbers = {name: promises[0].value(name) for name in ("recalibrations", "scenes")}
    blocks = (
        lead,
        table("scaling", scaling),
        table("promise", promises, {"promise": _promise}, **numbers),
        table("accepted", records.rows(ACCEPTED)),
        table("selective", records.rows(SELECTIVE), published=published("selective_risk")),
        table("familiarity", records.rows(FAMILIARITY)),
    )
    stated = {
        "calibration": check.calibration.model_dump(mode="json"),
        "policy": policy.model_dump(mode="json"),
    }
    title, targets = "Calibration and the risk guarantee", calibration_targets(records)
    return Section("calibration", title, blocks, records, targets, stated, verified)


def calibration_targets(records: Records) -> tuple[Target, ...]:
    """The project's targets beside what was measured."""
    (scaling,), promise = records.rows(SCALING), records.rows(PROMISE)[0]
    ece, perfect = scaling.value("ece"), scaling.value("perfect_ece")
    tiles = scaling.metrics["ece"].count or 0
    reached = ece <= max(MOST_SCALED_ECE, perfect)
    violations, most = promise.value("violations"), promise.value("most_violations")
    draws, risk = promise.value("recalibrations"), promise.value("limit")
    first = records.rows(SELECTIVE)[0]
    familiar = records.rows(FAMILIARITY)
    better = sum(row.value("familiarity_auroc") > row.value("entropy_auroc") for row in familiar)
    targets = [
        Target(
            f"ECE after scaling, {tiles:,} fresh tiles",
            f"at most {MOST_SCALED_ECE:.1%}, or {perfect:.2%} (perfect, 95%)",
            in_unit(ece, "%", 2),
            f"{published('ece'):.2%}, uncalibrated",
            reached if tiles >= FRESH_TILES else None,
            ece,
        ),
        Target(
            f"promise of {risk:.1%} error, {draws:,.0f} recalibrations on scenes of every lot",
            f"broken at most {most:.0f} times",
            f"{violations:.0f} times",
            reached=bool(promise.metrics["kept"].value),
            value=violations / draws,
        ),
        at_most(
            f"error at 90% coverage by the calibrated score, {words(first.of['set'])}",
            first.value("selective_risk"),
            MOST_SELECTIVE_RISK,
            published=in_unit(published("selective_risk"), "%", 1),
        ),
    ]
    if familiar:
        what, share = ("OOD p-value beats entropy on shifted tiles", better / len(familiar))
        target = at_least(what, share, 1.0)
        wanted, measured = f"all {len(familiar)} sets", f"{better} of {len(familiar)}"
        targets.append(Target(what, wanted, measured, "", target.reached, share))
    return tuple(targets)


def _promise(row: Row) -> str:
    """What is promised, in words."""
    quantity = {"error": "error at most", "coverage": "accepted at least"}[str(row.of["quantity"])]
    return f"{quantity} {row.value('limit'):.1%} at {row.value('level'):.0%}"
