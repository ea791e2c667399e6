"""Metrics that every service has. A service's own are in its metrics.py."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From a cached answer to a long explanation.
LATENCY_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class RpcMetrics:
    """Requests, their status and duration, and the tiles that could not be answered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "lotwise_rpc_requests",
            "Finished calls by method and gRPC status.",
            ["method", "code"],
            registry=registry,
        )
        self.seconds = Histogram(
            "lotwise_rpc_duration_seconds",
            "Duration of calls; of a stream, from its start to its end.",
            ["method"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.in_flight = Gauge(
            "lotwise_rpc_in_flight", "Calls being served.", ["method"], registry=registry
        )
        self.tile_errors = Counter(
            "lotwise_tile_errors",
            "Tiles that got an error instead of an answer, by stable reason.",
            ["reason"],
            registry=registry,
        )
        self.dependency_up = Gauge(
            "lotwise_dependency_up",
            "1 while what this service asks can be asked: Triton, or another service.",
            ["dependency"],
            registry=registry,
        )
        self.ready = Gauge(
            "lotwise_ready", "1 while the health service says SERVING.", registry=registry
        )
