"""Ports for what tests start."""

import itertools

from lotwise.platform.ports import reserve_ports

_PORTS = itertools.chain.from_iterable(iter(reserve_ports, None))


def free_port() -> int:
    """One that no other process takes and that this one never got before."""
    return next(_PORTS)
