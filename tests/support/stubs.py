"""Clients of the four services."""

from typing import Any

import grpc

from lotwise.v1 import (
    explain_pb2_grpc,
    predict_pb2_grpc,
    referral_pb2_grpc,
    uncertainty_pb2_grpc,
)


class Stubs:
    """Stubs of the four services over one channel each."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self.channels = {
            name: grpc.aio.insecure_channel(
                address,
                options=[
                    ("grpc.max_send_message_length", -1),
                    ("grpc.max_receive_message_length", -1),
                    ("grpc.max_reconnect_backoff_ms", 500),
                ],
            )
            for name, address in addresses.items()
        }
        self.predict: Any = predict_pb2_grpc.PredictServiceStub(self.channels["predict"])
        self.uncertainty: Any = uncertainty_pb2_grpc.UncertaintyServiceStub(
            self.channels["uncertainty"]
        )
        self.referral: Any = referral_pb2_grpc.ReferralServiceStub(self.channels["referral"])
        self.explain: Any = explain_pb2_grpc.ExplainServiceStub(self.channels["explain"])

    async def close(self) -> None:
        for channel in self.channels.values():
            await channel.close()
