"""What a store holds, as tables and as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from lotwise.cli import tables

if TYPE_CHECKING:
    from lotwise.store import Delivery, Lot, Progress, Screening, Store
    from lotwise.store.retention import OldLot

LOT_COLUMNS: Final = (
    "~lot",
    ">tiles",
    ">done",
    ">referred",
    ">failed",
    "verdict",
    "~reason",
    "finished (UTC)",
)
OLD_LOT_COLUMNS: Final = ("~lot", ">tiles", ">screenings", "finished (UTC)", "~what")
_VERDICTS: Final = {
    "accept": Text("ACCEPT", style="bold green"),
    "refer": Text("REFER", style="bold red"),
    "undecided": Text("UNDECIDED", style="bold yellow"),
}


@dataclass(frozen=True)
class LotLine:
    """A lot with one of its screenings.

    Attributes:
        lot: The lot.
        screening, progress: None where none was begun.
    """

    lot: Lot
    screening: Screening | None
    progress: Progress | None


def plain(text: str) -> str:
    """A text on one line that every terminal can print: a file's name may hold anything."""
    readable = text.encode("utf-8", "backslashreplace").decode()
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in readable
    )


def overview(store: Store) -> list[LotLine]:
    """Every lot with each of its screenings."""
    by_lot: dict[int, list[Screening]] = {}
    for screening in store.screenings():
        by_lot.setdefault(screening.key.lot_id, []).append(screening)
    lines = []
    for lot in store.lots():
        begun = by_lot.get(lot.key.id, [])
        lines += [LotLine(lot, each, store.progress(each.key)) for each in begun]
        if not begun:
            lines.append(LotLine(lot, None, None))
    return lines


def size_bytes(store: Store) -> int | None:
    """Size of a SQLite store with its log; None for a server's."""
    file = store.database.address.file
    if file is None:
        return None
    parts = (file, file.with_name(file.name + "-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())


def mebibytes(store: Store, size: Any) -> str:
    """A size for people, or where else the store is."""
    return "PostgreSQL" if size is None else f"SQLite, {size / 2**20:.1f} MiB"


def lot_row(line: LotLine) -> tuple[str | Text, ...]:
    """Of `LOT_COLUMNS`."""
    lot, screening, progress = line.lot, line.screening, line.progress
    name = Text(plain(lot.shown))
    if lot.simulated:
        name.append(" simulated", style="dim")
    if screening is None or progress is None:
        return (name, f"{lot.tiles:,}", "-", "-", "-", "-", "-", "-")
    outcome = screening.outcome
    return (
        name,
        f"{lot.tiles:,}",
        f"{progress.done:,}",
        f"{progress.referred:,}",
        f"{progress.failed:,}",
        _VERDICTS.get(outcome.verdict, Text(plain(outcome.verdict))) if outcome else "-",
        tables.words(outcome.reasons) if outcome else "-",
        f"{screening.finished:%Y-%m-%d %H:%M}" if screening.finished else "-",
    )


def lot_data(line: LotLine) -> dict[str, Any]:
    """A lot and one of its screenings for programs."""
    lot, screening, progress = line.lot, line.screening, line.progress
    data: dict[str, Any] = {
        "lot": lot.key.name,
        "source": lot.key.source,
        "um_per_px": lot.um_per_px,
        "simulated": lot.simulated,
        "first_seen": lot.first_seen.isoformat(),
        "tiles": lot.tiles,
        "repeats": lot.repeats,
        "screening": None,
    }
    if screening is not None and progress is not None:
        outcome = screening.outcome
        data["screening"] = {
            "fingerprint": screening.fingerprint,
            "started": screening.started.isoformat(),
            "finished": screening.finished.isoformat() if screening.finished else None,
            "done": progress.done,
            "accepted": progress.accepted,
            "referred": progress.referred,
            "failed": progress.failed,
            "claimed": progress.claimed,
            "verdict": outcome.verdict if outcome else None,
            "reasons": list(outcome.reasons) if outcome else [],
            "property": outcome.property_name if outcome else None,
            "mean": outcome.mean if outcome else None,
            "sd": outcome.sd if outcome else None,
            "unit": outcome.unit if outcome else None,
        }
    return data


def delivery_line(delivery: Delivery) -> Text:
    """A notification that has not arrived, for people."""
    due = delivery.next_attempt_at
    when = f"next at {due:%Y-%m-%d %H:%M} UTC" if due else "given up"
    why = f": {plain(delivery.last_error)}" if delivery.last_error else ""
    tried = f"after {delivery.attempts} attempts, {when}{why}"
    return Text(f"Not delivered to {plain(delivery.target)} {tried}", style="yellow")


def delivery_data(delivery: Delivery) -> dict[str, Any]:
    """A notification for programs."""
    due = delivery.next_attempt_at
    return {
        "id": delivery.id,
        "target": delivery.target,
        "attempts": delivery.attempts,
        "next_attempt_at": due.isoformat() if due else None,
        "last_error": delivery.last_error,
    }


def old_lot_row(old: OldLot, gone: bool, goes: str) -> tuple[str | Text, ...]:
    """Of `OLD_LOT_COLUMNS`.

    Args:
        old: The lot.
        gone: Whether it goes.
        goes: How that is said.
    """
    what = goes if gone else "stays"
    if old.undelivered:
        what = f"stays: {old.undelivered} notifications not delivered"
    return (
        Text(plain(f"{old.lot.name} ({old.lot.source})")),
        f"{old.tiles:,}",
        f"{old.screenings:,}",
        f"{old.finished:%Y-%m-%d %H:%M}",
        what,
    )


def old_lot_data(old: OldLot, gone: bool) -> dict[str, Any]:
    """An old lot for programs.

    Args:
        old: The lot.
        gone: Whether it goes.
    """
    return {
        "lot": old.lot.name,
        "source": old.lot.source,
        "finished": old.finished.isoformat(),
        "tiles": old.tiles,
        "screenings": old.screenings,
        "undelivered": old.undelivered,
        "goes": gone,
    }
