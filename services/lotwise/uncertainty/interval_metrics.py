"""Metrics of intervals."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram

from lotwise.core.intervals import PropertyInterval


class IntervalMetrics:
    """How wide intervals are."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._width = Histogram(
            "lotwise_uncertainty_interval_width_ratio",
            "Width of an interval as a share of its point, by kind and nominal coverage.",
            ["kind", "coverage"],
            buckets=(0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 2.0),
            registry=registry,
        )

    def observe(self, interval: PropertyInterval) -> None:
        """Note one interval."""
        # Rounded, or a caller could make as many series as there are numbers.
        labels = (interval.kind.value, f"{interval.coverage:.2f}")
        if interval.point:
            width = (interval.upper - interval.lower) / abs(interval.point)
            self._width.labels(*labels).observe(width)
