"""`python -m lotwise.explain`: run the explain service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from lotwise.explain.editing import EditorModels
from lotwise.explain.familiarity import Onlooker
from lotwise.explain.handler import ExplainHandler
from lotwise.explain.metrics import ExplainMetrics
from lotwise.explain.servicer import ExplainServicer
from lotwise.explain.settings import ExplainSettings
from lotwise.runtime.engines import connect
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.server import Service, message_limit, run
from lotwise.runtime.uncertainty_client import UncertaintyClient
from lotwise.v1 import explain_pb2_grpc


def build(settings: ExplainSettings) -> Service:
    """The service, not yet listening. Call it inside an event loop."""
    registry = CollectorRegistry()
    rpc_metrics = RpcMetrics(registry)
    inference = connect(settings)
    models = EditorModels(
        settings.regressor,
        settings.encoder,
        settings.decoder,
        settings.gradient,
        settings.meter,
    )
    handler = ExplainHandler(inference, models)
    address, largest = settings.uncertainty_address, message_limit(settings.max_tile_bytes)
    uncertainty = UncertaintyClient(address, largest) if address else None
    onlooker = Onlooker(uncertainty, settings.min_familiarity)
    servicer = ExplainServicer(handler, onlooker, settings, ExplainMetrics(registry), rpc_metrics)

    async def close() -> None:
        await inference.close()
        if uncertainty is not None:
            await uncertainty.close()

    return Service(
        name="explain",
        full_name="lotwise.v1.ExplainService",
        register=lambda server: explain_pb2_grpc.add_ExplainServiceServicer_to_server(
            servicer, server
        ),
        ready=handler.ready,
        close=close,
        registry=registry,
        rpc_metrics=rpc_metrics,
    )


if __name__ == "__main__":
    settings = ExplainSettings()
    run("explain", settings, lambda: build(settings))
