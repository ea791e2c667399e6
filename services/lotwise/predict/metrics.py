"""Metrics of the predict service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram


class PredictMetrics:
    """What is predicted, as a share of the range that the model has learned."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.value = Histogram(
            "lotwise_predict_value_in_range",
            "Predicted property; 0 is the least that the model has learned, 1 the most.",
            ["model"],
            buckets=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
            registry=registry,
        )
        self.quality = Counter(
            "lotwise_predict_tiles",
            "Tiles that were answered, by the verdict on their picture.",
            ["quality"],
            registry=registry,
        )
        self.faults = Counter(
            "lotwise_predict_tile_faults",
            "Faults in the pictures of tiles that were answered; a picture may have several.",
            ["fault"],
            registry=registry,
        )
