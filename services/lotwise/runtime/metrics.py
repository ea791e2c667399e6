"""Metrics that every service has. A service's own are in its metrics.py."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import InfoMetricFamily
from prometheus_client.registry import Collector

from lotwise.core.errors import InvalidRequest, InvalidTile, LotwiseError, NotFound
from lotwise.runtime.inference import Inference

# From a cached answer to a long explanation.
LATENCY_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WEIGHTS_DIGITS: Final = 12
"""So many digits of a hash of weights tell models apart on a screen."""

ANSWERED: Final = "answered"
REFUSED: Final = "refused"
FAILED: Final = "failed"
# What the caller can mend. All else is the platform's fault, wrong installations included.
_CALLERS_FAULTS: Final = (InvalidTile, InvalidRequest, NotFound)


class RpcMetrics:
    """Calls with status and duration, what became of their tiles, and the state of the process.

    Args:
        registry: Of the service.
    """

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
        self._tiles = Counter(
            "lotwise_tiles",
            "Tiles by what became of them, those of streams one by one. Answered; refused: the "
            "caller can mend it; failed: only the operator can.",
            ["outcome"],
            registry=registry,
        )
        for outcome in (ANSWERED, REFUSED, FAILED):
            self._tiles.labels(outcome)  # there from the start: a rate sees the first failure
        self._tile_errors = Counter(
            "lotwise_tile_errors",
            "Tiles that got an error instead of an answer, by stable reason.",
            ["reason"],
            registry=registry,
        )
        self._tile_errors.labels("UNEXPECTED")  # there from the start, as above
        self.dependency_up = Gauge(
            "lotwise_dependency_up",
            "1 while what this service asks can be asked: Triton, or another service.",
            ["dependency"],
            registry=registry,
        )
        self.ready = Gauge(
            "lotwise_ready", "1 while the health service says SERVING.", registry=registry
        )
        self.part_available = Gauge(
            "lotwise_part_available",
            "0 where a part of the answers is missing, because its file is missing or damaged.",
            ["part"],
            registry=registry,
        )
        build = Info("lotwise_build", "What runs here.", registry=registry)
        build.info(
            {"version": importlib.metadata.version("lotwise"), "python": platform.python_version()}
        )
        ProcessCollector(registry=registry)

    def count_tile(self, error: LotwiseError | None) -> None:
        """Count one tile.

        Args:
            error: What it got instead of an answer, None where it was answered.
        """
        if error is None:
            self._tiles.labels(ANSWERED).inc()
            return
        self._tiles.labels(REFUSED if isinstance(error, _CALLERS_FAULTS) else FAILED).inc()
        self._tile_errors.labels(error.reason).inc()


class ServedModels(Collector):
    """Shows which models an engine serves to this service; none while it is away.

    Args:
        inference: The engine.
        registry: Of the service.
    """

    def __init__(self, inference: Inference, registry: CollectorRegistry) -> None:
        self._inference = inference
        registry.register(self)

    def collect(self) -> Iterator[InfoMetricFamily]:
        """See `Collector`; called by the thread that answers /metrics."""
        family = InfoMetricFamily(
            "lotwise_model", "Models that this service asks, since it has seen them."
        )
        for model in self._inference.described:
            metadata = model.signature.metadata
            trained_on = "simulated" if metadata.trained_on_simulated_lots else "measured"
            labels = {
                "model": model.signature.name,
                "version": model.version,
                "weights": metadata.weights_sha256[:WEIGHTS_DIGITS],
                "engine": self._inference.engine,
                "trained_on": trained_on,
            }
            family.add_metric([], labels)
        yield family
