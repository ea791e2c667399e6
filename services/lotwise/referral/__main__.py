"""`python -m lotwise.referral`: run the referral service."""

from __future__ import annotations

import sys

from prometheus_client import CollectorRegistry

from lotwise.core.cascade import CASCADE_FILE, CASCADE_POLICY_FILE, Cascade
from lotwise.core.errors import Contradiction
from lotwise.core.lot_diagnosis import LOT_DIAGNOSIS_FILE, LotCalibration
from lotwise.core.policy import ReferralPolicy
from lotwise.referral.assessor import UncertaintyAssessor
from lotwise.referral.handler import ReferralHandler, Ruling
from lotwise.referral.metrics import ReferralMetrics
from lotwise.referral.servicer import ReferralServicer
from lotwise.referral.settings import ReferralSettings
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.server import Service, message_limit, run
from lotwise.runtime.uncertainty_client import UncertaintyClient
from lotwise.v1 import referral_pb2_grpc


def rulings(settings: ReferralSettings) -> tuple[Ruling, ...]:
    """The policies that are there, the one first that decides where a request names none.

    Raises:
        Contradiction: A file is missing or invalid; CASCADE_MISSING where the cascade is to decide.
    """
    file = settings.policy_file
    full = Ruling(
        ReferralPolicy.read(file), LotCalibration.read(file.with_name(LOT_DIAGNOSIS_FILE))
    )
    cascade = Cascade.read(file.with_name(CASCADE_FILE))
    if cascade is None:
        if settings.cascade:
            raise Contradiction(
                "CASCADE_MISSING",
                f"There is no {CASCADE_FILE} beside {file}. Fit one with `lotwise calibrate`, or "
                "unset LOTWISE_REFERRAL_CASCADE.",
            )
        return (full,)
    of_first = file.parent.with_name(cascade.first) / LOT_DIAGNOSIS_FILE
    policy = ReferralPolicy.read(file.with_name(CASCADE_POLICY_FILE))
    few_first = Ruling(policy, LotCalibration.read(of_first), cascade=True)
    return (few_first, full) if settings.cascade else (full, few_first)


def build(settings: ReferralSettings, ruling: Ruling, *others: Ruling) -> Service:
    """The service, not yet listening. Call it inside an event loop."""
    registry = CollectorRegistry()
    rpc_metrics = RpcMetrics(registry)
    client = UncertaintyClient(settings.uncertainty_address, message_limit(settings.max_tile_bytes))
    handler = ReferralHandler(UncertaintyAssessor(client), ruling, *others)
    metrics = ReferralMetrics(registry, ruling, *others)
    rpc_metrics.part_available.labels("lot_diagnosis").set(ruling.lots is not None)
    servicer = ReferralServicer(handler, settings, metrics, rpc_metrics)
    return Service(
        name="referral",
        full_name="lotwise.v1.ReferralService",
        register=lambda server: referral_pb2_grpc.add_ReferralServiceServicer_to_server(
            servicer, server
        ),
        asks="uncertainty",
        ready=handler.ready,
        close=client.close,
        registry=registry,
        rpc_metrics=rpc_metrics,
    )


if __name__ == "__main__":
    settings = ReferralSettings()
    try:
        found = rulings(settings)
    except Contradiction as error:
        sys.exit(f"{error.reason}: {error.message}")
    run("referral", settings, lambda: build(settings, *found))
