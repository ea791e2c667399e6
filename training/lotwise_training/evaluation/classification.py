"""Figures of every split, set and method, computed from stored answers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.uncertainty import entropy
from lotwise_training.evaluation.bootstrap import Interval, bootstrap_means, wilson
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
from lotwise_training.evaluation.tile_sets import (
    NEW_REGIONS,
    Places,
    check_outputs,
    in_order,
    is_labelled,
    lot_names,
    recipe_numbers,
    regions_of,
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

COVERAGE: Final = 0.9
"""Share of tiles accepted where the error is stated, as in Zhang et al. 2020."""
_DIGITS: Final = 9
"""Entropies are compared to 1e-9 nats: sums that differ in their last bit are ties."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scores:
    """What one method says of N tiles, as the figures need it.

    Attributes:
        probabilities: float64 [N, K].
        entropy: float64 [N], predictive entropy in nats.
        mutual_information: float64 [N], predictive less member entropy, in nats.
    """

    probabilities: Array
    entropy: Array
    mutual_information: Array


@dataclass(frozen=True)
class MethodFigures:
    """Figures of one method on one set; None where tiles have no label, or nothing is known.

    Attributes:
        split, set, method: Whose.
        tiles: How many.
        regions: Scenes that they come from.
        mean_entropy: Predictive entropy, nats.
        mean_confidence: Mean probability of the likeliest lot.
        accuracy: Share of right answers, 0 to 1, as all shares here.
        accuracy_interval: 95%; bootstrap over regions where they are known, else Wilson over tiles.
        nll: Nats.
        ece: 20 bins of equal width.
        adaptive_ece: 20 bins of equally many tiles.
        brier: Sum over lots, 0 to 2.
        aurc, excess_aurc: Area under the risk-coverage curve, and what the best order would save.
        error_at_90: Error among the 90% of tiles with the least predictive entropy.
        error_at_90_interval: 95%, Wilson over the accepted tiles.
        recipe_accuracy: The lot or a repeat of its recipe was named.
    """

    split: str
    set: str
    method: str
    tiles: int
    regions: int | None
    mean_entropy: float
    mean_confidence: float
    accuracy: float | None = None
    accuracy_interval: Interval | None = None
    nll: float | None = None
    ece: float | None = None
    adaptive_ece: float | None = None
    brier: float | None = None
    aurc: float | None = None
    excess_aurc: float | None = None
    error_at_90: float | None = None
    error_at_90_interval: Interval | None = None
    recipe_accuracy: float | None = None


@dataclass(frozen=True)
class Difference:
    """The ensemble less another method on the same tiles, with paired bootstrap 95% intervals.

    Attributes:
        split, set: Where.
        other: The other method.
        tiles: How many.
        accuracy: Share; above 0 the ensemble is better.
        nll: Nats; below 0 the ensemble is better.
        ece: Share; below 0 the ensemble is better.
    """

    split: str
    set: str
    other: str
    tiles: int
    accuracy: float
    accuracy_interval: Interval
    nll: float
    nll_interval: Interval
    ece: float

    @property
    def beaten(self) -> bool:
        """Whether the ensemble is better in accuracy and in NLL."""
        return self.accuracy > 0 and self.nll < 0

    @property
    def clear(self) -> bool:
        """Whether it is so all over both intervals."""
        return self.accuracy_interval[0] > 0 and self.nll_interval[1] < 0


@dataclass(frozen=True)
class Shift:
    """How a set of shifted tiles is answered, against known tiles that the same networks answered.

    Attributes:
        split, set, method: Whose.
        against: The set of known tiles.
        tiles, known_tiles: How many.
        accuracy_drop: Of the known tiles' accuracy, share.
        entropy_auroc: Of predictive entropy; 0.5 tells nothing apart.
        entropy_fpr95: Share of known tiles flagged where 95% of the shifted ones are.
        mutual_information_auroc, mutual_information_fpr95: The same of the members' disagreement,
            which a single network does not have.
    """

    split: str
    set: str
    method: str
    against: str
    tiles: int
    known_tiles: int
    accuracy_drop: float | None
    entropy_auroc: float
    entropy_fpr95: float
    mutual_information_auroc: float | None
    mutual_information_fpr95: float | None


@dataclass(frozen=True)
class Tables:
    """All figures.

    Attributes:
        figures: Of every split, set and method, in the order in which they are shown.
        differences: Of every labelled set.
        shifts: Of every set that is not the test tiles.
        by_region: Whether intervals are over regions rather than tiles.
    """

    figures: tuple[MethodFigures, ...]
    differences: tuple[Difference, ...]
    shifts: tuple[Shift, ...]
    by_region: bool

    def find(self, split: str, method: str, name: str = TEST) -> MethodFigures | None:
        """The figures of a method on a set, if it was asked."""
        wanted = (split, name, method)
        return next((f for f in self.figures if (f.split, f.set, f.method) == wanted), None)

    def as_json(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {
            "intervals": "regions" if self.by_region else "tiles",
            "sets": [asdict(each) for each in self.figures],
            "differences": [
                {**asdict(each), "beaten": each.beaten, "clear": each.clear}
                for each in self.differences
            ],
            "shifts": [asdict(each) for each in self.shifts],
        }


def scores(answers: ClassPredictions) -> Scores:
    """Probabilities and uncertainties of a method's answers."""
    probabilities = answers.probabilities
    predictive = entropy(probabilities)
    disagreement = np.maximum(predictive - answers.member_entropy, 0.0)
    return Scores(probabilities, predictive.round(_DIGITS), disagreement.round(_DIGITS))


def misclassified(scored: Scores, labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where the likeliest lot is not the labelled one: bool [N]."""
    return np.asarray(scored.probabilities.argmax(axis=1) != labels)


def compute(
    outputs: Predictions,
    manifest: Mapping[str, Any],
    places: Places | None = None,
    *,
    seed: int = 0,
) -> Tables:
    """All figures of stored outputs.

    Args:
        outputs: What the networks answered.
        manifest: What else is known of the run; lots and recipes are read from it.
        places: Where tiles come from; with it, intervals are over regions.
        seed: Of the bootstrap.

    Raises:
        ResultsError: The outputs cannot be read as answers, or are not the manifest's.
    """
    check_outputs(outputs)
    figures: list[MethodFigures] = []
    differences: list[Difference] = []
    for split, name in in_order(outputs):
        answered = outputs[split, name]
        regions = regions_of(answered, name, places)
        if is_labelled(answered):
            more, compared = _labelled(split, name, answered, manifest, regions, seed)
            figures += more
            differences += compared
        else:
            figures += [
                _unlabelled(split, name, method, scores(answers), regions)
                for method, answers in answered.answers.items()
            ]
    return Tables(tuple(figures), tuple(differences), tuple(_shifts(outputs)), places is not None)


def known_set(outputs: Predictions, split: str, name: str) -> str | None:
    """The set that a shifted one is compared with; None for the test tiles themselves."""
    if name == TEST or (split, TEST) not in outputs:
        return None
    if name in (NEW_REGIONS, UNSEEN) or (split, NEW_REGIONS) not in outputs:
        return TEST
    return NEW_REGIONS


def _labelled(
    split: str,
    name: str,
    answered: SetPredictions,
    manifest: Mapping[str, Any],
    regions: npt.NDArray[np.int64] | None,
    seed: int,
) -> tuple[list[MethodFigures], list[Difference]]:
    labels = answered.labels.astype(np.int64)
    rows = np.arange(len(labels))
    methods = [method for method in METHODS if method in answered.answers]
    scored = {method: scores(answered.answers[method]) for method in methods}
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

    figures = []
    for method, by_region in zip(methods, intervals, strict=False):
        of_method = scored[method]
        p = of_method.probabilities
        names = lot_names(manifest, split, p.shape[1])
        recipes = recipe_numbers(manifest, names)
        wrong = right[method] == 0
        curve = risk_coverage(of_method.entropy, wrong)
        accepted = int(np.ceil(COVERAGE * len(labels) - 1e-9))
        error = curve.at(COVERAGE)
        by_tile = wilson(float(right[method].sum()), len(labels))
        figures.append(
            MethodFigures(
                split=split,
                set=name,
                method=method,
                **_of_any(of_method, regions),
                accuracy=float(right[method].mean()),
                accuracy_interval=by_tile if regions is None else by_region,
                nll=float(loss[method].mean()),
                ece=expected_calibration_error(p, labels),
                adaptive_ece=adaptive_calibration_error(p, labels),
                brier=brier_score(p, labels),
                aurc=curve.area,
                excess_aurc=excess_aurc(of_method.entropy, wrong),
                error_at_90=error,
                error_at_90_interval=wilson(error * accepted, accepted),
                recipe_accuracy=(
                    None
                    if recipes is None
                    else float((recipes[p.argmax(axis=1)] == recipes[labels]).mean())
                ),
            )
        )
    calibration = {each.method: each.ece or 0.0 for each in figures}
    differences = [
        Difference(
            split=split,
            set=name,
            other=other,
            tiles=len(labels),
            accuracy=float((right[ENSEMBLE] - right[other]).mean()),
            accuracy_interval=intervals[len(methods) + 2 * number],
            nll=float((loss[ENSEMBLE] - loss[other]).mean()),
            nll_interval=intervals[len(methods) + 2 * number + 1],
            ece=calibration[ENSEMBLE] - calibration[other],
        )
        for number, other in enumerate(others)
    ]
    return figures, differences


def _unlabelled(
    split: str, name: str, method: str, scored: Scores, regions: npt.NDArray[np.int64] | None
) -> MethodFigures:
    return MethodFigures(split=split, set=name, method=method, **_of_any(scored, regions))


def _of_any(scored: Scores, regions: npt.NDArray[np.int64] | None) -> dict[str, Any]:
    return {
        "tiles": len(scored.entropy),
        "regions": None if regions is None else len(np.unique(regions)),
        "mean_entropy": float(scored.entropy.mean()),
        "mean_confidence": float(scored.probabilities.max(axis=1).mean()),
    }


def _shifts(outputs: Predictions) -> list[Shift]:
    shifts = []
    for split, name in in_order(outputs):
        against = known_set(outputs, split, name)
        if against is None:
            continue
        shifted, known = outputs[split, name], outputs[split, against]
        both = [m for m in METHODS if m in shifted.answers and m in known.answers]
        for method in both:
            ours, theirs = scores(shifted.answers[method]), scores(known.answers[method])
            drop = None
            if is_labelled(shifted) and is_labelled(known):
                error = misclassified(ours, shifted.labels).mean()
                drop = float(error - misclassified(theirs, known.labels).mean())
            # One network has no members that could disagree; what is left of it is rounding.
            pair = (theirs.mutual_information, ours.mutual_information)
            alone = method == SINGLE
            shifts.append(
                Shift(
                    split=split,
                    set=name,
                    method=method,
                    against=against,
                    tiles=len(shifted.tiles),
                    known_tiles=len(known.tiles),
                    accuracy_drop=drop,
                    entropy_auroc=auroc(theirs.entropy, ours.entropy),
                    entropy_fpr95=false_positive_rate(theirs.entropy, ours.entropy),
                    mutual_information_auroc=None if alone else auroc(*pair),
                    mutual_information_fpr95=None if alone else false_positive_rate(*pair),
                )
            )
    return shifts
