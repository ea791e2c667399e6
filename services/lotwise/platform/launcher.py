"""Starts Triton (or says that it cannot) and the four services, each its own process.

Of each there may be several replicas, which share the work: services ask all Tritons in turn, the
referral services all uncertainty services.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lotwise.platform.ports import HOST, SERVICES, PlatformPorts
from lotwise.runtime.assemble import assemble_repository
from lotwise.runtime.spawning import exits_deferred
from lotwise.runtime.triton.installation import TritonMissing, find_installation
from lotwise.runtime.triton.supervisor import TritonServer

logger = logging.getLogger(__name__)

Engine = Literal["triton", "onnxruntime"]
GRADIENT: Final = "edit_gradient"
"""Model without which nothing can be explained: the export leaves it out where the regressor sees
another field of view than the editor."""
START_TIMEOUT_S: Final = 90.0
STOP_TIMEOUT_S: Final = 30.0


class PlatformFailed(Exception):
    """The platform did not come up; the message says why and what to do."""


class Platform:
    """Triton and four services as child processes, or several of each.

    Replicas are counted from 0, which is the one at `ports`.

    Args:
        repository: The model repository.
        state: Folder for logs and Triton's backend directory.
        ports: Where everything listens.
        triton_home: The server's own environment, made by `make triton`.
        engine: None takes Triton where it is installed, the in-process engine elsewhere.
        further: Where further replicas listen.

    Attributes:
        parts: Names of the services that the repository has models for: `explain` needs an editor.
    """

    def __init__(
        self,
        repository: Path,
        state: Path,
        ports: PlatformPorts,
        triton_home: Path,
        engine: Engine | None = None,
        further: Sequence[PlatformPorts] = (),
    ) -> None:
        self.repository = repository
        self.state = state
        self.ports = ports
        self.replicas = (ports, *further)
        explains = (repository / GRADIENT / "config.pbtxt").is_file()
        self.parts = tuple(name for name in SERVICES if explains or name != "explain")
        self.without_triton: str | None = None
        self.tritons: list[TritonServer] = []
        self._processes: dict[tuple[str, int], subprocess.Popen[bytes]] = {}
        if engine != "onnxruntime":
            try:
                installation = find_installation(triton_home)
                self.tritons = [
                    TritonServer(installation, repository, state / _file("triton", i), each.triton)
                    for i, each in enumerate(self.replicas)
                ]
            except TritonMissing as missing:
                if engine == "triton":
                    raise PlatformFailed(str(missing)) from None
                self.without_triton = str(missing)

    @property
    def triton(self) -> TritonServer | None:
        """The first one."""
        return self.tritons[0] if self.tritons else None

    @property
    def engine(self) -> Engine:
        """The engine that the services ask."""
        return "triton" if self.tritons else "onnxruntime"

    @property
    def services(self) -> list[tuple[str, int]]:
        """Name and replica of every service."""
        return [(name, i) for i in range(len(self.replicas)) for name in self.parts]

    def start(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Start everything and wait until every service says SERVING.

        Args:
            tell: Is told what is being done.

        Raises:
            PlatformFailed: With the end of the log of the part that failed.
            TritonFailed, AssemblyError: Likewise.
        """
        if taken := [port for ports in self.replicas for port in ports.taken()]:
            raise PlatformFailed(
                f"Something listens already on port {', '.join(map(str, taken))}. "
                "Is the platform up? Stop it first, or use it."
            )
        self.state.mkdir(parents=True, exist_ok=True)
        tell("assembling models")
        assemble_repository(self.repository)
        try:
            for triton in self.tritons:
                tell(f"starting Triton with {len(triton.models)} models")
                triton.launch()
            for triton in self.tritons:
                triton.wait_until_ready()
            for name, replica in self.services:
                tell(f"starting {label(name, replica)}")
                self._spawn(name, replica)
            for name, replica in self.services:
                tell(f"waiting for {label(name, replica)}")
                self._wait_until_serving(name, replica)
        except BaseException:
            self.stop()
            raise

    def revive(self) -> list[str]:
        """Start services that have exited again; returns their names. Waits for none of them.

        A Triton that exits is started again by its own supervisor.
        """
        exited = [part for part, process in self._processes.items() if process.poll() is not None]
        for part in exited:
            logger.warning(
                "%s exited; starting it again, see %s", label(*part), self.log_path(*part)
            )
            self._spawn(*part)
        return [label(*part) for part in exited]

    def down(self) -> dict[str, Path]:
        """Tritons that do not serve now, and their logs."""
        return {
            label("Triton", i): triton.log_path
            for i, triton in enumerate(self.tritons)
            if not triton.serves
        }

    def restart(self, service: str, replica: int = 0) -> None:
        """Let one service drain, start it again and wait until it serves.

        Raises:
            PlatformFailed: It does not.
        """
        self._end(self._processes[service, replica])
        self._spawn(service, replica)
        self._wait_until_serving(service, replica)

    def stop(self) -> None:
        """Let the services drain, then stop Triton. Returns when all are gone."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            self._end(process)
        self._processes.clear()
        if self.tritons:
            with ThreadPoolExecutor(len(self.tritons)) as threads:
                list(threads.map(TritonServer.stop, self.tritons))

    def address(self, service: str) -> str:
        """Of all replicas of a service, with commas between them."""
        return ",".join(ports.address(service) for ports in self.replicas)

    def log_path(self, service: str, replica: int = 0) -> Path:
        """Where a service's JSON log goes."""
        return self.state / f"{_file(service, replica)}.log"

    def pid(self, service: str, replica: int = 0) -> int:
        """Process id of a service."""
        return self._processes[service, replica].pid

    def __enter__(self) -> Platform:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _spawn(self, name: str, replica: int) -> None:
        prefix = f"LOTWISE_{name.upper()}_"
        wanted = {
            "PORT": str(self.replicas[replica].grpc[name]),
            "METRICS_PORT": str(self.replicas[replica].metrics[name]),
        }
        if name == "referral":
            wanted["UNCERTAINTY_ADDRESS"] = self.address("uncertainty")
            wanted["POLICY_FILE"] = str(self.repository / "committee" / "referral_policy.json")
        else:
            wanted["ENGINE"] = self.engine
            wanted["TRITON_ADDRESS"] = ",".join(
                f"{HOST}:{ports.triton.grpc}" for ports in self.replicas
            )
            wanted["MODEL_REPOSITORY"] = str(self.repository)
        if name == "uncertainty":
            wanted["INTERVALS_FILE"] = str(self.repository / "regressor_folds" / "intervals.json")
        # What the operator has set goes before what the launcher would choose, but for the ports,
        # which the launcher itself has to know.
        chosen = {prefix + key: value for key, value in wanted.items()}
        ports = {key: value for key, value in chosen.items() if key.endswith("PORT")}
        environment = chosen | dict(os.environ) | ports
        with self.log_path(name, replica).open("ab") as log, exits_deferred():
            self._processes[name, replica] = subprocess.Popen(
                [sys.executable, "-m", f"lotwise.{name}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                # Ctrl-C reaches the launcher alone, which then stops them in order.
                start_new_session=True,
            )

    def _wait_until_serving(self, name: str, replica: int) -> None:
        called = label(name, replica)
        deadline = time.monotonic() + START_TIMEOUT_S
        with grpc.insecure_channel(self.replicas[replica].address(name)) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            while time.monotonic() < deadline:
                if self._processes[name, replica].poll() is not None:
                    raise PlatformFailed(
                        f"{called} exited at its start:\n{self._log_tail(name, replica)}"
                    )
                with contextlib.suppress(grpc.RpcError):
                    answer = stub.Check(
                        health_pb2.HealthCheckRequest(), timeout=2, wait_for_ready=False
                    )
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                time.sleep(0.1)
        raise PlatformFailed(f"{called} did not become ready:\n{self._log_tail(name, replica)}")

    def _log_tail(self, name: str, replica: int) -> str:
        text = self.log_path(name, replica).read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-15:])


def label(part: str, replica: int) -> str:
    """What a part is called: "predict" the first, "predict 2" the next."""
    return part if replica == 0 else f"{part} {replica + 1}"


def _file(part: str, replica: int) -> str:
    return part if replica == 0 else f"{part}-{replica + 1}"
