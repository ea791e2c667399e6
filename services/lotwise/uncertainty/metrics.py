"""Metrics of the uncertainty service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram

_NATS = (0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 4.0)


class UncertaintyMetrics:
    """How unsure the committee is."""

    def __init__(self, registry: CollectorRegistry) -> None:
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
