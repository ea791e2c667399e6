"""Tidy records of measured numbers.

Tables, targets and figures of the report and `metrics.json` are all made from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from lotwise_training.evaluation.bootstrap import Interval

Key = str | int | float
Number = float | int | bool | None
Measured = Number | tuple[Number, Interval | None]
"""A number, or a number with its interval."""

PROPERTY: Final = "property"
"""Unit of metrics in the unit of the predicted property, such as psi."""

METRICS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        # Classification.
        "regions": ("count", "regions (scenes of a lot) that the tiles come from"),
        "accuracy": ("share", "tiles whose lot is identified correctly"),
        "recipe_accuracy": ("share", "tiles named as their lot or a repeat of its recipe"),
        "nll": ("nats", "mean negative log-likelihood of the true lot"),
        "brier": ("0 to 2", "Brier score, summed over lots (Brier 1950)"),
        "ece": ("share", "expected calibration error, 20 bins of equal width"),
        "adaptive_ece": ("share", "ECE with 20 bins of equally many tiles (Nixon et al. 2019)"),
        "entropy": ("nats", "mean predictive entropy: of the averaged probabilities"),
        "confidence": ("share", "mean probability of the most likely lot"),
        "aurc": ("share", "area under the risk-coverage curve (Geifman et al. 2019)"),
        "excess_aurc": ("share", "E-AURC: AURC above that of the best possible order"),
        "selective_risk": ("share", "error among the 90% of tiles with the least uncertainty"),
        # The ensemble minus another method, and shifted tiles against known ones.
        "accuracy_gain": ("share", "accuracy of the ensemble minus that of the other method"),
        "nll_gain": ("nats", "NLL of the ensemble minus that of the other method"),
        "ece_gain": ("share", "ECE of the ensemble minus that of the other method"),
        "better": ("", "higher accuracy and lower NLL"),
        "significant": ("", "better over the whole of both 95% intervals"),
        "known_tiles": ("count", "known tiles that the shifted ones are compared with"),
        "accuracy_drop": ("share", "accuracy of the known tiles minus that of the shifted ones"),
        "entropy_auroc": ("share", "AUROC of predictive entropy, shifted against known tiles"),
        "entropy_fpr95": ("share", "known tiles flagged where 95% of the shifted ones are"),
        "mi_auroc": ("share", "AUROC of mutual information, the members' disagreement"),
        "mi_fpr95": ("share", "FPR95 of mutual information"),
        # Calibration and the referral policy.
        "temperature": ("", "temperature of the pooled probabilities, fitted on other tiles"),
        "ece_before": ("share", "ECE before temperature scaling"),
        "perfect_ece": ("share", "95% quantile of the ECE of a perfectly calibrated model"),
        "limit": ("share", "promised: error at most, or share accepted at least"),
        "level": ("share", "probability with which the promise is to hold"),
        "pool": ("count", "fresh tiles that calibration sets are drawn from"),
        "calibration_tiles": ("count", "tiles of each calibration set"),
        "scenes": ("count", "scenes of each calibration set"),
        "recalibrations": ("count", "simulated recalibrations"),
        "unreachable": ("count", "recalibrations where nothing could be promised"),
        "violations": ("count", "recalibrations that broke their promise"),
        "violation_rate": ("share", "the same as a share of the recalibrations"),
        "most_violations": ("count", "97.5% binomial quantile of violations"),
        "kept": ("", "violations are within that quantile"),
        "coverage": ("share", "mean share of tiles accepted"),
        "accepted_share": ("share", "tiles that the served policy accepts"),
        "worst_accepted_share": ("share", "the same in the lot of which the least is accepted"),
        "bonferroni_coverage": ("share", "the same by the algorithm of Geifman & El-Yaniv 2017"),
        "familiarity_auroc": ("share", "AUROC of the OOD p-value, shifted against known tiles"),
        "unfamiliar": ("share", "tiles referred because their OOD p-value is too low"),
        "known_unfamiliar": ("share", "the same of the known tiles"),
        # The property.
        "lots": ("count", "lots"),
        "mape": ("%", "mean absolute percentage error of tiles"),
        "rmse": (PROPERTY, "root mean square error of tiles"),
        "lot_mape": ("%", "MAPE of lots, predicted by the mean over their tiles"),
        "lot_rmse": (PROPERTY, "RMSE of lots, predicted by the mean over their tiles"),
        "gain": ("share", "MAPE of the network below that of the best baseline"),
        "true": (PROPERTY, "measured property of a lot"),
        "mean": (PROPERTY, "mean prediction over a lot's tiles"),
        "spread": (PROPERTY, "standard deviation of the predictions of a lot's tiles"),
        # Intervals of the property.
        "tiles": ("count", "tiles"),
        "calibration_lots": ("count", "lots that calibrate the intervals"),
        "calibration_recipes": ("count", "recipes among them: the exchangeable units"),
        "recipes_needed": ("count", "recipes needed to certify this coverage"),
        "guaranteed": ("share", "coverage guaranteed by theory (Barber et al. 2021, theorem 4)"),
        "held": ("share", "new lots whose property lies within their interval"),
        "binomial": ("share", "central 95% of binomial draws at the nominal coverage"),
        "beta_binomial": ("share", "the same with the calibration lots drawn, too (Vovk 2012)"),
        "within_band": ("", "the measured coverage lies within the binomial band"),
        "width": ("share", "mean width of the intervals as a share of the prediction"),
        # Familiarity to the regressor.
        "flagged_0.005": ("share", "tiles with an OOD p-value of at most 0.005"),
        "flagged_0.01": ("share", "tiles with an OOD p-value of at most 0.01"),
        "flagged_0.05": ("share", "tiles with an OOD p-value of at most 0.05"),
        "auroc": ("share", "AUROC against unshifted tiles"),
        # Diagnosis of shifts, and verdicts on lots.
        "none": ("share", "diagnosed as unchanged"),
        "instrument shift": ("share", "diagnosed as a changed instrument"),
        "unseen synthesis": ("share", "diagnosed as another synthesis"),
        "unrelated": ("share", "diagnosed as an unrelated material"),
        "unknown_alarms": ("count", "lots that no known lot resembles (p at most 0.05)"),
        "instrument_alarms": ("count", "lots with a changed instrument (p at most 0.05)"),
        "mixed_alarms": ("count", "lots that look like a mixture (p at most 0.05)"),
        "accepted": ("count", "lots whose verdict is settled as accepted"),
        "referred": ("count", "lots whose verdict is settled as referred"),
        "needed": ("tiles", "median of tiles until the verdict is settled"),
        "wrong": ("count", "verdicts that all tiles of the lot contradict"),
        # Cascade (early exit).
        "first_enough": ("share", "tiles decided by the first members alone"),
        "evaluations": ("share", "evaluations of members, against asking all of them"),
        "same_decision": ("share", "tiles decided as by the whole ensemble"),
        "accepted_tiles": ("share", "tiles accepted by the cascade"),
        "accepted_by_all": ("share", "tiles accepted by the whole ensemble"),
        # Edits.
        "response": ("share", "change of the meter's reading per unit of requested change"),
        "corrected": ("share", "response corrected for the meter's own errors"),
        "diagonal": ("share", "response of the requested attribute itself"),
        "leak": ("share", "largest response of another attribute"),
        "corrected_diagonal": ("share", "the same, corrected"),
        "corrected_leak": ("share", "largest leak, corrected"),
        "slope": (PROPERTY, "change of the property per unit of the attribute"),
        "true_sign": ("share", "edits that move the property in the true direction"),
        "redrawn_psnr": ("dB", "PSNR of tiles redrawn with their current attributes"),
        "redrawn_shift": ("share", "mean absolute change of the prediction by redrawing"),
        "returned_psnr": ("dB", "PSNR of tiles edited by +0.3 and back"),
        # Planning.
        "share": ("share", "training tiles used"),
        "steps": ("count", "training steps of each network"),
        "predicted": ("share", "accuracy predicted from unlabelled tiles (90% interval)"),
        "mae": (PROPERTY, "mean absolute error on lots that are never offered"),
        "error": ("share", "mean relative error on lots that are never offered"),
        "against_random": ("share", "error minus that of random choice, same starts"),
        "untested_error": ("share", "mean relative error on offered lots not yet tested"),
        "expected": ("share", "error that the Gaussian process expects, without labels"),
        "off": ("share", "mean absolute difference of forecast and observed error"),
        "random_needs": ("lots", "tested lots with which random choice has this error"),
        "saved": ("share", "tests saved against random choice"),
        "forecast": ("share", "forecast error"),
        "observed": ("share", "observed error"),
        "covered": ("share", "starts whose 90% interval holds the observed error"),
    }
)
"""Unit and definition of every metric. A share lies between 0 and 1."""


@dataclass(frozen=True)
class Metric:
    """One measured number.

    Attributes:
        section: Of the report.
        of: What was measured: for instance split, set and method.
        name: Key of METRICS.
        value: In `unit`; None where it could not be measured.
        interval: 95% where METRICS names no other; None without one.
        unit: Such as "share", "nats" or "psi".
        count: How many tiles, lots or draws it rests on.
    """

    section: str
    of: Mapping[str, Key]
    name: str
    value: Number
    interval: tuple[float | None, float | None] | None
    unit: str
    count: int | None


@dataclass(frozen=True)
class Row:
    """All metrics of one subject.

    Attributes:
        of: The subject.
        metrics: By name.
    """

    of: Mapping[str, Key]
    metrics: dict[str, Metric]

    def value(self, name: str) -> float:
        """A number that was measured.

        Raises:
            KeyError: It was not.
        """
        value = self.metrics[name].value
        if value is None:
            raise KeyError(name)
        return float(value)


class Records:
    """Metrics in the order in which they are added; those of one subject stand together."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, tuple[tuple[str, Key], ...]], Row] = {}

    def add(
        self,
        section: str,
        of: Mapping[str, Key],
        count: int | None = None,
        unit: str = PROPERTY,
        /,
        **measured: Any,
    ) -> None:
        """Add metrics of one subject.

        Args:
            section: Of the report.
            of: The subject.
            count: See `Metric`.
            unit: Of metrics in the unit of the property.
            measured: By name, each `Measured`.
        """
        row = self._rows.setdefault((section, tuple(of.items())), Row(of, {}))
        for name, each in measured.items():
            value, interval = each if isinstance(each, tuple) else (each, None)
            own = METRICS[name][0]
            named = unit if own == PROPERTY else own
            row.metrics[name] = Metric(section, of, name, value, interval, named, count)

    def extend(self, others: Records) -> None:
        """Add all metrics of others."""
        self._rows |= others._rows

    def rows(self, section: str, **where: Key) -> list[Row]:
        """Subjects of a section, only those with these keys."""
        return [
            row
            for (name, _), row in self._rows.items()
            if name == section and where.items() <= row.of.items()
        ]

    def find(self, section: str, name: str, **where: Key) -> Metric | None:
        """The first such metric; None where it was not measured."""
        found = (row.metrics.get(name) for row in self.rows(section, **where))
        return next((metric for metric in found if metric and metric.value is not None), None)

    def value(self, section: str, name: str, **where: Key) -> float | None:
        """Its value."""
        found = self.find(section, name, **where)
        return None if found is None or found.value is None else float(found.value)

    def __iter__(self) -> Iterator[Metric]:
        return (metric for row in self._rows.values() for metric in row.metrics.values())

    def as_json(self) -> list[dict[str, Any]]:
        """Flat records in JSON's types; what is None is left out, but for values."""
        flat = []
        for each in self:
            record: dict[str, Any] = {"section": each.section, **each.of, "metric": each.name}
            record["value"] = each.value
            more: dict[str, Any] = {
                "interval": each.interval,
                "unit": each.unit or None,
                "count": each.count,
            }
            flat.append(record | {key: value for key, value in more.items() if value is not None})
        return flat
