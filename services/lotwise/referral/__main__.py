"""`python -m lotwise.referral`: run the referral service."""

from __future__ import annotations

import sys

from prometheus_client import CollectorRegistry

from lotwise.core.errors import Contradiction
from lotwise.core.lot_diagnosis import LOT_DIAGNOSIS_FILE, LotCalibration
from lotwise.core.policy import ReferralPolicy
from lotwise.referral.assessor import UncertaintyAssessor
from lotwise.referral.handler import ReferralHandler
from lotwise.referral.metrics import ReferralMetrics
from lotwise.referral.servicer import ReferralServicer
from lotwise.referral.settings import ReferralSettings
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.server import Service, message_limit, run
from lotwise.runtime.uncertainty_client import UncertaintyClient
from lotwise.v1 import referral_pb2_grpc


def build(
    settings: ReferralSettings, policy: ReferralPolicy, lots: LotCalibration | None = None
) -> Service:
    """The service, not yet listening. Call it inside an event loop."""
    registry = CollectorRegistry()
    rpc_metrics = RpcMetrics(registry)
    client = UncertaintyClient(settings.uncertainty_address, message_limit(settings.max_tile_bytes))
    handler = ReferralHandler(UncertaintyAssessor(client), policy, lots)
    metrics = ReferralMetrics(registry, policy.fitted.coverage)
    servicer = ReferralServicer(handler, settings, metrics, rpc_metrics)
    return Service(
        name="referral",
        full_name="lotwise.v1.ReferralService",
        register=lambda server: referral_pb2_grpc.add_ReferralServiceServicer_to_server(
            servicer, server
        ),
        ready=handler.ready,
        close=client.close,
        registry=registry,
        rpc_metrics=rpc_metrics,
    )


if __name__ == "__main__":
    settings = ReferralSettings()
    try:
        policy = ReferralPolicy.read(settings.policy_file)
        lots = LotCalibration.read(settings.policy_file.with_name(LOT_DIAGNOSIS_FILE))
    except Contradiction as error:
        sys.exit(f"{error.reason}: {error.message}")
    run("referral", settings, lambda: build(settings, policy, lots))
