"""Ports that one process has to itself."""

import socket
import subprocess
import sys

from lotwise.platform.ports import BLOCK_PORTS, BLOCKS, FIRST_BLOCK, PlatformPorts, reserve_ports

RESERVE = """
from lotwise.platform.ports import reserve_ports
print(*(reserve_ports().start for _ in range(10)), flush=True)
input()
"""


def all_ports(ports):
    triton = ports.triton
    return [triton.grpc, triton.http, triton.metrics, *ports.grpc.values(), *ports.metrics.values()]


def test_processes_that_ask_at_once_get_different_ports():
    asked = [
        subprocess.Popen(
            [sys.executable, "-c", RESERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    blocks = [int(first) for each in asked for first in each.stdout.readline().split()]
    for each in asked:
        each.communicate("\n", timeout=60)
        assert each.returncode == 0
    assert len(blocks) == 30
    assert len(set(blocks)) == 30


def test_a_port_that_is_taken_is_in_no_block():
    free = PlatformPorts.free()
    # The next block but for the last one's, which is the first.
    taken = (free.grpc["explain"] - FIRST_BLOCK + BLOCK_PORTS) % (BLOCKS * BLOCK_PORTS)
    with socket.create_server(("127.0.0.1", FIRST_BLOCK + taken)):
        assert FIRST_BLOCK + taken not in reserve_ports()


def test_ports_of_ten_replicas_lie_below_those_of_outgoing_connections():
    free = PlatformPorts.free()
    every = [port for number in range(10) for port in all_ports(free.replica(number))]
    assert len(set(every)) == len(every)
    assert max(every) - min(every) < BLOCK_PORTS - 1
    assert max(every) < 32_768
