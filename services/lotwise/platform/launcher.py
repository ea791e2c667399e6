"""Starts Triton (or says that it cannot) and the four services, each its own process."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lotwise.platform.ports import SERVICES, PlatformPorts
from lotwise.runtime.assemble import assemble_repository
from lotwise.runtime.spawning import exits_deferred
from lotwise.runtime.triton.installation import TritonMissing, find_installation
from lotwise.runtime.triton.supervisor import TritonServer

logger = logging.getLogger(__name__)

Engine = Literal["triton", "onnxruntime"]
START_TIMEOUT_S: Final = 90.0
STOP_TIMEOUT_S: Final = 30.0


class PlatformFailed(Exception):
    """The platform did not come up; the message says why and what to do."""


class Platform:
    """Triton and four services as child processes.

    Args:
        repository: The model repository.
        state: Folder for logs and Triton's backend directory.
        ports: Where everything listens.
        triton_home: The server's own environment, made by `make triton`.
        engine: None takes Triton where it is installed, the in-process engine elsewhere.
    """

    def __init__(
        self,
        repository: Path,
        state: Path,
        ports: PlatformPorts,
        triton_home: Path,
        engine: Engine | None = None,
    ) -> None:
        self.repository = repository
        self.state = state
        self.ports = ports
        self.without_triton: str | None = None
        self.triton: TritonServer | None = None
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        if engine != "onnxruntime":
            try:
                installation = find_installation(triton_home)
                self.triton = TritonServer(installation, repository, state / "triton", ports.triton)
            except TritonMissing as missing:
                if engine == "triton":
                    raise PlatformFailed(str(missing)) from None
                self.without_triton = str(missing)

    @property
    def engine(self) -> Engine:
        """The engine that the services ask."""
        return "triton" if self.triton is not None else "onnxruntime"

    def start(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Start everything and wait until every service says SERVING.

        Args:
            tell: Is told what is being done.

        Raises:
            PlatformFailed: With the end of the log of the part that failed.
            TritonFailed, AssemblyError: Likewise.
        """
        if taken := self.ports.taken():
            raise PlatformFailed(
                f"Something listens already on port {', '.join(map(str, taken))}. "
                "Is the platform up? Stop it first, or use it."
            )
        self.state.mkdir(parents=True, exist_ok=True)
        tell("assembling models")
        assemble_repository(self.repository)
        try:
            if self.triton is not None:
                tell(f"starting Triton with {len(self.triton.models)} models")
                self.triton.start()
            for name in SERVICES:
                tell(f"starting {name}")
                self._spawn(name)
            for name in SERVICES:
                tell(f"waiting for {name}")
                self._wait_until_serving(name)
        except BaseException:
            self.stop()
            raise

    def revive(self) -> list[str]:
        """Start services that have exited again; returns their names."""
        exited = [name for name, process in self._processes.items() if process.poll() is not None]
        for name in exited:
            logger.warning("%s exited; starting it again, see %s", name, self.log_path(name))
            self._spawn(name)
        return exited

    def stop(self) -> None:
        """Let the services drain, then stop Triton. Returns when all are gone."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        if self.triton is not None:
            self.triton.stop()

    def log_path(self, service: str) -> Path:
        """Where a service's JSON log goes."""
        return self.state / f"{service}.log"

    def pid(self, service: str) -> int:
        """Process id of a service."""
        return self._processes[service].pid

    def __enter__(self) -> Platform:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _spawn(self, name: str) -> None:
        prefix = f"LOTWISE_{name.upper()}_"
        wanted = {
            "PORT": str(self.ports.grpc[name]),
            "METRICS_PORT": str(self.ports.metrics[name]),
        }
        if name == "referral":
            wanted["UNCERTAINTY_ADDRESS"] = self.ports.address("uncertainty")
            wanted["POLICY_FILE"] = str(self.repository / "committee" / "referral_policy.json")
        else:
            wanted["ENGINE"] = self.engine
            wanted["TRITON_ADDRESS"] = f"127.0.0.1:{self.ports.triton.grpc}"
            wanted["MODEL_REPOSITORY"] = str(self.repository)
        if name == "uncertainty":
            wanted["INTERVALS_FILE"] = str(self.repository / "regressor_folds" / "intervals.json")
        # What the operator has set goes before what the launcher would choose, but for the ports,
        # which the launcher itself has to know.
        chosen = {prefix + key: value for key, value in wanted.items()}
        ports = {key: value for key, value in chosen.items() if key.endswith("PORT")}
        environment = chosen | dict(os.environ) | ports
        with self.log_path(name).open("ab") as log, exits_deferred():
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"lotwise.{name}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                # Ctrl-C reaches the launcher alone, which then stops them in order.
                start_new_session=True,
            )

    def _wait_until_serving(self, name: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        with grpc.insecure_channel(self.ports.address(name)) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            while time.monotonic() < deadline:
                if self._processes[name].poll() is not None:
                    raise PlatformFailed(f"{name} exited at its start:\n{self._log_tail(name)}")
                with contextlib.suppress(grpc.RpcError):
                    answer = stub.Check(
                        health_pb2.HealthCheckRequest(), timeout=2, wait_for_ready=False
                    )
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                time.sleep(0.1)
        raise PlatformFailed(f"{name} did not become ready:\n{self._log_tail(name)}")

    def _log_tail(self, name: str) -> str:
        lines = self.log_path(name).read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-15:])
