"""From the address of a service or of Triton to what a gRPC channel takes.

An address is `host:port`; several with commas between them, all of which are asked in turn; or a
gRPC target, such as `dns:///name:port` for all that a name stands for. gRPC does the balancing: it
passes by what cannot be reached, and asks it again once it can.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import AfterValidator

from lotwise.core.errors import EngineUnavailable

_HOST_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})")
_TARGET: Final = re.compile(r"(?:dns|ipv4|ipv6|unix):.+")
_RECONNECT: Final = (
    # By itself gRPC waits up to two minutes before it looks for a returned server.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # The time that one attempt to connect has.
    ("grpc.min_reconnect_backoff_ms", 2000),
)

# A server that closes cancels calls that reach it in that moment.
_WORTH_REPEATING: Final = ("UNAVAILABLE", "CANCELLED")

Options = tuple[tuple[str, Any], ...]
Method = dict[str, str]
"""{"service": full name}, with "method" where not all of the service's are meant."""


def checked(address: str) -> str:
    """The address as it is given.

    Raises:
        ValueError: It is none; says what one looks like.
    """
    if not _TARGET.fullmatch(address):
        for each in address.split(","):
            _host_and_port(each)
    return address


Address = Annotated[str, AfterValidator(checked)]
"""Of a setting."""


def is_balanced(address: str) -> bool:
    """Whether it may stand for several servers."""
    return "," in address or _TARGET.fullmatch(address) is not None


def is_address(text: str) -> bool:
    """Whether it says where one service is, and not on which hosts all are."""
    hosts = text.split(",")
    return _TARGET.fullmatch(text) is not None or all(map(_HOST_PORT.fullmatch, hosts))


def on_port(hosts: str, port: int) -> str:
    """The address of a service on its standard port.

    Args:
        hosts: One, or several with commas between them; IPv6 with or without brackets.
        port: On each.
    """
    return ",".join(f"{_bracketed(host)}:{port}" for host in hosts.split(","))


def channel(
    address: str,
    *,
    repeatable: Sequence[Method] = (),
    attempts: int = 3,
    first_pause_s: float = 0.1,
    health: bool = True,
) -> tuple[str, Options]:
    """Target and options of a channel.

    Args:
        address: See the module.
        repeatable: Methods that are asked again where the server goes away: what changes nothing.
            Where there are several servers, mostly another one is asked.
        attempts: So often in all, 1 to 5.
        first_pause_s: Mean of the first random pause; further ones grow to ten times as much.
        health: Of several servers, whether those are passed by that say NOT_SERVING.

    Raises:
        ValueError: No address.
        EngineUnavailable: A host among several that nobody knows.
    """
    several = is_balanced(address)
    config: dict[str, Any] = {"methodConfig": []}
    if repeatable and attempts > 1:
        policy = {
            "maxAttempts": attempts,
            "initialBackoff": f"{first_pause_s}s",
            "maxBackoff": f"{10 * first_pause_s}s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": _WORTH_REPEATING,
        }
        config["methodConfig"] = [{"name": list(repeatable), "retryPolicy": policy}]
    if several:
        config["loadBalancingConfig"] = [{"round_robin": {}}]
        if health:
            config["healthCheckConfig"] = {"serviceName": ""}
    return _target(checked(address)), (*_RECONNECT, ("grpc.service_config", json.dumps(config)))


def _target(address: str) -> str:
    if "," not in address or _TARGET.fullmatch(address):
        return address
    several = [_host_and_port(each) for each in address.split(",")]
    # gRPC takes lists of numbers alone.
    for family, scheme in ((socket.AF_INET, "ipv4"), (socket.AF_INET6, "ipv6")):
        try:
            found = [
                socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4][0]
                for host, port in several
            ]
        except socket.gaierror:
            continue
        numbers = zip(found, several, strict=True)
        return f"{scheme}:" + ",".join(f"{_bracketed(str(ip))}:{port}" for ip, (_, port) in numbers)
    raise EngineUnavailable(f"Not all hosts of '{address}' have an IP address that is known here.")


def _host_and_port(address: str) -> tuple[str, int]:
    found = _HOST_PORT.fullmatch(address)
    if found is None or not 0 < int(found[2]) < 2**16:
        raise ValueError(
            f"'{address}' is no address. State host:port, several with commas between them, or "
            "dns:///name:port for all that a name stands for"
        )
    return found[1].strip("[]"), int(found[2])


def _bracketed(host: str) -> str:
    """An IPv6 address in brackets, as it needs before a port; anything else as it is."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
