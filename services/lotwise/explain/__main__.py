"""`python -m lotwise.explain`: run the explain service."""

from __future__ import annotations

import logging

from prometheus_client import CollectorRegistry

from lotwise.core.errors import Contradiction
from lotwise.core.known_tiles import KNOWN_TILES_FILE, KnownTiles
from lotwise.explain.editing import EditorModels
from lotwise.explain.handler import ExplainHandler
from lotwise.explain.metrics import ExplainMetrics
from lotwise.explain.servicer import ExplainServicer
from lotwise.explain.settings import ExplainSettings
from lotwise.runtime.engines import connect
from lotwise.runtime.metrics import RpcMetrics, ServedModels
from lotwise.runtime.server import Service, run
from lotwise.v1 import explain_pb2_grpc

logger = logging.getLogger(__name__)


def build(settings: ExplainSettings) -> Service:
    """The service, not yet listening. Call it inside an event loop."""
    registry = CollectorRegistry()
    rpc_metrics = RpcMetrics(registry)
    inference = connect(settings)
    ServedModels(inference, registry)
    models = EditorModels(
        settings.regressor,
        settings.encoder,
        settings.decoder,
        settings.gradient,
        settings.meter,
    )
    known = _known_tiles(settings)
    rpc_metrics.part_available.labels("known_tiles").set(known is not None)
    handler = ExplainHandler(inference, models, known, settings.min_familiarity)
    servicer = ExplainServicer(handler, settings, ExplainMetrics(registry), rpc_metrics)
    return Service(
        name="explain",
        full_name="lotwise.v1.ExplainService",
        register=lambda server: explain_pb2_grpc.add_ExplainServiceServicer_to_server(
            servicer, server
        ),
        asks=inference.engine,
        ready=handler.ready,
        close=inference.close,
        registry=registry,
        rpc_metrics=rpc_metrics,
    )


def _known_tiles(settings: ExplainSettings) -> KnownTiles | None:
    """What the regressor knows, or nothing: explanations are given without it, and say so."""
    try:
        return KnownTiles.read(settings.model_repository / settings.regressor / KNOWN_TILES_FILE)
    except Contradiction as error:
        logger.warning(
            "nobody can say how familiar tiles are",
            extra={"reason": error.reason, "detail": error.message},
        )
        return None


if __name__ == "__main__":
    settings = ExplainSettings()
    run("explain", settings, lambda: build(settings))
