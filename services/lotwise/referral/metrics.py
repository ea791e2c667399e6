"""Metrics of the referral service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram


class ReferralMetrics:
    """What is accepted, what is referred, and why."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.decisions = Counter(
            "lotwise_referral_decisions",
            "Tiles by decision; of referred tiles also the weightiest reason.",
            ["decision", "reason"],
            registry=registry,
        )
        self.score = Histogram(
            "lotwise_referral_score_in_thresholds",
            "Score of a tile as a multiple of the policy's threshold; above 1 it is referred.",
            buckets=(0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0),
            registry=registry,
        )
        self.verdicts = Counter(
            "lotwise_referral_verdicts", "Lots by verdict.", ["verdict"], registry=registry
        )
