"""The platform itself: lotwise up and doctor."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Annotated, Any

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
from lotwise.platform.launcher import GRADIENT, Platform, label
from lotwise.platform.ports import HOST, MOST_REPLICAS, PlatformPorts


def up(
    models: Models = MODELS,
    state: State = STATE,
    triton: TritonHome = TRITON,
    engine: WhichEngine = None,
    replicas: Annotated[
        int,
        typer.Option(
            min=1,
            max=MOST_REPLICAS,
            help="So many of each part share the work; the ports of each are 10 above those of "
            "the one before.",
        ),
    ] = 1,
    as_json_: AsJson = False,
) -> None:
    """Start Triton and the four services, and stop them on Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    ports = PlatformPorts.standard()
    platform = make_platform(models, state, ports, triton, engine, replicas)
    with running(platform, quiet=as_json_):
        if as_json_:
            print(json.dumps(_addresses(platform)), flush=True)  # noqa: T201
        else:
            out.print(_address_table(platform))
            if "explain" not in platform.parts:
                out.print(f"explain is not started: {models} has no model {GRADIENT}.")
            out.print("Press Ctrl-C to stop.")
        down: dict[str, Path] = {}
        while not stop.wait(1.0):
            for name in platform.revive():
                err.print(f"[yellow]{name} exited and was started again[/yellow]")
            before, down = down, platform.down()
            for name in down.keys() - before.keys():
                err.print(f"[red]{name} does not serve[/red]; its log: {down[name]}")
            for name in before.keys() - down.keys():
                err.print(f"[green]{name} serves again[/green]")


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
    """What each verb and program needs; `replicas` where there are several, the first included."""
    each = [_replica(platform, number) for number in range(len(platform.replicas))]
    several = {"replicas": each} if len(each) > 1 else {}
    return {"engine": platform.engine, **each[0], **several}


def _replica(platform: Platform, number: int) -> dict[str, Any]:
    ports = platform.replicas[number]
    return {
        "services": {
            name: {
                "grpc": ports.address(name),
                "metrics": f"http://{HOST}:{ports.metrics[name]}/metrics",
                "pid": platform.pid(name, number),
            }
            for name in platform.parts
        },
        "triton": {
            "grpc": f"{HOST}:{ports.triton.grpc}",
            "metrics": f"http://{HOST}:{ports.triton.metrics}/metrics",
            "pid": platform.tritons[number].pid,
        }
        if platform.tritons
        else None,
    }


def _address_table(platform: Platform) -> Table:
    table = Table("part", "gRPC", "metrics", title="Lotwise is up", title_justify="left")
    for number in range(len(platform.replicas)):
        addresses = _replica(platform, number)
        for name, where in addresses["services"].items():
            table.add_row(label(name, number), where["grpc"], where["metrics"])
        if where := addresses["triton"]:
            table.add_row(label("Triton", number), where["grpc"], where["metrics"])
    if not platform.tritons:
        table.add_row("(no Triton: in-process ONNX Runtime)", "-", "-")
    return table
