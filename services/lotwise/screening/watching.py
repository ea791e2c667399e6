"""A folder that instruments write into: tiles are screened as they come, lots get their verdict.

Every folder within is a lot; files that lie in the folder itself are one, too. A file is taken once
it has not changed for a while, so half-written ones are waited for. A lot is complete when a file
COMPLETE lies beside its tiles, or when nothing has come for long enough. A lot that fails is tried
again after pauses that grow; it holds no other lot up.
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
from lotwise.screening.concluding import Wish
from lotwise.screening.services import Services
from lotwise.screening.sources import FOLDER, FolderSource
from lotwise.screening.stored import StoredScreening
from lotwise.store import FoundTile, Progress, Screening, Store, StoreError

UNFINISHED: Final = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart", ".lock")
"""Endings of what is still being written."""
SETTLED_S: Final = 3.0
LOOK_S: Final = 1.0
FIRST_RETRY_S: Final = 30.0
LONGEST_RETRY_S: Final = 900.0

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
        listed = super()._names()
        # What was renamed or taken away is not waited for.
        for gone in self._since.keys() - listed:
            del self._since[gone]
        return [name for name in listed if self._has_settled(name)]

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

    def forget(self) -> None:
        """Free the memory of which files were taken; the store knows their contents."""
        self._taken.clear()

    @property
    def unsettled(self) -> bool:
        """Whether files have come or changed that are not taken yet, but for unreadable ones."""
        return bool(self._since.keys() - {each.path for each in self.unreadable})

    @property
    def empty(self) -> bool:
        """Whether there is nothing that may be a tile.

        Raises:
            InvalidRequest: TILES_UNREADABLE: the folder cannot be listed.
        """
        self.unreadable.clear()
        names = super()._names()
        self.check_listed()
        return not names

    def check_listed(self) -> None:
        """Whether the folder could be listed the last time.

        Raises:
            InvalidRequest: TILES_UNREADABLE.
        """
        for each in self.unreadable:
            if each.path == FOLDER:
                raise InvalidRequest(
                    "TILES_UNREADABLE", f"{self.source} cannot be read: {each.why}."
                )

    def changed(self) -> int:
        """When the folder itself changed, in nanoseconds; 0 where nobody can say."""
        try:
            return Path(self.source).stat().st_mtime_ns
        except OSError:
            return 0

    @property
    def called_complete(self) -> bool:
        """Whether somebody says that no more tiles come."""
        try:
            return (Path(self.source) / COMPLETE).exists()
        except OSError:
            return False  # a folder without rights is told of where its files are listed


@dataclass
class WatchedLot:
    """A lot within the folder that is watched.

    Attributes:
        source: Of its tiles.
        screening: The screener at work on it.
        looked: Whether it was looked at since the watch began, or since it failed.
        begun: Whether there are tiles without a verdict.
        last: When its last tile came, by the clock.
        finished: How it ended the last time, None while it goes on.
        seen: Its folder's time of change when it was looked at; None where that was just before:
            what came in the same moment could have been missed.
        failed: Whether it could not go on the last time.
        failures: How often that was since its last verdict.
        told: Why, as was told.
        again: When it is tried again, by the clock.
    """

    source: GrowingFolder
    screening: StoredScreening
    looked: bool = False
    begun: bool = False
    last: float = 0.0
    finished: Screening | None = None
    seen: int | None = None
    failed: bool = False
    failures: int = 0
    told: str = ""
    again: float = 0.0

    @property
    def at_rest(self) -> bool:
        """Whether it need not be looked at now."""
        if self.failed:
            return self.source.clock() < self.again
        # What is begun goes on; one that was finished before the watch began is not.
        over = self.looked and (not self.begun or self.finished is not None)
        return over and not self.source.unsettled and self.seen == self.source.changed()

    def fail(self, error: LotwiseError) -> bool:
        """Note a failure; whether it is another than the last one.

        Args:
            error: Why it failed.
        """
        news, self.told = self.told != error.message, error.message
        pause = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0**self.failures)
        self.failed, self.again = True, self.source.clock() + pause
        self.failures += 1
        return news


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
        wish: The property that each lot should have; see `StoredScreening`.
        progress: Told of a lot's name and how far it is.
        verdict: Told of each lot that has its verdict.
        trouble: Told of a lot's name and what is wrong with it, once for each that is wrong.
    """

    folder: Path
    store: Store
    services: Services
    um_per_px: float | None = None
    quiet_s: float | None = None
    settled_s: float = SETTLED_S
    look_s: float = LOOK_S
    notify: Sequence[str] = ()
    wish: Wish | None = None
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
                plain.attributes,
                settled_s=self.settled_s,
            )
            self._lots[folder] = WatchedLot(source, self._screener(source))
        return self._lots[folder]

    def _screener(self, source: GrowingFolder) -> StoredScreening:
        return StoredScreening(
            self.store,
            source,
            self.services,
            progress=lambda progress: self.progress(source.name, progress),
            notify=self.notify,
            wish=self.wish,
        )

    async def _advance(self, lot: WatchedLot) -> None:
        """Take what has settled, screen it, and conclude the lot where it is complete."""
        if await asyncio.to_thread(lambda: lot.at_rest):
            lot.source.forget()
            return
        if lot.failed:
            # Other models may answer by now: that is another screening.
            lot.screening, lot.looked, lot.failed = self._screener(lot.source), False, False
        # Asked before the files are listed: a tile that came before COMPLETE is then among them.
        complete = self._complete(lot)
        changed = lot.source.changed()
        seen = changed if time.time() - changed / 1e9 > self.settled_s else None
        try:
            # Before it is registered; later its files are listed anyhow.
            if not lot.begun and await asyncio.to_thread(lambda: lot.source.empty):
                lot.looked, lot.seen = True, seen
                return
            new = await lot.screening.take_up()
            lot.source.check_listed()
            if new or (not lot.looked and await lot.screening.unfinished()):
                lot.begun, lot.finished, lot.last = True, None, lot.source.clock()
            lot.looked, lot.seen = True, seen
            if not lot.begun or lot.finished is not None:
                lot.screening.check_readable()
                return
            await lot.screening.catch_up()
            if lot.source.unsettled or new or not complete:
                return
            lot.finished = await lot.screening.conclude()
        except StoreError:
            raise
        except LotwiseError as error:
            if lot.fail(error):
                self.trouble(lot.source.name, error)
        else:
            lot.failures, lot.told = 0, ""
            self.verdict(lot.finished)

    def _complete(self, lot: WatchedLot) -> bool:
        if lot.source.called_complete:
            return True
        return self.quiet_s is not None and lot.source.clock() - lot.last >= self.quiet_s

    def _once(self, folder: Path, error: LotwiseError) -> None:
        if folder not in self._told:
            self._told.add(folder)
            self.trouble(folder.name, error)
