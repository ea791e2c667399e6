"""Lots that are screened into a store: lotwise screen --store.

The store's packages are an extra, so they are imported where it is asked for.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from google.protobuf import json_format
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from lotwise.cli.options import err, fail, out
from lotwise.cli.store_tables import plain
from lotwise.core.errors import LotwiseError
from lotwise.screening.folder import LotFolder
from lotwise.screening.report import as_json as screened_as_json
from lotwise.screening.report import as_table
from lotwise.screening.screener import LotScreening
from lotwise.v1 import referral_pb2, tile_pb2

if TYPE_CHECKING:
    from lotwise.screening.concluding import Wish
    from lotwise.store import Screening, Store


SECRET: Final = "LOTWISE_NOTIFY_SECRET"
"""With which notifications are signed."""


@dataclass(frozen=True)
class How:
    """How lots are screened.

    Attributes:
        um_per_px: Edge length of a pixel in micrometres, where neither files nor `lot.json` say it.
        policy: That decides.
        notify: Whom to tell of verdicts: URLs, or "command:" and a command.
        target: The property that lots should have; None to search no change.
        unit: Of the target, "psi" or "MPa"; empty for the model's own.
    """

    um_per_px: float | None
    policy: str
    notify: Sequence[str]
    target: float | None = None
    unit: str = ""

    @property
    def wish(self) -> Wish | None:
        """The target as a screening takes it."""
        from lotwise.screening.concluding import Wish

        return None if self.target is None else Wish(self.target, self.unit)

    def checked(self) -> How:
        """The same, if everybody who is to be told can be.

        Raises:
            InvalidRequest: NOTIFY_INVALID.
        """
        from lotwise.screening.notifying import check_target

        for target in self.notify:
            check_target(target)
        return self


def screen_into(
    address: str,
    lots: Sequence[str],
    addresses: Mapping[str, str],
    *,
    how: How,
    quiet: bool,
) -> tuple[list[LotScreening], int]:
    """Screen lots into a store, one after another; a lot that fails does not keep others back.

    Args:
        address: Of the store; it is made where there is none.
        lots: Folders, archives or patterns.
        addresses: host:port of the services.
        how: To screen.
        quiet: Whether to show no progress.

    Returns:
        The lots that have a verdict, and how many have none.
    """
    with said_plainly():
        from lotwise.store import Store

        with Store.open(address, create=True) as store:
            return asyncio.run(
                _screen_all(
                    store,
                    lots,
                    addresses,
                    how=how.checked(),
                    quiet=quiet,
                )
            )


def watch_into(
    address: str,
    folder: Path,
    addresses: Mapping[str, str],
    *,
    how: How,
    quiet_s: float | None,
    as_json: bool,
) -> None:
    """Screen what comes into a folder, until the program is told to stop.

    Args:
        address: Of the store; it is made where there is none.
        folder: That is watched; a folder a lot.
        addresses: host:port of the services.
        how: To screen.
        quiet_s: Seconds without a new tile after which a lot counts as complete.
        as_json: Whether verdicts are said as JSON, a line each.
    """
    with said_plainly():
        from lotwise.store import Store

        with Store.open(address, create=True) as store:
            asyncio.run(
                _watch(
                    store,
                    folder,
                    addresses,
                    how=how.checked(),
                    quiet_s=quiet_s,
                    as_json=as_json,
                )
            )


async def _watch(
    store: Store,
    folder: Path,
    addresses: Mapping[str, str],
    *,
    how: How,
    quiet_s: float | None,
    as_json: bool,
) -> None:
    from lotwise.screening.notifying import Notifier
    from lotwise.screening.services import Services
    from lotwise.screening.watching import Watch

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def waiting(why: str, seconds: float) -> None:
        if why:
            err.print(f"{plain(why)} Waiting {seconds:.0f} s.", style="yellow")

    def verdict(found: Screening) -> None:
        lot = as_screened(found)
        if as_json:
            print(json.dumps(screened_as_json(lot)), flush=True)  # noqa: T201
        else:
            out.print(as_table([lot]))

    def trouble(name: str, error: LotwiseError) -> None:
        err.print(f"{plain(name)}: {error.reason}: {plain(error.message)}", style="red")

    # What an instrument waits for goes before batches.
    async with Services(addresses, how.policy, waiting, batch=False) as services:
        watch = Watch(
            folder,
            store,
            services,
            um_per_px=how.um_per_px,
            quiet_s=quiet_s,
            notify=how.notify,
            wish=how.wish,
            verdict=verdict,
            trouble=trouble,
        )
        err.print(f"watching {plain(str(folder))}; Ctrl-C ends it", style="dim")
        telling = asyncio.create_task(Notifier(store, _secret(), _not_reached).run(stop))
        try:
            await watch.run(stop)
        finally:
            stop.set()
            await telling


def _secret() -> bytes:
    return os.environ.get(SECRET, "").encode()


def _not_reached(target: str, why: str) -> None:
    err.print(f"not told: {plain(target)}: {plain(why)}; it is tried again", style="yellow")


@contextmanager
def said_plainly() -> Iterator[None]:
    """Says which extra is missing, and what is wrong with the store."""
    try:
        yield
    except ImportError as missing:
        fail(f"--store needs more packages ({missing}). Run `pip install 'lotwise[screening]'`.")
    except LotwiseError as error:
        fail(f"{error.reason}: {plain(error.message)}")


async def _screen_all(
    store: Store,
    lots: Sequence[str],
    addresses: Mapping[str, str],
    *,
    how: How,
    quiet: bool,
) -> tuple[list[LotScreening], int]:
    from lotwise.screening.notifying import Notifier
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
    notifier = Notifier(store, _secret(), _not_reached)
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
                source = open_source(lot, how.um_per_px)
                async with Services(addresses, how.policy, waiting) as services:
                    work = StoredScreening(store, source, services, shown, how.notify, how.wish)
                    found = await work.run()
            except StoreError:
                raise  # nothing can be kept any more
            except LotwiseError as error:
                failed += 1
                bars.console.print(
                    f"{plain(lot)}: {error.reason}: {plain(error.message)}", style="red"
                )
            else:
                screened.append(as_screened(found))
            await notifier.send_due()
    return screened, failed


def as_screened(screening: Screening) -> LotScreening:
    """A stored screening as what is shown of any.

    Args:
        screening: Finished.
    """
    outcome, stated = screening.outcome, screening.stated
    assert outcome is not None
    source = Path(screening.lot.source)
    simulated = bool(stated.get("simulated"))
    document = outcome.document or {}
    verdict = json_format.ParseDict(document.get("verdict", {}), referral_pb2.LotVerdict())
    return LotScreening(
        LotFolder(screening.lot.name, source, (), stated.get("um_per_px"), simulated),
        verdict=verdict,
        property_name=outcome.property_name,
        unit=outcome.unit,
        summary=(outcome.mean, outcome.sd),
        models={
            name: tile_pb2.ModelVersion(name=name, **said)
            for name, said in stated.get("models", {}).items()
        },
        engine=stated.get("engine", ""),
    )
