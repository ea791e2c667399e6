"""A platform for the time of one command, and a client of whatever platform there is."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lotwise.cli.options import err, fail
from lotwise.client import Client
from lotwise.platform.launcher import Engine, Platform, PlatformFailed
from lotwise.platform.ports import SERVICES, PlatformPorts
from lotwise.runtime.members import AssemblyError
from lotwise.runtime.triton.supervisor import TritonFailed


def make_platform(
    models: Path, state: Path, ports: PlatformPorts, triton: Path, engine: str | None
) -> Platform:
    """A platform that is not started yet."""
    chosen: dict[str | None, Engine | None] = {
        None: None,
        "triton": "triton",
        "onnxruntime": "onnxruntime",
    }
    if engine not in chosen:
        fail(f"There is no engine '{engine}'. Choose triton or onnxruntime.")
    if not models.is_dir():
        fail(
            f"There is no model repository at {models}. Name one with --models or LOTWISE_MODELS; "
            "Lotwise's source has one, model_repository."
        )
    try:
        return Platform(models, state, ports, triton, chosen[engine])
    except PlatformFailed as error:
        fail(str(error))


@contextlib.contextmanager
def running(platform: Platform, *, quiet: bool) -> Iterator[None]:
    """The platform, up; stopped at the end."""
    if platform.without_triton and not quiet:
        err.print(
            f"[yellow]{platform.without_triton}\n"
            "Until then the networks run in the services (ONNX Runtime).[/yellow]"
        )
    try:
        with err.status("starting the platform") as status:
            platform.start(lambda what: status.update(what))
    except (PlatformFailed, TritonFailed, AssemblyError) as error:
        fail(str(error))
    try:
        yield
    finally:
        with err.status("stopping the platform"):
            platform.stop()


@dataclass(frozen=True)
class Where:
    """Which platform a verb asks.

    Attributes:
        host: Of a platform that is up, or host:port of the one service that is asked.
        start: Start a platform instead; the rest says which.
        quiet: Say nothing of it.
    """

    host: str
    start: bool
    models: Path
    state: Path
    triton: Path
    engine: str | None
    quiet: bool

    @contextlib.contextmanager
    def addresses(self) -> Iterator[dict[str, str] | None]:
        """host:port by service of the platform that was started; None where none was."""
        # An ended command must not leave its platform behind; sys.exit unwinds through its stop.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        if not self.start:
            yield None
            return
        ports = PlatformPorts.free()
        platform = make_platform(self.models, self.state, ports, self.triton, self.engine)
        with running(platform, quiet=self.quiet):
            yield {name: ports.address(name) for name in SERVICES}

    @contextlib.contextmanager
    def client(self, service: str) -> Iterator[Client]:
        """A client for questions to this service."""
        with self.addresses() as started:
            if started is not None:
                client = Client(**started)  # type: ignore[arg-type]
            elif self.host.count(":") == 1:
                client = Client(**{service: self.host})  # type: ignore[arg-type]
            else:
                client = Client(self.host)
            with client:
                yield client
