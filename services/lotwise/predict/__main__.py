"""`python -m lotwise.predict`: run the predict service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from lotwise.predict.handler import PredictHandler
from lotwise.predict.metrics import PredictMetrics
from lotwise.predict.servicer import PredictServicer
from lotwise.predict.settings import PredictSettings
from lotwise.runtime.engines import connect
from lotwise.runtime.metrics import RpcMetrics, ServedModels
from lotwise.runtime.server import Service, run
from lotwise.v1 import predict_pb2_grpc


def build(settings: PredictSettings) -> Service:
    """The service, not yet listening. Call it inside an event loop."""
    registry = CollectorRegistry()
    rpc_metrics = RpcMetrics(registry)
    inference = connect(settings)
    ServedModels(inference, registry)
    handler = PredictHandler(inference, settings.model)
    servicer = PredictServicer(handler, settings, PredictMetrics(registry), rpc_metrics)
    return Service(
        name="predict",
        full_name="lotwise.v1.PredictService",
        register=lambda server: predict_pb2_grpc.add_PredictServiceServicer_to_server(
            servicer, server
        ),
        asks=inference.engine,
        ready=handler.ready,
        close=inference.close,
        registry=registry,
        rpc_metrics=rpc_metrics,
    )


if __name__ == "__main__":
    settings = PredictSettings()
    run("predict", settings, lambda: build(settings))
