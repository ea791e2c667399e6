"""Starts a real tritonserver over a model repository, restarts it if it dies, stops it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from lotwise.runtime import tracing
from lotwise.runtime.model_config import read_pbtxt
from lotwise.runtime.spawning import exits_deferred
from lotwise.runtime.triton.installation import TritonInstallation

logger = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 20.0
LOOK_INTERVAL_S: Final = 1.0
RESTART_DELAY_S: Final = 1.0


class TritonFailed(Exception):
    """The server did not come up. The message holds the end of its log."""


@dataclass(frozen=True)
class TritonPorts:
    """Ports on the loopback address."""

    grpc: int = 8001
    http: int = 8000
    metrics: int = 8002


class TritonServer:
    """One supervised tritonserver.

    Models are loaded by name (explicit model control): a half-copied folder is never served.
    A server that exits while supervised is started again after a second.

    Args:
        installation: Where the server is.
        repository: The model repository; every folder with a config.pbtxt is loaded.
        state: A folder for its log and its backend directory.
        ports: Where it listens, on 127.0.0.1 alone.
    """

    def __init__(
        self,
        installation: TritonInstallation,
        repository: Path,
        state: Path,
        ports: TritonPorts | None = None,
    ) -> None:
        self.installation = installation
        self.repository = repository.absolute()
        self.state = state.absolute()
        self.ports = ports or TritonPorts()
        self.log_path = self.state / "tritonserver.log"
        self.restarts = 0
        self.serves = False
        """Whether it was ready when it was last looked at, which is about every second."""
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        # Held while a process is started or ended, so that a stop never misses a restart.
        self._changing = threading.Lock()

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that are loaded."""
        return tuple(
            read_pbtxt(path).name for path in sorted(self.repository.glob("*/config.pbtxt"))
        )

    @property
    def pid(self) -> int | None:
        """Process id of the running server."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def command(self) -> list[str]:
        """The server's command line."""
        return [
            str(self.installation.binary),
            f"--model-repository={self.repository}",
            f"--backend-directory={self.state / 'backends'}",
            "--model-control-mode=explicit",
            *(f"--load-model={name}" for name in self.models),
            "--grpc-address=127.0.0.1",
            f"--grpc-port={self.ports.grpc}",
            "--http-address=127.0.0.1",
            f"--http-port={self.ports.http}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={self.ports.metrics}",
            "--allow-gpu-metrics=false",
            "--strict-readiness=true",
            "--exit-timeout-secs=10",
            *_tracing_options(),
        ]

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start and wait until every model is ready.

        Raises:
            TritonFailed: It exited or did not become ready in time.
        """
        self.launch()
        self.wait_until_ready(timeout_s)

    def launch(self) -> None:
        """Start; several may load their models at the same time."""
        self.state.mkdir(parents=True, exist_ok=True)
        self.installation.write_backends(self.state / "backends")
        self._stopping.clear()
        self._spawn()

    def wait_until_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until every model is ready; from then on it is started again if it exits.

        Raises:
            TritonFailed: It exited or did not become ready in time.
        """
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            if self.pid is None or time.monotonic() > deadline:
                self.stop()
                raise TritonFailed(
                    f"tritonserver at port {self.ports.grpc} did not become ready:\n"
                    f"{self.log_tail()}"
                )
            time.sleep(0.1)
        self.serves = True
        self._watcher = threading.Thread(target=self._watch, name="triton-watch", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Stop it and its stub processes; returns when they are gone."""
        self._stopping.set()
        with self._changing:
            process = self._process
        if process is not None:
            # The stubs share the server's process group; they go after the server has drained.
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join()
            self._watcher = None
        self.serves = False

    def is_ready(self) -> bool:
        """Whether the server and all its models answer."""
        url = f"http://127.0.0.1:{self.ports.http}/v2/health/ready"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def log_tail(self, lines: int = 25) -> str:
        """The end of the server's log."""
        try:
            text = self.log_path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def __enter__(self) -> TritonServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _spawn(self) -> None:
        with self._open_log() as log, exits_deferred():
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.installation.environment(),
                start_new_session=True,
            )

    @contextlib.contextmanager
    def _open_log(self) -> Iterator[IO[bytes]]:
        with self.log_path.open("ab") as log:
            yield log

    def _watch(self) -> None:
        while not self._stopping.is_set():
            process = self._process
            if process is None:
                return
            self.serves = self.is_ready()
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(LOOK_INTERVAL_S)
                self.serves = False
                if self._stopping.wait(RESTART_DELAY_S):
                    return
                # Stubs of a killed server may survive it; their ports and memory must not.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                logger.warning("tritonserver exited with %s; starting it again", code)
                with self._changing:
                    if self._stopping.is_set():
                        return
                    self.restarts += 1
                    self._spawn()


def _tracing_options() -> list[str]:
    """Traces of requests that bring a traceparent, and of no others: services decide on those."""
    url = tracing.traces_url()
    if url is None:
        return []
    settings = (
        "mode=opentelemetry",
        "level=TIMESTAMPS",
        "rate=0",  # of requests without a traceparent none
        f"opentelemetry,url={url}",
        "opentelemetry,resource=service.name=triton",
    )
    return [f"--trace-config={setting}" for setting in settings]
