"""Where the parts of a platform on one machine listen, all on the loopback address."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from dataclasses import dataclass
from typing import Final

from lotwise.runtime.triton.supervisor import TritonPorts

HOST: Final = "127.0.0.1"
SERVICES: Final = ("predict", "uncertainty", "referral", "explain")
BETWEEN_REPLICAS: Final = 10
MOST_REPLICAS: Final = 100
"""More of them, and ports of one part would be those of another."""
FIRST_BLOCK: Final = 12_000
BLOCKS: Final = 100
BLOCK_PORTS: Final = 200
"""Blocks end below 32768, where Linux begins to give ports to outgoing connections."""


def reserve_ports() -> range:
    """A block of ports that are free, for this process alone until it ends.

    The block's last port stays bound, and nothing listens on it: no other process can bind it, so
    none takes the block.

    Returns:
        The block without its last port.

    Raises:
        OSError: EADDRINUSE. Every block has a port that is taken.
    """
    for number in range(BLOCKS):
        # Another one than the process before: a late client of that one must find nobody.
        first = FIRST_BLOCK + (os.getpid() + number) % BLOCKS * BLOCK_PORTS
        ports = range(first, first + BLOCK_PORTS - 1)
        with contextlib.suppress(OSError), socket.socket() as last:
            last.bind((HOST, ports.stop))
            for port in ports:
                with socket.socket() as probe:
                    probe.bind((HOST, port))
            last.detach()  # stays bound
            return ports
    raise OSError(errno.EADDRINUSE, f"no block of {BLOCK_PORTS} ports is free")


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
        """Ports of this process alone, as long as it lives, with those of nine further replicas.

        Raises:
            OSError: See `reserve_ports`.
        """
        first, *_ = block = reserve_ports()
        metrics = first + len(block) // 2 + 1
        return cls(
            TritonPorts(grpc=first, http=first + 1, metrics=first + 2),
            {name: first + 3 + i for i, name in enumerate(SERVICES)},
            {name: metrics + i for i, name in enumerate(SERVICES)},
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
