"""Where the services are and how they are called, the same with and without an event loop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from lotwise.runtime.addresses import Options, channel, checked, on_port
from lotwise.v1 import (
    explain_pb2,
    explain_pb2_grpc,
    predict_pb2,
    predict_pb2_grpc,
    referral_pb2,
    referral_pb2_grpc,
    uncertainty_pb2,
    uncertainty_pb2_grpc,
)

PORTS: Final = {"predict": 50051, "uncertainty": 50052, "referral": 50053, "explain": 50054}
"""Those of `lotwise up`."""

STUBS: Final[dict[str, Any]] = {
    "predict": predict_pb2_grpc.PredictServiceStub,
    "uncertainty": uncertainty_pb2_grpc.UncertaintyServiceStub,
    "referral": referral_pb2_grpc.ReferralServiceStub,
    "explain": explain_pb2_grpc.ExplainServiceStub,
}

LOCAL: Final = "127.0.0.1"
TIMEOUT_S: Final = 60.0
RETRIES: Final = 3
IN_FLIGHT: Final = 16
MAX_MESSAGE_BYTES: Final = 65 * 2**20
"""What a service with default settings receives."""
_ENVELOPE_BYTES: Final = 64 * 2**10
_MAX_ATTEMPTS: Final = 5  # more than these gRPC does not make


@dataclass(frozen=True)
class Connection:
    """How to reach the services.

    Attributes:
        addresses: By service, as they were given.
        timeout: Of a call for one tile, in seconds, unless the call says otherwise.
        max_message_bytes: Largest message in either direction.
        credentials: None for plain gRPC.
        retries: Of a call that ended with UNAVAILABLE.
    """

    addresses: dict[str, str]
    timeout: float
    max_message_bytes: int
    credentials: grpc.ChannelCredentials | None
    retries: int

    @property
    def max_file_bytes(self) -> int:
        """Larger tiles are not sent."""
        return self.max_message_bytes - _ENVELOPE_BYTES

    def channel(self, service: str) -> tuple[str, Options]:
        """Target and options of the channel to a service.

        Every call may be repeated, as the services keep nothing of a call that has ended, but for
        streams of a lot; gRPC spreads the pauses at random, so that many clients do not come back
        together.
        """
        limit = self.max_message_bytes
        target, options = channel(
            self.addresses[service],
            repeatable=_repeatable(),
            attempts=self.retries + 1,
            first_pause_s=0.2,
        )
        return target, (
            ("grpc.max_send_message_length", limit),
            ("grpc.max_receive_message_length", limit),
            # A call can be repeated as long as its request fits into this buffer.
            ("grpc.per_rpc_retry_buffer_size", limit),
            ("grpc.enable_retries", int(self.retries > 0)),
            *options,
        )


def connection(
    host: str,
    addresses: dict[str, str | None],
    *,
    timeout: float,
    retries: int,
    tls: bool | str | Path,
    max_message_bytes: int,
) -> Connection:
    """Check and gather what a client was told.

    Args:
        host: Where all services are, on their standard ports, unless `addresses` says otherwise.
        addresses: By service; see `lotwise.runtime.addresses`.
        timeout: Seconds.
        retries: Calls that are repeated after UNAVAILABLE; 0 to 4.
        tls: False for plain gRPC, True for TLS with gRPC's own root certificates, or the PEM
            file with those that the services' certificates go back to.
        max_message_bytes: Largest message in either direction.

    Raises:
        ValueError: A number out of range, or no address.
        OSError: The file of certificates cannot be read.
    """
    if not timeout > 0:
        raise ValueError(f"timeout must be positive, not {timeout}")
    if not 0 <= retries < _MAX_ATTEMPTS:
        raise ValueError(f"retries must be 0 to {_MAX_ATTEMPTS - 1}, not {retries}")
    if max_message_bytes <= _ENVELOPE_BYTES:
        raise ValueError(f"max_message_bytes must be above {_ENVELOPE_BYTES}")
    credentials = None
    if tls is True:
        credentials = grpc.ssl_channel_credentials()
    elif tls is not False:
        credentials = grpc.ssl_channel_credentials(Path(tls).read_bytes())
    where = {
        name: checked(addresses.get(name) or on_port(host, port)) for name, port in PORTS.items()
    }
    if credentials and any("," in address for address in where.values()):
        raise ValueError("with tls, several servers need a common name: dns:///name:port")
    return Connection(where, timeout, max_message_bytes, credentials, retries)


def _repeatable() -> list[dict[str, str]]:
    """Methods that gRPC may begin anew, as a service configuration names them.

    Those of one request, and streams with an answer for each tile, where one that is lost is
    missed. A lot's stream goes on by itself (`lot_sending.py`), or is begun again by the caller:
    gRPC 1.81 lost a tile of one that it began anew while tiles were still being sent.
    """
    return [
        {"service": service.full_name, "method": method.name}
        for file in (explain_pb2, predict_pb2, referral_pb2, uncertainty_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if not method.client_streaming or method.name.endswith("Stream")
    ]
