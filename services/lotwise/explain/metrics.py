"""Metrics of the explain service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram


class ExplainMetrics:
    """How much work explanations are, and how often a target is met."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.evaluations = Histogram(
            "lotwise_explain_evaluations",
            "Gradient evaluations of one backward explanation.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000),
            registry=registry,
        )
        self.backward = Counter(
            "lotwise_explain_backward",
            "Backward explanations by whether the target was reached.",
            ["reached"],
            registry=registry,
        )
        self.reconstruction_shift = Histogram(
            "lotwise_explain_reconstruction_shift_share",
            "How far redrawing alone moves the prediction, as a share of the prediction.",
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
            registry=registry,
        )
