"""Where the parts of a platform on one machine listen, all on the loopback address."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from typing import Final

from lotwise.runtime.triton.supervisor import TritonPorts

HOST: Final = "127.0.0.1"
SERVICES: Final = ("predict", "uncertainty", "referral", "explain")
BETWEEN_REPLICAS: Final = 10
MOST_REPLICAS: Final = 100
"""More of them, and ports of one part would be those of another."""


@dataclass(frozen=True)
class PlatformPorts:
    """gRPC and /metrics ports of each service, and Triton's."""

    triton: TritonPorts
    grpc: dict[str, int]
    metrics: dict[str, int]

    @classmethod
    def standard(cls) -> PlatformPorts:
        """The documented ones: predict 50051 to explain 50054, /metrics 9101 to 9104."""
        return cls(
            TritonPorts(),
            {name: 50051 + i for i, name in enumerate(SERVICES)},
            {name: 9101 + i for i, name in enumerate(SERVICES)},
        )

    @classmethod
    def free(cls) -> PlatformPorts:
        """Ports that nothing listens on now, for a platform that lives for one command."""
        with contextlib.ExitStack() as held:
            sockets = [held.enter_context(socket.socket()) for _ in range(3 + 2 * len(SERVICES))]
            for each in sockets:
                each.bind((HOST, 0))
            numbers = [each.getsockname()[1] for each in sockets]
        triton = TritonPorts(grpc=numbers[0], http=numbers[1], metrics=numbers[2])
        rest = numbers[3:]
        return cls(
            triton,
            dict(zip(SERVICES, rest[: len(SERVICES)], strict=True)),
            dict(zip(SERVICES, rest[len(SERVICES) :], strict=True)),
        )

    def replica(self, number: int) -> PlatformPorts:
        """Those of a further replica: each port is 10 above that of the replica before it.

        Args:
            number: 0 for these ports themselves.
        """
        apart = BETWEEN_REPLICAS * number
        triton = self.triton
        return PlatformPorts(
            TritonPorts(triton.grpc + apart, triton.http + apart, triton.metrics + apart),
            {name: port + apart for name, port in self.grpc.items()},
            {name: port + apart for name, port in self.metrics.items()},
        )

    def taken(self) -> list[int]:
        """Those on which something listens already."""
        wanted = (
            self.triton.grpc,
            self.triton.http,
            self.triton.metrics,
            *self.grpc.values(),
            *self.metrics.values(),
        )
        return [port for port in wanted if _listens(port)]

    def address(self, service: str) -> str:
        """host:port of a service."""
        return f"{HOST}:{self.grpc[service]}"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
