"""The report's part on calibration: what probabilities, familiarity and policy promise and keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

import numpy as np

from lotwise.core.calibration import Calibration, read_calibration
from lotwise.core.errors import LotwiseError
from lotwise.core.policy_fit import Scored
from lotwise.core.temperature import error_probability, scaled
from lotwise_training.evaluation.calibration import (
    CalibrationFigures,
    FamiliarityFigures,
    GuaranteeFigures,
    SelectiveFigures,
    calibration_figures,
    familiarity_figures,
    guarantee_figures,
    promised_risk,
    scored_fresh,
    selective_figures,
)
from lotwise_training.evaluation.predictions import ENSEMBLE, TEST, CalibrationCheck, Predictions
from lotwise_training.evaluation.tile_sets import TILE_RANDOM, words
from lotwise_training.report.html_parts import table_html
from lotwise_training.report.section import Section
from lotwise_training.report.served_models import COMMITTEE, RecheckFailed
from lotwise_training.report.sheets import Sheet
from lotwise_training.report.targets import MOST_ERROR_AT_90, PUBLISHED, Target
from lotwise_training.report.wording import NONE, number, percent, percent_range
from lotwise_training.store.arrays import find

MOST_SCALED_ECE = 0.005
FRESH_TILES = 50_000
"""Least tiles that the target on ECE is to be measured on."""
FRESH_WORDS = "fresh tiles"


def calibration_section(
    results: Path, outputs: Predictions, models: Path | None, *, seed: int = 0
) -> Section | None:
    """The part on calibration; None where `lotwise-train answers` stored nothing of it.

    Args:
        results: Folder of stored answers.
        outputs: Those of the committee.
        models: The served repository, whose calibration is compared; None compares nothing.
        seed: Of the draws.

    Raises:
        ResultsError: What is stored is not what its manifest speaks of.
        RecheckFailed: The served calibration is not the one that was judged.
    """
    judged = find(CalibrationCheck, results)
    if judged is None:
        return None
    said = ""
    if models is not None:
        _check_served(judged.calibration, models)
        said = f"served calibration {judged.calibration.calibration_version} is the one judged"
    temperature, request = judged.calibration.temperature, judged.policy.request
    pool = scored_fresh(judged.fresh, temperature)
    calibration = calibration_figures(judged, seed=seed)
    guarantee = guarantee_figures(pool, request, promised_risk(judged), seed=seed)
    familiar = familiarity_figures(outputs, request.min_familiarity)
    selective = [selective_figures(FRESH_WORDS, pool)]
    if (TILE_RANDOM, TEST) in outputs:
        test = _scored_set(outputs, temperature)
        selective.insert(0, selective_figures(words(TEST), test))
    sheets = (
        scaling_sheet(calibration),
        guarantee_sheet(guarantee),
        selective_sheet(selective),
        familiarity_sheet(familiar),
    )
    return Section(
        name="calibration",
        targets=calibration_targets(calibration, guarantee, selective, familiar),
        sheets=sheets,
        content={
            "calibration": judged.calibration.model_dump(mode="json"),
            "policy": judged.policy.model_dump(mode="json"),
            "scaling": asdict(calibration),
            "guarantee": {**asdict(guarantee), "kept": guarantee.kept},
            "selective": [asdict(each) for each in selective],
            "familiarity": [asdict(each) for each in familiar],
        },
        parts=[
            "<h2>Calibration and what it promises</h2>",
            f"<p>{escape(_words(judged))}</p>",
            *(table_html(sheet) for sheet in sheets),
        ],
        said=said,
    )


def calibration_targets(
    calibration: CalibrationFigures,
    guarantee: GuaranteeFigures,
    selective: Sequence[SelectiveFigures],
    familiar: Sequence[FamiliarityFigures],
) -> tuple[Target, ...]:
    """The project's targets beside what was measured."""
    published = PUBLISHED[ENSEMBLE]
    allowed = max(MOST_SCALED_ECE, calibration.perfect_ece)
    first = selective[0]
    enough = calibration.tiles >= FRESH_TILES
    targets = [
        Target(
            f"ECE after scaling, {calibration.tiles:,} fresh tiles",
            f"at most {MOST_SCALED_ECE:.1%}, or {calibration.perfect_ece:.2%} (perfect, 95%)",
            f"{calibration.ece:.2%}",
            f"{published.ece:.2%}, as trained",
            calibration.ece <= allowed if enough else None,
            calibration.ece,
        ),
        Target(
            f"promise of {guarantee.risk:.1%} error, {guarantee.recalibrations:,} recalibrations",
            f"broken at most {guarantee.most_violations} times",
            f"{guarantee.violations} times",
            "",
            guarantee.kept,
            guarantee.violations / guarantee.recalibrations,
        ),
        Target(
            f"error at 90% coverage by the calibrated score, {first.set}",
            f"at most {MOST_ERROR_AT_90:.1%}",
            f"{first.error:.2%}",
            f"{published.error_at_90:.1%}",
            first.error <= MOST_ERROR_AT_90,
            first.error,
        ),
    ]
    if familiar:
        better = sum(each.auroc > each.entropy_auroc for each in familiar)
        targets.append(
            Target(
                "familiarity tells shifted tiles better than entropy",
                f"all {len(familiar)} sets",
                f"{better} of {len(familiar)}",
                "",
                better == len(familiar),
                better / len(familiar),
            )
        )
    return tuple(targets)


def scaling_sheet(figures: CalibrationFigures) -> Sheet:
    """ECE before and after."""
    published = PUBLISHED[ENSEMBLE]
    return Sheet(
        "scaling",
        "Calibration on fresh tiles of known lots",
        (
            "answers",
            "tiles",
            "temperature",
            "ECE as pooled, %",
            "ECE scaled, %",
            "perfect model, 95% quantile, %",
            "accuracy, %",
        ),
        (
            (
                "deep ensemble",
                f"{figures.tiles:,}",
                number(figures.temperature),
                percent(figures.ece_before),
                percent(figures.ece),
                percent(figures.perfect_ece),
                percent(figures.accuracy),
            ),
            ("published", NONE, NONE, percent(published.ece), NONE, NONE, NONE),
        ),
        (1,),
        note="Fresh tiles come from regions of the lots that no other set shows; the temperature "
        "was fitted on others. ECE: 20 bins of equal width, as published. Perfect model: tiles "
        "that are right with just the stated chance, drawn 1,000 times; even it has an ECE.",
    )


def guarantee_sheet(figures: GuaranteeFigures) -> Sheet:
    """How often the promise was broken."""
    return Sheet(
        "guarantee",
        "The promise of a risk, fitted again and again",
        (
            "promise",
            "recalibrations",
            "tiles each",
            "pool",
            "broken",
            "allowed (97.5%)",
            "not reachable",
            "accepted, %",
            "by bisection, %",
        ),
        (
            (
                f"error at most {figures.risk:.1%} at {figures.confidence:.0%}",
                f"{figures.recalibrations:,}",
                f"{figures.tiles:,}",
                f"{figures.pool:,}",
                str(figures.violations),
                str(figures.most_violations),
                str(figures.unreachable),
                percent(figures.coverage, 1),
                percent(figures.bonferroni_coverage, 1),
            ),
        ),
        note="Calibration sets are drawn from the pool with replacement; the truth is the pool's "
        "own error among the tiles that the fitted threshold accepts. Allowed: 97.5% quantile of "
        "the binomial distribution. By bisection: what Geifman & El-Yaniv's own algorithm (2017) "
        "accepts at the same promise. Zhang et al. 2020 promise nothing.",
    )


def selective_sheet(figures: Sequence[SelectiveFigures]) -> Sheet:
    """Error at 90% coverage."""
    return Sheet(
        "selective",
        "Error among the 90% of tiles that are least likely to be wrong",
        ("tiles of", "tiles", "error, %", "95% interval", "published, %"),
        tuple(
            (
                each.set,
                f"{each.tiles:,}",
                percent(each.error),
                percent_range(each.interval),
                percent(PUBLISHED[ENSEMBLE].error_at_90, 1),
            )
            for each in figures
        ),
        note="Wilson interval over the accepted tiles, which takes them for independent.",
    )


def familiarity_sheet(figures: Sequence[FamiliarityFigures]) -> Sheet:
    """AUROC of familiarity beside that of entropy."""
    return Sheet(
        "familiarity",
        "Telling shifted tiles from known ones in new regions by familiarity",
        (
            "tiles of",
            "tiles",
            "known tiles",
            "familiarity: AUROC",
            "95% interval",
            "entropy: AUROC",
            "unfamiliar, %",
            "of known tiles, %",
        ),
        tuple(
            (
                words(each.set),
                f"{each.tiles:,}",
                f"{each.known_tiles:,}",
                number(each.auroc),
                f"{each.auroc_interval[0]:.3f} to {each.auroc_interval[1]:.3f}",
                number(each.entropy_auroc),
                percent(each.referred, 1),
                percent(each.known_referred, 1),
            )
            for each in figures
        ),
        note="Unfamiliar: referred by the policy, however sure the committee is. Nothing was "
        "fitted on shifted tiles. Interval: Hanley & McNeil 1982, which takes tiles for "
        "independent.",
    )


def _scored_set(outputs: Predictions, temperature: float) -> Scored:
    asked = outputs[TILE_RANDOM, TEST]
    probabilities = scaled(asked.answers[ENSEMBLE].probabilities, temperature)
    return Scored(
        error_probability(probabilities),
        np.ones(len(asked.tiles)) if asked.familiarity is None else asked.familiarity.astype(float),
        np.asarray(probabilities.argmax(axis=1) != asked.labels),
    )


def _check_served(judged: Calibration, models: Path) -> None:
    try:
        served = read_calibration(models / COMMITTEE).calibration
    except LotwiseError as error:
        raise RecheckFailed(f"the served committee has no calibration: {error}") from None
    if served != judged:
        raise RecheckFailed(
            f"calibration {judged.calibration_version} was judged, {served.calibration_version} "
            "is served; `lotwise-train answers` judges the one that is there"
        )


def _words(judged: CalibrationCheck) -> str:
    used = judged.calibration.calibration_set
    return (
        f"Calibration {judged.calibration.calibration_version} was fitted on {used.tiles:,} "
        f"{used.origin} tiles of {used.lots} lots on {used.date:%Y-%m-%d}, policy "
        f"{judged.policy.policy_version} with it. {judged.policy.guarantee.statement}"
    )
