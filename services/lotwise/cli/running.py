"""A platform for the time of one command, and a client of whatever platform there is."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lotwise.cli.options import err, fail
from lotwise.client import Client
from lotwise.client.connection import PORTS
from lotwise.platform.launcher import Engine, Platform, PlatformFailed
from lotwise.platform.ports import SERVICES, PlatformPorts
from lotwise.runtime.addresses import checked, is_address, on_port
from lotwise.runtime.members import AssemblyError
from lotwise.runtime.triton.supervisor import TritonFailed


def make_platform(
    models: Path,
    state: Path,
    ports: PlatformPorts,
    triton: Path,
    engine: str | None,
    replicas: int = 1,
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
        further = [ports.replica(number) for number in range(1, replicas)]
        return Platform(models, state, ports, triton, chosen[engine], further)
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


def addresses_at(host: str, stated: Mapping[str, str | None]) -> dict[str, str]:
    """Address by service: that which is stated, else the standard port on the host.

    Args:
        host: Where `lotwise up` runs.
        stated: By service; None for those that are on the host.
    """
    try:
        return {
            name: checked(address or on_port(host, PORTS[name])) for name, address in stated.items()
        }
    except ValueError as error:
        fail(f"{error}.")


@dataclass(frozen=True)
class Where:
    """Which platform a verb asks.

    Attributes:
        host: Of a platform that is up, or the address of the one service that is asked.
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
            try:
                if started is not None:
                    client = Client(**started)  # type: ignore[arg-type]
                elif is_address(self.host):
                    client = Client(**{service: self.host})  # type: ignore[arg-type]
                else:
                    client = Client(self.host)
            except ValueError as error:
                fail(f"{error}.")
            with client:
                yield client
