"""A folder that instruments write into: tiles are screened as they come, lots get their verdict.

Every folder within is a lot; files that lie in the folder itself are one, too. A file is taken once
it has not changed for a while, so half-written ones are waited for. A lot is complete when a file
COMPLETE lies beside its tiles, or when nothing has come for long enough.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lotwise.core.errors import InvalidRequest, LotwiseError
from lotwise.core.lot_sidecar import COMPLETE
from lotwise.screening.services import Services
from lotwise.screening.sources import FolderSource
from lotwise.screening.stored import StoredScreening
from lotwise.store import FoundTile, Progress, Screening, Store, StoreError

UNFINISHED: Final = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart", ".lock")
"""Endings of what is still being written."""
SETTLED_S: Final = 3.0
LOOK_S: Final = 1.0

Seen = tuple[int, int]
"""Size and time of change of a file, in bytes and nanoseconds."""


@dataclass
class GrowingFolder(FolderSource):
    """A folder whose files are found once each, when they have settled; a `LotSource`.

    Attributes:
        settled_s: Seconds for which a file must not have changed.
        clock: Seconds, monotonic.
    """

    settled_s: float = SETTLED_S
    clock: Callable[[], float] = time.monotonic
    _since: dict[str, tuple[Seen, float]] = field(default_factory=dict)
    _taken: dict[str, Seen] = field(default_factory=dict)

    def _names(self) -> list[str]:
        return [name for name in super()._names() if self._has_settled(name)]

    def _has_settled(self, name: str) -> bool:
        if name.lower().endswith(UNFINISHED):
            return False
        try:
            stat = (Path(self.source) / name).stat()
        except OSError:
            return False  # renamed just now: it comes again under its name
        seen, now = (stat.st_size, stat.st_mtime_ns), self.clock()
        if self._taken.get(name) == seen:
            return False
        before, since = self._since.get(name, (None, now))
        if before != seen:
            self._since[name] = (seen, now)
            since = now
        return now - since >= self.settled_s

    def found(self) -> Iterator[FoundTile]:
        """See `LotSource`; only what was not found before, or has changed since."""
        for tile in super().found():
            self._taken[tile.path] = self._since.pop(tile.path)[0]
            yield tile

    @property
    def unsettled(self) -> bool:
        """Whether files have come or changed that are not taken yet."""
        return bool(self._since)

    @property
    def called_complete(self) -> bool:
        """Whether somebody says that no more tiles come."""
        return (Path(self.source) / COMPLETE).exists()


@dataclass
class WatchedLot:
    """A lot within the folder that is watched.

    Attributes:
        source: Of its tiles.
        screening: The screener at work on it.
        looked: Whether it was looked at since the watch began.
        begun: Whether there are tiles without a verdict.
        last: When its last tile came, by the clock.
        finished: How it ended the last time, None while it goes on.
        failed: Why it cannot go on, None where it can.
    """

    source: GrowingFolder
    screening: StoredScreening
    looked: bool = False
    begun: bool = False
    last: float = 0.0
    finished: Screening | None = None
    failed: LotwiseError | None = None


@dataclass
class Watch:
    """Screens what comes into a folder, until it is stopped.

    Attributes:
        folder: That is watched.
        store: To keep results in.
        services: That answer.
        um_per_px: Edge length of a pixel in micrometres, where neither files nor `lot.json` say it.
        quiet_s: Seconds without a new tile after which a lot counts as complete; None where only a
            file COMPLETE says so.
        settled_s: Seconds for which a file must not have changed.
        look_s: Seconds between looks.
        notify: Whom to tell of verdicts.
        progress: Told of a lot's name and how far it is.
        verdict: Told of each lot that has its verdict.
        trouble: Told of a lot's name and what is wrong with it, once each.
    """

    folder: Path
    store: Store
    services: Services
    um_per_px: float | None = None
    quiet_s: float | None = None
    settled_s: float = SETTLED_S
    look_s: float = LOOK_S
    notify: Sequence[str] = ()
    progress: Callable[[str, Progress], None] = lambda name, progress: None
    verdict: Callable[[Screening], None] = lambda screening: None
    trouble: Callable[[str, LotwiseError], None] = lambda name, error: None
    _lots: dict[Path, WatchedLot] = field(default_factory=dict)
    _told: set[Path] = field(default_factory=set)

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until told to stop; tiles that are being asked about then are asked to their end.

        Args:
            stop: Ends it.

        Raises:
            InvalidRequest: LOT_MISSING where the folder is none.
            StoreError: Nothing can be kept any more, such as STORE_FULL.
        """
        if not self.folder.is_dir():
            raise InvalidRequest("LOT_MISSING", f"{self.folder} is no folder. Name one to watch.")
        while not stop.is_set():
            for lot in await asyncio.to_thread(self._look):
                if stop.is_set():
                    return
                await self._advance(lot)
            try:
                await asyncio.wait_for(stop.wait(), self.look_s)
            except TimeoutError:
                continue

    def _look(self) -> list[WatchedLot]:
        """All lots that are there; a folder that may not be read is told of and left alone."""
        folders = [self.folder]
        try:
            folders += sorted(
                each
                for each in self.folder.iterdir()
                if each.is_dir() and not each.name.startswith(".")
            )
        except OSError as error:
            self._once(self.folder, InvalidRequest("TILES_UNREADABLE", f"{self.folder}: {error}."))
        return [lot for lot in map(self._lot, folders) if lot is not None]

    def _lot(self, folder: Path) -> WatchedLot | None:
        if folder not in self._lots:
            try:
                plain = FolderSource.of(folder, self.um_per_px)
            except LotwiseError as error:
                self._once(folder, error)
                return None
            source = GrowingFolder(
                plain.name,
                plain.source,
                plain.um_per_px,
                plain.simulated,
                settled_s=self.settled_s,
            )
            screening = StoredScreening(
                self.store,
                source,
                self.services,
                progress=lambda progress: self.progress(source.name, progress),
                notify=self.notify,
            )
            self._lots[folder] = WatchedLot(source, screening)
        return self._lots[folder]

    async def _advance(self, lot: WatchedLot) -> None:
        """Take what has settled, screen it, and conclude the lot where it is complete."""
        if lot.failed is not None:
            return
        # Asked before the files are listed: a tile that came before COMPLETE is then among them.
        complete = self._complete(lot)
        try:
            new = await lot.screening.take_up()
            if new or (not lot.looked and await lot.screening.unfinished()):
                lot.begun, lot.finished, lot.last = True, None, lot.source.clock()
            lot.looked = True
            if not lot.begun or lot.finished is not None:
                return
            await lot.screening.catch_up()
            if lot.source.unsettled or new or not complete:
                return
            lot.finished = await lot.screening.conclude()
        except StoreError:
            raise
        except LotwiseError as error:
            lot.failed = error
            self.trouble(lot.source.name, error)
        else:
            self.verdict(lot.finished)

    def _complete(self, lot: WatchedLot) -> bool:
        if lot.source.called_complete:
            return True
        return self.quiet_s is not None and lot.source.clock() - lot.last >= self.quiet_s

    def _once(self, folder: Path, error: LotwiseError) -> None:
        if folder not in self._told:
            self._told.add(folder)
            self.trouble(folder.name, error)
