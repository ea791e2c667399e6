"""Metrics of the uncertainty service."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from lotwise.core.calibration import Calibration
from lotwise.core.drift import DriftWindow

_NATS = (0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 4.0)
_CHANCE = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
_P_VALUE = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class UncertaintyMetrics:
    """How unsure the committee is, and whether its calibration still fits what comes.

    Args:
        registry: Of the service.
        drift_window: Tiles over which drift is measured.
    """

    def __init__(self, registry: CollectorRegistry, drift_window: int) -> None:
        self.entropy = Histogram(
            "lotwise_uncertainty_predictive_entropy_nats",
            "Entropy of the averaged probabilities, by tile.",
            ["model"],
            buckets=_NATS,
            registry=registry,
        )
        self.mutual_information = Histogram(
            "lotwise_uncertainty_mutual_information_nats",
            "Disagreement of the members, by tile.",
            ["model"],
            buckets=_NATS,
            registry=registry,
        )
        self.error_probability = Histogram(
            "lotwise_uncertainty_error_probability",
            "Chance that the likeliest lot is wrong, by tile.",
            ["model"],
            buckets=_CHANCE,
            registry=registry,
        )
        self.familiarity = Histogram(
            "lotwise_uncertainty_familiarity",
            "P-value among known tiles, by tile; evenly spread where all tiles are like those.",
            ["model"],
            buckets=_P_VALUE,
            registry=registry,
        )
        self.diagnoses = Counter(
            "lotwise_uncertainty_diagnoses",
            "Tiles by the likeliest kind of shift; of committees that have a diagnosis.",
            ["model", "shift"],
            registry=registry,
        )
        self.evaluations = Counter(
            "lotwise_uncertainty_member_evaluations",
            "Members that were asked, tile by tile; a cascade spares some.",
            ["model"],
            registry=registry,
        )
        self.calibration_age = Gauge(
            "lotwise_calibration_age_seconds",
            "Time since the committee was calibrated.",
            ["model", "version"],
            registry=registry,
        )
        self.drift = Gauge(
            "lotwise_calibration_score_drift_psi",
            "Population stability index of the error probability of the last tiles against those "
            "of calibration; NaN until there are enough. Above 0.25 look at what has changed.",
            ["model", "version"],
            registry=registry,
        )
        self._drift_window = drift_window
        self._windows: dict[tuple[str, str], DriftWindow] = {}

    def watch(self, model: str, calibration: Calibration) -> DriftWindow:
        """Show age and drift of a calibration from now on."""
        key = (model, calibration.calibration_version)
        if key not in self._windows:
            fitted = calibration.calibration_set.date.timestamp()
            self.calibration_age.labels(*key).set_function(lambda: time.time() - fitted)
            self.drift.labels(*key).set(float("nan"))
            self._windows[key] = DriftWindow(calibration.score_bins, self._drift_window)
        return self._windows[key]

    def observe_score(self, model: str, calibration: Calibration, score: float) -> None:
        """Count a tile's error probability."""
        self.error_probability.labels(model).observe(score)
        index = self.watch(model, calibration).add(score)
        if index is not None:
            self.drift.labels(model, calibration.calibration_version).set(index)
