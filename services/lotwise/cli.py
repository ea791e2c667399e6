"""The command line: lotwise up, screen, doctor."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from lotwise.core.errors import LotwiseError
from lotwise.platform.doctor import examine
from lotwise.platform.launcher import Engine, Platform, PlatformFailed
from lotwise.platform.ports import SERVICES, PlatformPorts
from lotwise.runtime.assemble import AssemblyError
from lotwise.runtime.triton.supervisor import TritonFailed
from lotwise.screening.folder import LotFolder, read_lot_folder
from lotwise.screening.report import as_json, as_table
from lotwise.screening.screener import LotScreening, screen_lot

app = typer.Typer(
    help="Screen materials lots from SEM tiles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

Models = Annotated[Path, typer.Option(help="The model repository.")]
State = Annotated[Path, typer.Option(help="Folder for logs.")]
TritonHome = Annotated[Path, typer.Option(help="Triton's own environment.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
WhichEngine = Annotated[
    str | None,
    typer.Option(help="triton or onnxruntime (in-process); default: Triton where installed."),
]
MODELS = Path("model_repository")
STATE = Path(".lotwise/platform")
TRITON = Path(".triton")


@app.command()
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
    platform = _platform(models, state, ports, triton, engine)
    with _running(platform, quiet=as_json_):
        if as_json_:
            print(json.dumps(_addresses(platform)), flush=True)  # noqa: T201
        else:
            out.print(_address_table(platform))
            out.print("Press Ctrl-C to stop.")
        while not stop.wait(1.0):
            for name in platform.revive():
                err.print(f"[yellow]{name} exited and was started again[/yellow]")


@app.command()
def screen(
    lots: Annotated[list[Path], typer.Argument(help="Folders of tiles, one lot each.")],
    um_per_px: Annotated[
        float | None, typer.Option(help="Pixel size in um where the files do not say it.")
    ] = None,
    start: Annotated[
        bool, typer.Option("--start", help="Start a platform for this command, stop it after.")
    ] = False,
    predict: Annotated[str, typer.Option(help="host:port")] = "127.0.0.1:50051",
    referral: Annotated[str, typer.Option(help="host:port")] = "127.0.0.1:50053",
    models: Models = MODELS,
    state: State = STATE,
    triton: TritonHome = TRITON,
    engine: WhichEngine = None,
    as_json_: AsJson = False,
) -> None:
    """Screen lots: a verdict and its reason for each folder of tiles.

    Ends with 0 where every lot could be judged, whatever the verdicts are.
    """
    # An ended command must not leave its platform behind; sys.exit unwinds through its stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        folders = [read_lot_folder(path, um_per_px) for path in lots]
        if start:
            ports = PlatformPorts.free()
            with _running(_platform(models, state, ports, triton, engine), quiet=as_json_):
                screened = _screen(
                    folders, ports.address("predict"), ports.address("referral"), as_json_
                )
        else:
            screened = _screen(folders, predict, referral, as_json_)
    except LotwiseError as error:
        _fail(f"{error.reason}: {error.message}")
    if as_json_:
        for lot in screened:
            print(json.dumps(as_json(lot)))  # noqa: T201
    else:
        out.print(as_table(screened))


@app.command()
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


def main() -> None:
    """Entry point of the `lotwise` command."""
    app()


def _platform(
    models: Path, state: Path, ports: PlatformPorts, triton: Path, engine: str | None
) -> Platform:
    chosen: dict[str | None, Engine | None] = {
        None: None,
        "triton": "triton",
        "onnxruntime": "onnxruntime",
    }
    if engine not in chosen:
        _fail(f"There is no engine '{engine}'. Choose triton or onnxruntime.")
    try:
        return Platform(models, state, ports, triton, chosen[engine])
    except PlatformFailed as error:
        _fail(str(error))


@contextlib.contextmanager
def _running(platform: Platform, *, quiet: bool) -> Iterator[None]:
    if platform.without_triton and not quiet:
        err.print(
            f"[yellow]{platform.without_triton}\n"
            "Until then the networks run in the services (ONNX Runtime).[/yellow]"
        )
    try:
        with err.status("starting the platform") as status:
            platform.start(lambda what: status.update(what))
    except (PlatformFailed, TritonFailed, AssemblyError) as error:
        _fail(str(error))
    try:
        yield
    finally:
        with err.status("stopping the platform"):
            platform.stop()


def _screen(
    folders: list[LotFolder], predict: str, referral: str, quiet: bool
) -> list[LotScreening]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tiles"),
        TimeRemainingColumn(),
    )

    async def all_lots() -> list[LotScreening]:
        screened = []
        with Progress(*columns, console=err, disable=quiet) as progress:
            for folder in folders:
                task = progress.add_task(folder.lot_id, total=len(folder.tiles))
                screened.append(
                    await screen_lot(
                        folder,
                        predict_address=predict,
                        referral_address=referral,
                        on_tile=lambda task=task: progress.advance(task),  # type: ignore[misc]
                    )
                )
        return screened

    return asyncio.run(all_lots())


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


def _fail(message: str) -> NoReturn:
    # Unwrapped: paths and commands stay whole.
    err.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)
