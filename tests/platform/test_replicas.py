"""Two replicas of every part on real Tritons: restarts and deaths that no caller notices."""

import os
import signal
import socket
import time

import pytest
from typer.testing import CliRunner

from benchmarks.failover import LOAD, load
from lotwise.cli import app
from lotwise.cli.platform import _address_table, _addresses
from lotwise.platform.launcher import Platform, PlatformFailed
from lotwise.platform.ports import MOST_REPLICAS, SERVICES, PlatformPorts
from tests.support.triton import triton_home

PAUSE_S = 0.5
SETTLE_S = 1.5


@pytest.fixture(scope="module")
def platform(repository, tmp_path_factory):
    ports = PlatformPorts.free()
    with Platform(
        repository,
        tmp_path_factory.mktemp("replicas"),
        ports,
        triton_home(),
        "triton",
        [PlatformPorts.free()],
    ) as running:
        yield running


def harm(seen):
    """What callers saw of failures, and tiles without an answer; all have asked more than once."""
    assert all(len(asked.seconds) > 1 for asked in seen.values())
    return {n: (a.failures, a.lost) for n, a in seen.items() if a.failures or a.lost}


def test_a_restart_of_each_part_is_noticed_by_nobody(platform, pictures):
    with load(platform, pictures[:4], LOAD, PAUSE_S) as seen:
        platform.tritons[0].stop()
        platform.tritons[0].start()
        for name in SERVICES:
            time.sleep(SETTLE_S)
            before = platform.pid(name)
            platform.restart(name)
            assert platform.pid(name) != before
    assert harm(seen) == {}


def test_a_triton_and_a_service_die_at_once_and_come_back_and_no_tile_is_lost(platform, pictures):
    with load(platform, pictures[:4], LOAD, PAUSE_S) as seen:
        time.sleep(SETTLE_S)
        os.kill(platform.tritons[1].pid, signal.SIGKILL)
        while not platform.down():
            time.sleep(0.05)
        assert list(platform.down()) == ["Triton 2"]
        os.kill(platform.pid("predict", 1), signal.SIGKILL)
        while platform.revive() != ["predict 2"]:
            time.sleep(0.05)
        assert platform.down()  # which takes longer, and was not waited for
        while platform.down():
            time.sleep(0.05)
        time.sleep(SETTLE_S)
    # A stream that its service does not survive ends, and says so; it is not begun anew.
    streams = seen.pop("predict, streams of 8")
    assert harm(seen) == {}
    assert len(streams.failures) <= 1


def test_every_replica_is_listed(platform):
    told = _addresses(platform)
    assert (told["services"], told["triton"]) == (
        told["replicas"][0]["services"],
        told["replicas"][0]["triton"],
    )
    where = {each["services"][name]["grpc"] for each in told["replicas"] for name in SERVICES}
    assert len(where) == 2 * len(SERVICES)
    assert platform.address("predict").split(",") == [
        each["services"]["predict"]["grpc"] for each in told["replicas"]
    ]
    assert list(_address_table(platform).columns[0].cells)[4:] == [
        "Triton",
        *(f"{name} 2" for name in SERVICES),
        "Triton 2",
    ]


def test_a_port_of_a_further_replica_that_is_taken_is_named(repository, tmp_path):
    first, further = PlatformPorts.free(), PlatformPorts.free()
    with socket.create_server(("127.0.0.1", further.grpc["explain"])):
        second = Platform(repository, tmp_path, first, tmp_path, "onnxruntime", [further])
        with pytest.raises(PlatformFailed, match=rf"port .*\b{further.grpc['explain']}\b"):
            second.start()


@pytest.mark.parametrize("wrong", ["0", "-1", str(MOST_REPLICAS + 1), "two"])
def test_a_number_of_replicas_that_makes_no_sense_is_refused(wrong):
    done = CliRunner().invoke(app, ["up", "--replicas", wrong])
    assert done.exit_code == 2
    assert "--replicas" in done.output


def test_the_ports_of_many_replicas_are_all_different():
    standard = PlatformPorts.standard()
    every = [
        port
        for number in range(MOST_REPLICAS)
        for ports in [standard.replica(number)]
        for port in (
            *(ports.triton.grpc, ports.triton.http, ports.triton.metrics),
            *ports.grpc.values(),
            *ports.metrics.values(),
        )
    ]
    assert len(set(every)) == len(every)
    assert max(every) < 2**16
    assert standard.replica(0) == standard
