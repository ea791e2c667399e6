"""Whole lots: lotwise screen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lotwise.cli.options import (
    MODELS,
    STATE,
    TRITON,
    AsJson,
    Host,
    Models,
    Policy,
    PressureUnit,
    Start,
    State,
    TritonHome,
    UmPerPx,
    WhichEngine,
    err,
    fail,
    out,
)
from lotwise.cli.running import Where, addresses_at
from lotwise.cli.stored_lots import How, screen_into, watch_into
from lotwise.client.connection import LOCAL
from lotwise.core.errors import EngineUnavailable, LotwiseError
from lotwise.screening.folder import LotFolder, read_lot_folder
from lotwise.screening.report import as_json, as_table
from lotwise.screening.screener import LotScreening, screen_lot


def screen(
    lots: Annotated[
        list[str],
        typer.Argument(
            help="Folders of tiles, one lot each; with --store also archives, and patterns in "
            "quotes.",
            metavar="LOTS",
        ),
    ],
    um_per_px: UmPerPx = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Keep every tile's result in this store and go on where it was broken off: a "
            "SQLite file, or postgresql://user:password@host/database.",
            envvar="LOTWISE_SCREEN_STORE",
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Screen what comes into a folder, until it is stopped."),
    ] = False,
    complete_after: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="With --watch: seconds without a new tile after which a lot is complete; else a "
            "file COMPLETE beside its tiles says so.",
        ),
    ] = None,
    notify: Annotated[
        list[str] | None,
        typer.Option(
            help="With --store: tell this URL of verdicts, or 'command:' and a command; signed "
            "with LOTWISE_NOTIFY_SECRET; again for each."
        ),
    ] = None,
    host: Host = LOCAL,
    predict: Annotated[str | None, typer.Option(help="host:port, goes before --host")] = None,
    referral: Annotated[str | None, typer.Option(help="host:port, goes before --host")] = None,
    uncertainty: Annotated[str | None, typer.Option(help="host:port, with --store")] = None,
    explain: Annotated[str | None, typer.Option(help="host:port, with --target")] = None,
    target: Annotated[
        float | None,
        typer.Option(
            help="With --store: the property that lots should have; reports say what to change."
        ),
    ] = None,
    unit: Annotated[PressureUnit, typer.Option(help="Of --target.")] = PressureUnit.PSI,
    start: Start = False,
    models: Models = MODELS,
    state: State = STATE,
    triton: TritonHome = TRITON,
    engine: WhichEngine = None,
    stop_early: Annotated[
        bool, typer.Option("--stop-early", help="send no more tiles than the verdict needs")
    ] = False,
    policy: Policy = "",
    as_json_: AsJson = False,
) -> None:
    """Screen lots: a verdict and its reason for each folder of tiles.

    Ends with 0 where every lot could be judged, whatever the verdicts are.
    """
    if watch and (store is None or len(lots) != 1):
        fail("--watch takes one folder, and a store: --store .lotwise/store.sqlite")
    if target is not None and store is None:
        fail("--target needs a store, which keeps what to change: --store .lotwise/store.sqlite")
    if store is not None and stop_early:
        fail("--stop-early and --store exclude each other: a store keeps every tile.")
    try:
        folders = [] if store else [read_lot_folder(Path(path), um_per_px) for path in lots]
        where = Where(host, start, models, state, triton, engine, as_json_)
        with where.addresses() as started:
            asked = {
                "predict": predict,
                "referral": referral,
                "uncertainty": uncertainty,
                "explain": explain,
            }
            addresses = started or addresses_at(host, asked)
            how = How(um_per_px, policy, notify or [], target, unit.value)
            if watch and store is not None:
                watch_into(
                    store,
                    Path(lots[0]),
                    addresses,
                    how=how,
                    quiet_s=complete_after,
                    as_json=as_json_,
                )
                return
            if store is not None:
                screened, failed = screen_into(
                    store,
                    lots,
                    addresses,
                    how=how,
                    quiet=as_json_,
                )
                _show(screened, as_json_)
                if failed:
                    raise typer.Exit(1)
                return
            screened = _screen(
                folders, addresses, policy=policy, stop_early=stop_early, quiet=as_json_
            )
    except EngineUnavailable as error:
        fail(f"{error.reason}: {error.message} Is the platform up? `lotwise up` starts it.")
    except LotwiseError as error:
        fail(f"{error.reason}: {error.message}")
    _show(screened, as_json_)


def _show(screened: list[LotScreening], as_json_: bool) -> None:
    if as_json_:
        for lot in screened:
            print(json.dumps(as_json(lot)))  # noqa: T201
    elif screened:
        out.print(as_table(screened))


def _screen(
    folders: list[LotFolder],
    addresses: Mapping[str, str],
    *,
    policy: str,
    stop_early: bool,
    quiet: bool,
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
                        predict_address=addresses["predict"],
                        referral_address=addresses["referral"],
                        policy=policy,
                        stop_early=stop_early,
                        on_tile=lambda task=task: progress.advance(task),  # type: ignore[misc]
                    )
                )
        return screened

    return asyncio.run(all_lots())
