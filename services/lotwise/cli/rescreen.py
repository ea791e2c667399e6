"""Stored lots under other models or another policy: lotwise rescreen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from lotwise.cli.options import AsJson, Host, Policy, UmPerPx, err, out
from lotwise.cli.running import addresses_at
from lotwise.cli.store import DEFAULT, Address, LotName, Source
from lotwise.cli.store_tables import plain
from lotwise.cli.stored_lots import said_plainly
from lotwise.client.connection import LOCAL
from lotwise.core.errors import LotwiseError
from lotwise.platform.ports import SERVICES

if TYPE_CHECKING:
    from lotwise.store import Lot, Store

NONE: Final = "-"


@dataclass(frozen=True)
class Rescreened:
    """What came of a lot.

    Attributes:
        lot: Its name, with its source where several are named alike.
        before, after: Verdicts; None where there was none.
        changed_tiles: Tiles decided on differently; None where there is nothing to compare with.
        again: Whether anything was asked: no other models and no other policy answer than before
            where not.
    """

    lot: str
    before: str | None
    after: str | None
    changed_tiles: int | None
    again: bool


def rescreen(
    store: Address = DEFAULT,
    lot: LotName = None,
    source: Source = None,
    policy: Policy = "",
    um_per_px: UmPerPx = None,
    host: Host = LOCAL,
    only_changed: Annotated[
        bool, typer.Option("--only-changed", help="Show only lots whose verdict has changed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Screen stored lots again, under the models and the policy that answer now, and compare.

    The earlier screening of each lot stays. Ends with 1 where a lot could not be screened.
    """
    addresses = addresses_at(host, dict.fromkeys(SERVICES))
    with said_plainly():
        from lotwise.store import Store

        with Store.open(store) as opened:
            lots = [opened.lot(lot, source)] if lot is not None else opened.lots()
            found, failed = asyncio.run(
                _rescreen(opened, lots, addresses, policy=policy, um_per_px=um_per_px)
            )
    _show(found, only_changed=only_changed, as_json=as_json)
    if failed:
        raise typer.Exit(1)


async def _rescreen(
    store: Store,
    lots: list[Lot],
    addresses: Mapping[str, str],
    *,
    policy: str,
    um_per_px: float | None,
) -> tuple[list[Rescreened], int]:
    from lotwise.screening.concluding import Wish
    from lotwise.screening.services import Services
    from lotwise.screening.sources import open_source
    from lotwise.screening.stored import StoredScreening

    found, failed = [], 0
    for lot in lots:
        before = [each for each in store.screenings(lot.key) if each.outcome is not None]
        try:
            with err.status(f"screening {plain(lot.shown)}"):
                files = open_source(lot.key.source, um_per_px or lot.um_per_px)
                # As it was registered, whatever lot.json says by now.
                files.name, files.simulated = lot.key.name, lot.simulated
                wish = Wish.of(before[-1].outcome) if before else None
                async with Services(addresses, policy) as services:
                    after = await StoredScreening(store, files, services, wish=wish).run()
        except LotwiseError as error:
            failed += 1
            err.print(f"{plain(lot.shown)}: {error.reason}: {plain(error.message)}", style="red")
            continue
        last = next((each for each in reversed(before) if each.key != after.key), None)
        assert after.outcome is not None
        changed = None
        if last is not None:
            changed = sum(1 for _ in store.changed_tiles(last.key, after.key))
        found.append(
            Rescreened(
                lot.shown,
                None if last is None or last.outcome is None else last.outcome.verdict,
                after.outcome.verdict,
                changed,
                all(each.key != after.key for each in before),
            )
        )
    return found, failed


def _show(found: list[Rescreened], *, only_changed: bool, as_json: bool) -> None:
    shown = [each for each in found if not only_changed or each.before != each.after]
    if as_json:
        for each in shown:
            print(json.dumps(asdict(each)))  # noqa: T201
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left")
    table.title = "Lots screened again"
    table.add_column("lot", overflow="fold")
    table.add_column("before", no_wrap=True)
    table.add_column("now", no_wrap=True)
    table.add_column("tiles that changed", justify="right")
    for each in shown:
        differs = each.before is not None and each.before != each.after
        table.add_row(
            Text(plain(each.lot)),
            each.before or NONE,
            Text(each.after or NONE, style="bold" if differs else ""),
            NONE if each.changed_tiles is None else f"{each.changed_tiles:,}",
        )
    changed = sum(each.before is not None and each.before != each.after for each in found)
    known = sum(not each.again for each in found)
    notes = [Text(f"{changed:,} of {len(found):,} verdicts have changed.")]
    if known:
        notes.append(
            Text(
                f"{known:,} lots were screened by the same models and policy already.", style="dim"
            )
        )
    out.print(Group(table, *notes) if shown else Group(*notes))
