"""The supervisor with programs that stand in for a server; tests/integration has the real one."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from lotwise.platform.ports import PlatformPorts
from lotwise.runtime.triton.installation import TritonInstallation
from lotwise.runtime.triton.supervisor import TritonFailed, TritonServer
from tests.runtime.networks import add_model, signature

READY = """
import http.server, subprocess, sys
options = dict(word[2:].split("=", 1) for word in sys.argv[1:])
stub = subprocess.Popen(["sleep", "60"])
print("stub", stub.pid, flush=True)

class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/v2/health/ready" else 404)
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", int(options["http-port"])), Health).serve_forever()
"""
BROKEN = "print('failed to load model: out of memory')\nraise SystemExit(1)"
STUCK = "import time\nprint('loading', flush=True)\ntime.sleep(60)"


@pytest.fixture
def server(tmp_path):
    """Makes a supervisor of a program; whatever it left running is stopped."""
    made = []

    def make(program):
        home = tmp_path / "home"
        backend = home / "backends" / "python"
        backend.mkdir(parents=True)
        stub, binary = home / "stub", home / "tritonserver"
        stub.touch()
        binary.write_text(f"#!{sys.executable}\n{program}")
        binary.chmod(0o755)
        for name in ("one", "two"):
            add_model(tmp_path / "models", signature(name))
        (tmp_path / "models" / "half copied").mkdir()
        installation = TritonInstallation(home, binary, (), backend, stub)
        ports = PlatformPorts.free().triton
        made.append(TritonServer(installation, tmp_path / "models", tmp_path / "state", ports))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop()


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # one that nobody has waited for is dead all the same


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stub_pids(supervisor):
    return [int(line.split()[1]) for line in supervisor.log_tail().splitlines() if "stub" in line]


def test_a_server_that_exits_is_reported_with_the_end_of_its_log(server):
    supervisor = server(BROKEN)
    with pytest.raises(TritonFailed, match="failed to load model: out of memory"):
        supervisor.start(20)
    assert supervisor.pid is None


def test_a_server_that_never_becomes_ready_is_stopped(server):
    supervisor = server(STUCK)
    with pytest.raises(TritonFailed, match="did not become ready"):
        supervisor.start(0.2)
    assert supervisor.pid is None


def test_every_complete_model_is_loaded_by_name_on_the_loopback_address_alone(server):
    supervisor = server(READY)
    assert supervisor.models == ("one", "two")
    command = supervisor.command()
    assert [word for word in command if "load-model" in word] == [
        "--load-model=one",
        "--load-model=two",
    ]
    addresses = [word for word in command if "-address=" in word]
    assert len(addresses) == 3
    assert all(word.endswith("=127.0.0.1") for word in addresses)


def test_a_stopped_server_leaves_nothing_running(server):
    supervisor = server(READY)
    with supervisor:
        assert supervisor.is_ready()
        pid, (stub,) = supervisor.pid, stub_pids(supervisor)
        assert alive(pid)
        assert alive(stub)
    assert supervisor.pid is None
    assert not supervisor.is_ready()
    until(lambda: not alive(pid) and not alive(stub))
    supervisor.stop()  # again does no harm


def test_a_server_that_dies_is_started_again_and_its_stubs_are_cleared_away(server):
    with server(READY) as supervisor:
        first, (stub,) = supervisor.pid, stub_pids(supervisor)
        os.kill(first, signal.SIGKILL)
        until(lambda: supervisor.restarts == 1 and supervisor.is_ready())
        assert supervisor.pid not in (first, None)
        until(lambda: not alive(stub))
    assert not supervisor.is_ready()
