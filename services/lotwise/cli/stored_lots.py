"""Lots that are screened into a store: lotwise screen --store.

The store's packages are an extra, so they are imported where it is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf import json_format
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from lotwise.cli.options import err, fail
from lotwise.cli.store_tables import plain
from lotwise.core.errors import LotwiseError
from lotwise.screening.folder import LotFolder
from lotwise.screening.screener import LotScreening
from lotwise.v1 import referral_pb2, tile_pb2

if TYPE_CHECKING:
    from lotwise.screening.sources import LotSource
    from lotwise.store import Screening, Store


def screen_into(
    address: str,
    lots: Sequence[str],
    addresses: Mapping[str, str],
    *,
    um_per_px: float | None,
    policy: str,
    quiet: bool,
) -> tuple[list[LotScreening], int]:
    """Screen lots into a store, one after another; a lot that fails does not keep others back.

    Args:
        address: Of the store; it is made where there is none.
        lots: Folders, archives or patterns.
        addresses: host:port of the services.
        um_per_px: Edge length of a pixel in micrometres.
        policy: That decides.
        quiet: Whether to show no progress.

    Returns:
        The lots that have a verdict, and how many have none.
    """
    try:
        from lotwise.store import Store
    except ImportError as missing:
        fail(f"--store needs more packages ({missing}). Run `pip install 'lotwise[screening]'`.")
    try:
        with Store.open(address, create=True) as store:
            return asyncio.run(
                _screen_all(store, lots, addresses, um_per_px=um_per_px, policy=policy, quiet=quiet)
            )
    except LotwiseError as error:
        fail(f"{error.reason}: {plain(error.message)}")


async def _screen_all(
    store: Store,
    lots: Sequence[str],
    addresses: Mapping[str, str],
    *,
    um_per_px: float | None,
    policy: str,
    quiet: bool,
) -> tuple[list[LotScreening], int]:
    from lotwise.screening.services import Services
    from lotwise.screening.sources import open_source
    from lotwise.screening.stored import StoredScreening
    from lotwise.store import Progress as Done
    from lotwise.store import StoreError

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tiles"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    screened, failed = [], 0
    with Progress(*columns, console=err, disable=quiet) as bars:

        def waiting(why: str, seconds: float) -> None:
            if why:
                bars.console.print(f"{plain(why)} Waiting {seconds:.0f} s.", style="yellow")

        for lot in lots:
            task = bars.add_task(plain(lot), total=None, rate="")

            def shown(done: Done, task: TaskID = task) -> None:
                speed = bars.tasks[bars.task_ids.index(task)].speed
                rate = "" if speed is None else f"{speed:.0f}/s"
                bars.update(task, total=done.tiles, completed=done.done, rate=rate)

            try:
                source = open_source(lot, um_per_px)
                async with Services(addresses, policy, waiting) as services:
                    found = await StoredScreening(store, source, services, shown).run()
            except StoreError:
                raise  # nothing can be kept any more
            except LotwiseError as error:
                failed += 1
                bars.console.print(
                    f"{plain(lot)}: {error.reason}: {plain(error.message)}", style="red"
                )
            else:
                screened.append(_as_screened(source, found))
    return screened, failed


def _as_screened(source: LotSource, screening: Screening) -> LotScreening:
    """A stored screening as what is shown of any."""
    outcome = screening.outcome
    assert outcome is not None
    folder = LotFolder(source.name, Path(source.source), (), source.um_per_px, source.simulated)
    document = outcome.document or {}
    verdict = json_format.ParseDict(document.get("verdict", {}), referral_pb2.LotVerdict())
    return LotScreening(
        folder,
        verdict=verdict,
        property_name=outcome.property_name,
        unit=outcome.unit,
        summary=(outcome.mean, outcome.sd),
        models={
            name: tile_pb2.ModelVersion(name=name, **said)
            for name, said in screening.stated.get("models", {}).items()
        },
    )
