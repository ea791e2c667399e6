"""Metrics of the referral service."""

from __future__ import annotations

from collections import deque
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from lotwise.referral.handler import Ruling, TileDecision
from lotwise.runtime.metrics import WEIGHTS_DIGITS

COVERAGE_WINDOW: Final = 1000
"""Tiles over which coverage is shown; beside the policy's own, so that a change is seen."""


class ReferralMetrics:
    """What is accepted, what is referred, and why.

    Args:
        registry: Of the service.
        ruling: By which it decides unless a request names another.
        others: Those that a request may name.
    """

    def __init__(self, registry: CollectorRegistry, ruling: Ruling, *others: Ruling) -> None:
        self.decisions = Counter(
            "lotwise_referral_decisions",
            "Tiles by decision; of referred tiles also the weightiest reason.",
            ["decision", "reason"],
            registry=registry,
        )
        self.decisions.labels("accept", "")  # there from the start: a share of none is 0
        self.score = Histogram(
            "lotwise_referral_score",
            "Chance that the named lot of a tile is wrong, as the policy sees it.",
            buckets=(0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7),
            registry=registry,
        )
        self.coverage = Gauge(
            "lotwise_referral_coverage",
            f"Share of the last {COVERAGE_WINDOW} tiles that was accepted; NaN before the first.",
            registry=registry,
        )
        self.coverage.set(float("nan"))
        self.calibration_coverage = Gauge(
            "lotwise_referral_calibration_coverage",
            "Share of calibration tiles that the policy accepted.",
            registry=registry,
        )
        self.calibration_coverage.set(ruling.policy.fitted.coverage)
        policies = Info(
            "lotwise_referral_policy",
            'Policies that are served; default="true": where a caller names none.',
            ["policy"],
            registry=registry,
        )
        for served in (ruling, *others):
            policies.labels(served.policy.policy_version).info(
                {
                    "name": served.name,
                    "kind": served.policy.request.kind,
                    "calibration": served.policy.calibration_version,
                    "weights": served.policy.weights_sha256[:WEIGHTS_DIGITS],
                    "default": str(served is ruling).lower(),
                }
            )
        self._last: deque[bool] = deque(maxlen=COVERAGE_WINDOW)
        self.verdicts = Counter(
            "lotwise_referral_verdicts", "Lots by verdict.", ["verdict"], registry=registry
        )

    def count_decided(self, decided: TileDecision) -> None:
        """Count a decided tile."""
        seen = decided.assessed
        reason = decided.reasons[0].value if decided.reasons else ""
        score = None if seen is None else seen.error_probability
        self.count(decided.decision.value, reason, score)

    def count(self, decision: str, reason: str, score: float | None) -> None:
        """Count a decided tile; `score` is None where the committee has not seen it."""
        self.decisions.labels(decision, reason).inc()
        if score is not None:
            self.score.observe(score)
        self._last.append(decision == "accept")
        self.coverage.set(sum(self._last) / len(self._last))
