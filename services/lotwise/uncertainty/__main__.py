"""`python -m lotwise.uncertainty`: run the uncertainty service."""

from __future__ import annotations

import logging
import sys

from prometheus_client import CollectorRegistry

from lotwise.core.calibration import Calibrated
from lotwise.core.errors import Contradiction
from lotwise.core.intervals import IntervalCalibration
from lotwise.runtime.engines import connect
from lotwise.runtime.metrics import RpcMetrics, ServedModels
from lotwise.runtime.server import Service, run
from lotwise.uncertainty.calibrations import Calibrations
from lotwise.uncertainty.handler import UncertaintyHandler
from lotwise.uncertainty.interval_metrics import IntervalMetrics
from lotwise.uncertainty.interval_servicer import IntervalServicer
from lotwise.uncertainty.intervals import IntervalHandler
from lotwise.uncertainty.metrics import UncertaintyMetrics
from lotwise.uncertainty.servicer import UncertaintyServicer
from lotwise.uncertainty.settings import UncertaintySettings
from lotwise.v1 import uncertainty_pb2_grpc

logger = logging.getLogger(__name__)


def build(settings: UncertaintySettings) -> Service:
    """The service, not yet listening. Call it inside an event loop.

    Raises:
        Contradiction: The default committee is not calibrated, or its diagnosis is damaged or that
            of another one.
    """
    calibrations = Calibrations(settings.model_repository)
    calibrated = _checked(calibrations, settings)
    registry = CollectorRegistry()
    rpc_metrics = RpcMetrics(registry)
    inference = connect(settings)
    ServedModels(inference, registry)
    handler = UncertaintyHandler(inference, calibrations, settings.model)
    metrics = UncertaintyMetrics(registry, settings.drift_window)
    metrics.watch(settings.model, calibrated.calibration)
    calibration = _calibration(settings)
    rpc_metrics.part_available.labels("intervals").set(isinstance(calibration, IntervalCalibration))
    intervals = IntervalServicer(
        IntervalHandler(inference, settings.intervals_model, calibration),
        settings,
        IntervalMetrics(registry),
        rpc_metrics,
    )
    servicer = UncertaintyServicer(handler, settings, metrics, rpc_metrics, intervals)
    return Service(
        name="uncertainty",
        full_name="lotwise.v1.UncertaintyService",
        register=lambda server: uncertainty_pb2_grpc.add_UncertaintyServiceServicer_to_server(
            servicer, server
        ),
        asks=inference.engine,
        ready=handler.ready,
        close=inference.close,
        registry=registry,
        rpc_metrics=rpc_metrics,
    )


def _checked(calibrations: Calibrations, settings: UncertaintySettings) -> Calibrated:
    """The default committee's calibration; at the start, not at the first tile."""
    calibrated = calibrations.of(settings.model)
    calibrations.diagnosis_of(settings.model, calibrated.calibration.weights_sha256)
    return calibrated


def _calibration(settings: UncertaintySettings) -> IntervalCalibration | Contradiction:
    """The calibration of intervals, or why there is none: all else is served without it."""
    try:
        return IntervalCalibration.read(settings.intervals_file)
    except Contradiction as error:
        logger.warning(
            "no intervals are served", extra={"reason": error.reason, "detail": error.message}
        )
        return error


if __name__ == "__main__":
    settings = UncertaintySettings()
    try:
        _checked(Calibrations(settings.model_repository), settings)
    except Contradiction as error:
        sys.exit(f"{error.reason}: {error.message}")
    run("uncertainty", settings, lambda: build(settings))
