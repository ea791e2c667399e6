"""The platform itself: lotwise up and doctor."""

from __future__ import annotations

import json
import signal
import threading
from typing import Any

import typer
from rich.table import Table

from lotwise.cli.options import (
    MODELS,
    STATE,
    TRITON,
    AsJson,
    Models,
    State,
    TritonHome,
    WhichEngine,
    err,
    out,
)
from lotwise.cli.running import make_platform, running
from lotwise.platform.doctor import examine
from lotwise.platform.launcher import Platform
from lotwise.platform.ports import SERVICES, PlatformPorts


def up(
    models: Models = MODELS,
    state: State = STATE,
    triton: TritonHome = TRITON,
    engine: WhichEngine = None,
    as_json_: AsJson = False,
) -> None:
    """Start Triton and the four services, and stop them on Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    ports = PlatformPorts.standard()
    platform = make_platform(models, state, ports, triton, engine)
    with running(platform, quiet=as_json_):
        if as_json_:
            print(json.dumps(_addresses(platform)), flush=True)  # noqa: T201
        else:
            out.print(_address_table(platform))
            out.print("Press Ctrl-C to stop.")
        while not stop.wait(1.0):
            for name in platform.revive():
                err.print(f"[yellow]{name} exited and was started again[/yellow]")


def doctor(models: Models = MODELS, triton: TritonHome = TRITON, as_json_: AsJson = False) -> None:
    """Say what is missing on this machine and which command brings it."""
    findings = list(examine(models, triton, PlatformPorts.standard()))
    if as_json_:
        print(json.dumps([vars(finding) for finding in findings], indent=2))  # noqa: T201
    else:
        colours = {"ok": "green", "limited": "yellow", "missing": "red"}
        table = Table("what", "state", "found", "what to do")
        for finding in findings:
            colour = colours[finding.state]
            table.add_row(
                finding.subject,
                f"[{colour}]{finding.state}[/{colour}]",
                finding.detail,
                finding.remedy or "-",
            )
        out.print(table)
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(1)


def _addresses(platform: Platform) -> dict[str, Any]:
    ports = platform.ports
    return {
        "engine": platform.engine,
        "services": {
            name: {
                "grpc": ports.address(name),
                "metrics": f"http://127.0.0.1:{ports.metrics[name]}/metrics",
                "pid": platform.pid(name),
            }
            for name in SERVICES
        },
        "triton": {
            "grpc": f"127.0.0.1:{ports.triton.grpc}",
            "metrics": f"http://127.0.0.1:{ports.triton.metrics}/metrics",
            "pid": platform.triton.pid,
        }
        if platform.triton
        else None,
    }


def _address_table(platform: Platform) -> Table:
    addresses = _addresses(platform)
    table = Table("part", "gRPC", "metrics", title="Lotwise is up", title_justify="left")
    for name, where in addresses["services"].items():
        table.add_row(name, where["grpc"], where["metrics"])
    if where := addresses["triton"]:
        table.add_row("Triton", where["grpc"], where["metrics"])
    else:
        table.add_row("(no Triton: in-process ONNX Runtime)", "-", "-")
    return table
