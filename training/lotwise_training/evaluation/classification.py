"""Metrics of every split, set and method, computed from stored predictions alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.uncertainty import entropy
from lotwise_training.evaluation.bootstrap import bootstrap_means, wilson
from lotwise_training.evaluation.predictions import (
    ENSEMBLE,
    METHODS,
    SINGLE,
    TEST,
    UNSEEN,
    ClassPredictions,
    Predictions,
    SetPredictions,
)
from lotwise_training.evaluation.records import Key, Measured, Records
from lotwise_training.evaluation.tile_sets import (
    NEW_REGIONS,
    Places,
    check_outputs,
    in_order,
    is_labelled,
    lot_names,
    recipe_numbers,
    regions_of,
    words,
)
from lotwise_training.metrics import (
    adaptive_calibration_error,
    auroc,
    brier_score,
    excess_aurc,
    expected_calibration_error,
    false_positive_rate,
    risk_coverage,
)

SECTION: Final = "classification"
DIFFERENCES: Final = "differences"
SHIFTS: Final = "shifts"
COVERAGE: Final = 0.9
"""Share of tiles accepted where the selective risk is stated, as in Zhang et al. 2020."""
_DIGITS: Final = 9
"""Entropies are compared to 1e-9 nats: sums that differ in their last bit are ties."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scores:
    """What one method predicts for N tiles.

    Attributes:
        probabilities: float64 [N, K].
        entropy: float64 [N], predictive entropy in nats.
        mutual_information: float64 [N], predictive minus mean member entropy, in nats.
    """

    probabilities: Array
    entropy: Array
    mutual_information: Array


def scores(predicted: ClassPredictions) -> Scores:
    """Probabilities and uncertainties of a method's predictions."""
    probabilities = predicted.probabilities
    predictive = entropy(probabilities)
    disagreement = np.maximum(predictive - predicted.member_entropy, 0.0)
    return Scores(probabilities, predictive.round(_DIGITS), disagreement.round(_DIGITS))


def misclassified(scored: Scores, labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where the most likely lot is not the true one: bool [N]."""
    return np.asarray(scored.probabilities.argmax(axis=1) != labels)


def compute_classification(
    outputs: Predictions,
    manifest: Mapping[str, Any],
    places: Places | None = None,
    *,
    seed: int = 0,
) -> Records:
    """All metrics of stored predictions of lots.

    Sections: SECTION by split, set and method; DIFFERENCES of the ensemble from the other methods,
    with paired bootstrap intervals, by split and set; SHIFTS of shifted sets against known tiles
    that the same networks predicted.

    Args:
        outputs: Stored predictions.
        manifest: What else is known of the run; lots and recipes are read from it.
        places: Where tiles come from; with it, intervals are over regions instead of tiles.
        seed: Of the bootstrap.

    Raises:
        ResultsError: The predictions are unusable, or are not the manifest's.
    """
    check_outputs(outputs)
    records = Records()
    for split, name in in_order(outputs):
        predicted = outputs[split, name]
        regions = regions_of(predicted, name, places)
        if is_labelled(predicted):
            _add_labelled(records, split, name, predicted, manifest, regions, seed)
            continue
        for method, predicted_by in predicted.predictions.items():
            of = {"split": split, "set": name, "method": method}
            records.add(SECTION, of, len(predicted.tiles), **_of_any(scores(predicted_by), regions))
    _add_shifts(records, outputs)
    return records


def known_set(outputs: Predictions, split: str, name: str) -> str | None:
    """The set that a shifted one is compared with; None for the test tiles themselves."""
    if name == TEST or (split, TEST) not in outputs:
        return None
    if name in (NEW_REGIONS, UNSEEN) or (split, NEW_REGIONS) not in outputs:
        return TEST
    return NEW_REGIONS


def intervals_over(records: Records) -> str:
    """What the intervals of accuracy are over: "regions" or "tiles"."""
    return "tiles" if records.value(SECTION, "regions") is None else "regions"


def _add_labelled(
    records: Records,
    split: str,
    name: str,
    predicted: SetPredictions,
    manifest: Mapping[str, Any],
    regions: npt.NDArray[np.int64] | None,
    seed: int,
) -> None:
    labels = predicted.labels.astype(np.int64)
    n, rows = len(labels), np.arange(len(labels))
    methods = [method for method in METHODS if method in predicted.predictions]
    scored = {method: scores(predicted.predictions[method]) for method in methods}
    right = {method: (~misclassified(scored[method], labels)).astype(float) for method in methods}
    loss = {
        method: -np.log(np.clip(scored[method].probabilities[rows, labels], 1e-300, 1.0))
        for method in methods
    }
    others = [m for m in methods if m != ENSEMBLE] if ENSEMBLE in methods else []
    columns = [right[method] for method in methods]
    for other in others:
        columns += [right[ENSEMBLE] - right[other], loss[ENSEMBLE] - loss[other]]
    intervals = bootstrap_means(np.stack(columns, axis=1), regions, seed=seed)
    ece = {}
    for method, by_region in zip(methods, intervals, strict=False):
        p, uncertainty = scored[method].probabilities, scored[method].entropy
        names = lot_names(manifest, split, p.shape[1])
        recipes = recipe_numbers(manifest, names)
        wrong = right[method] == 0
        ece[method] = expected_calibration_error(p, labels)
        by_tile = wilson(float(right[method].sum()), n)
        records.add(
            SECTION,
            {"split": split, "set": name, "method": method},
            n,
            **_of_any(scored[method], regions),
            accuracy=(float(right[method].mean()), by_tile if regions is None else by_region),
            recipe_accuracy=None
            if recipes is None
            else float((recipes[p.argmax(axis=1)] == recipes[labels]).mean()),
            nll=float(loss[method].mean()),
            brier=brier_score(p, labels),
            ece=ece[method],
            adaptive_ece=adaptive_calibration_error(p, labels),
            selective_risk=selective_risk(uncertainty, wrong),
            aurc=risk_coverage(uncertainty, wrong).area,
            excess_aurc=excess_aurc(uncertainty, wrong),
        )
    for number, other in enumerate(others):
        of_accuracy, of_nll = intervals[len(methods) + 2 * number :][:2]
        gain = float((right[ENSEMBLE] - right[other]).mean())
        nll = float((loss[ENSEMBLE] - loss[other]).mean())
        records.add(
            DIFFERENCES,
            {"split": split, "set": name, "other": other},
            n,
            accuracy_gain=(gain, of_accuracy),
            nll_gain=(nll, of_nll),
            ece_gain=ece[ENSEMBLE] - ece[other],
            better=gain > 0 > nll,
            significant=of_accuracy[0] > 0 > of_nll[1],
        )


def selective_risk(uncertainty: Array, wrong: npt.NDArray[np.bool_]) -> Measured:
    """Error among the COVERAGE of tiles with the least uncertainty, with its Wilson interval.

    Args:
        uncertainty: float64 [N].
        wrong: bool [N].
    """
    accepted = int(np.ceil(COVERAGE * len(wrong) - 1e-9))
    error = risk_coverage(uncertainty, wrong).at(COVERAGE)
    return error, wilson(error * accepted, accepted)


def _of_any(scored: Scores, regions: npt.NDArray[np.int64] | None) -> dict[str, Measured]:
    return {
        "regions": None if regions is None else len(np.unique(regions)),
        "entropy": float(scored.entropy.mean()),
        "confidence": float(scored.probabilities.max(axis=1).mean()),
    }


def _add_shifts(records: Records, outputs: Predictions) -> None:
    for split, name in in_order(outputs):
        against = known_set(outputs, split, name)
        if against is None:
            continue
        shifted, known = outputs[split, name], outputs[split, against]
        for method in METHODS:
            if method not in shifted.predictions or method not in known.predictions:
                continue
            ours, theirs = scores(shifted.predictions[method]), scores(known.predictions[method])
            drop = None
            if is_labelled(shifted) and is_labelled(known):
                error = misclassified(ours, shifted.labels).mean()
                drop = float(error - misclassified(theirs, known.labels).mean())
            # One network has no members that could disagree; what is left of it is rounding.
            pair = (theirs.mutual_information, ours.mutual_information)
            alone = method == SINGLE
            of: dict[str, Key] = {"split": split, "set": name, "against": against, "method": method}
            records.add(
                SHIFTS,
                of,
                len(shifted.tiles),
                known_tiles=len(known.tiles),
                accuracy_drop=drop,
                entropy_auroc=auroc(theirs.entropy, ours.entropy),
                entropy_fpr95=false_positive_rate(theirs.entropy, ours.entropy),
                mi_auroc=None if alone else auroc(*pair),
                mi_fpr95=None if alone else false_positive_rate(*pair),
            )


class CardDisagrees(RuntimeError):
    """A model card shows other figures than the stored predictions give."""


def card_figures(outputs: Predictions, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Rows of the card, by name."""
    records = compute_classification(outputs, manifest)
    rows: dict[str, str] = {}
    for row in records.rows(SECTION, set=TEST):
        if "accuracy" in row.metrics:
            rows[f"{row.of['split']}, {words(row.of['method'])}"] = (
                f"accuracy {row.value('accuracy'):.1%}, NLL {row.value('nll'):.3f}, "
                f"ECE {row.value('ece'):.1%}, "
                f"error at 90% coverage {row.value('selective_risk'):.1%}, "
                f"{row.metrics['accuracy'].count:,} tiles"
            )
    for row in records.rows(SHIFTS, method=ENSEMBLE):
        drop = row.metrics["accuracy_drop"].value
        fell = "" if drop is None else f"accuracy {-100 * drop:+.1f} points, "
        auroc = row.metrics["entropy_auroc"]
        rows[f"{row.of['set']} against {row.of['against']}, {words(ENSEMBLE)}"] = (
            f"{fell}AUROC of entropy {auroc.value:.3f}, {auroc.count:,} tiles"
        )
    return rows


def check_card(card: str, figures: Mapping[str, str]) -> None:
    """Compare a card with the figures.

    Raises:
        CardDisagrees: A row is missing or other.
    """
    for name, value in figures.items():
        if f"| {name} | {value} |" not in card:
            raise CardDisagrees(
                f"the committee's model card does not say '{name}: {value}'; "
                "`lotwise-train export --only committee` writes it anew"
            )
