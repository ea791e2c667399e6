"""Screens a lot into a store: every tile once, whatever ends on the way.

Tiles are taken by lease, so that several screeners share a lot, and what was decided is kept in
batches. A screener that is killed leaves leases that run out and files where they were; the next
one goes on. The verdict is asked of the referral service at the end, from what the store holds: the
service sums up tiles in a token that any screener can write.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lotwise.core.errors import InvalidRequest, LotwiseError
from lotwise.core.sidecars import read_sidecar
from lotwise.runtime.tiles import instrument_message
from lotwise.screening.concluding import SAMPLE, Wish, outcome_of
from lotwise.screening.notifying import notification
from lotwise.screening.probe import probe_tile
from lotwise.screening.recording import (
    LotSum,
    as_json,
    models_of,
    stated_models,
    tile_result,
)
from lotwise.screening.services import Answered, Services
from lotwise.screening.sources import LotSource
from lotwise.store import (
    LotKey,
    Progress,
    Screening,
    ScreeningKey,
    Store,
    StoredTile,
    TileResult,
    fingerprint_of,
)
from lotwise.v1 import referral_pb2, tile_pb2

AT_ONCE: Final = 16
"""Tiles that are asked about at a time: enough to fill the engine's batches."""
CLAIMED: Final = 64
LEASE_S: Final = 120.0
RENEWED_S: Final = 30.0
BATCH: Final = 32
BATCH_S: Final = 2.0
"""Results are kept when so many have come, or after so long: a crash costs no more than these."""
IDLE_S: Final = 1.0
"""Between looks whether other screeners have finished."""


class ModelsChanged(LotwiseError):
    """The services answer with other models or another policy than the screening began with."""

    def __init__(self, what: str) -> None:
        super().__init__(
            "MODELS_CHANGED",
            f"The services now answer with another {what} than this screening began with. What is "
            "decided is kept; screen the lot again, and a new screening begins.",
        )


@dataclass
class StoredScreening:
    """One screener at work on one lot.

    Attributes:
        store: To keep results in.
        source: Of the tiles.
        services: That answer.
        progress: Told how far the lot is, after each batch.
        notify: Whom to tell of the verdict; see `notifying.check_target`.
        wish: The property that the lot should have: what to change for it is searched at the end.
        worker: This screener's name, of its own alone.
    """

    store: Store
    source: LotSource
    services: Services
    progress: Callable[[Progress], None] = lambda progress: None
    notify: Sequence[str] = ()
    wish: Wish | None = None
    worker: str = field(default_factory=lambda: worker_name())
    _stated: dict[str, Any] = field(default_factory=dict)
    _expected: dict[str, str] = field(default_factory=dict)
    _limits: tuple[float, float] = (0.0, 0.0)
    _thresholds: dict[str, float] = field(default_factory=dict)
    _scores: dict[str, Any] | None = None
    _lot: LotKey | None = None
    _screening: ScreeningKey | None = None

    async def run(self) -> Screening:
        """Screen the lot to its end.

        Returns:
            The finished screening.

        Raises:
            InvalidRequest: LOT_EMPTY; TILES_UNREADABLE where files could not even be read: the
                others are screened, but the lot has no verdict before those are.
            ModelsChanged: MODELS_CHANGED.
            StoreError, NotFound, Contradiction: As the store and the services say.
        """
        await self.take_up()
        if not (await self._told(await self._begun())).tiles:
            raise self._nothing()
        await self.catch_up()
        return await self.conclude()

    async def take_up(self) -> int:
        """Have the source's tiles in the store.

        Returns:
            How many are new.

        Raises:
            StoreError: As the store says.
        """
        store, source = self.store, self.source
        if self._lot is None:  # a watch comes here every second
            self._lot = await asyncio.to_thread(
                store.register_lot,
                source.name,
                source.source,
                um_per_px=source.um_per_px,
                simulated=source.simulated,
            )
        lot = self._lot
        new = await asyncio.to_thread(lambda: store.add_tiles(lot, source.found()))
        if new and self._screening is not None:
            await asyncio.to_thread(store.reopen, self._screening)
        return new

    async def unfinished(self) -> bool:
        """Whether an earlier screener left the lot without a verdict.

        Raises:
            StoreError: As the store says.
        """
        assert self._lot is not None, "take_up comes first"
        earlier = await asyncio.to_thread(self.store.screenings, self._lot)
        if earlier:
            return earlier[-1].finished is None
        found = await asyncio.to_thread(self.store.lots, self._lot.name)
        return any(lot.key == self._lot and lot.tiles for lot in found)

    async def catch_up(self) -> None:
        """Work until every tile that was taken up has a result, by this screener or another.

        Raises:
            ModelsChanged: MODELS_CHANGED.
            StoreError, NotFound, Contradiction: As the store and the services say.
        """
        screening = await self._begun()
        assert self._lot is not None
        await self._screen(self._lot, screening)

    async def conclude(self) -> Screening:
        """Give the lot its verdict, with what the store holds.

        Raises:
            InvalidRequest: TILES_UNREADABLE.
            StoreError, LotwiseError: As the store and the services say.
        """
        self.check_readable()
        screening = await self._begun()
        assert self._lot is not None
        return await self._finished(self._lot, screening)

    def check_readable(self) -> None:
        """Whether the last look at the source could read all its files.

        Raises:
            InvalidRequest: TILES_UNREADABLE.
        """
        if self.source.unreadable:
            first = self.source.unreadable[0]
            raise InvalidRequest(
                "TILES_UNREADABLE",
                f"{len(self.source.unreadable):,} files of {self.source.source} cannot be read, "
                f"such as {first.path} ({first.why}). The others are screened; the lot gets its "
                "verdict once all can be read, or the files are gone.",
            )

    async def _begun(self) -> ScreeningKey:
        """The screening of the lot under the models that answer now."""
        if self._screening is None:
            assert self._lot is not None, "take_up comes first"
            await self._learn_who_answers()
            # Engines agree on answers; another one is no other screening.
            fingerprint = fingerprint_of({k: v for k, v in self._stated.items() if k != "engine"})
            self._screening = await asyncio.to_thread(
                self.store.begin_screening, self._lot, fingerprint, self._stated
            )
            # Of an earlier run, finished before these tiles came.
            if (await self._told(self._screening)).pending:
                await asyncio.to_thread(self.store.reopen, self._screening)
        return self._screening

    def _nothing(self) -> InvalidRequest:
        if self.source.unreadable:
            first = self.source.unreadable[0]
            return InvalidRequest(
                "TILES_UNREADABLE",
                f"Nothing of {self.source.source} can be read: {first.path}: {first.why}.",
            )
        return InvalidRequest("LOT_EMPTY", f"{self.source.source} holds no tiles.")

    async def _learn_who_answers(self) -> None:
        """Ask about a picture of our own which models and which policy answer."""
        probe = probe_tile(self.source.um_per_px or 1.0)
        answered = await self.services.ask(probe)
        verdict = await self.services.conclude(
            [referral_pb2.DecideLotRequest(tile=probe, policy=self.services.policy, complete=True)]
        )
        if isinstance(answered.decision, LotwiseError):
            raise answered.decision
        provenances = [answered.decision.provenance]
        if not isinstance(answered.prediction, LotwiseError):
            provenances.append(answered.prediction.provenance)
        self._expected = models_of(answered)
        self._limits = (verdict.max_referred_share, verdict.confidence)
        self._thresholds = {
            "threshold": answered.decision.threshold,
            "min_familiarity": answered.decision.min_familiarity,
        }
        if answered.decision.HasField("calibration_scores"):
            self._scores = as_json(answered.decision.calibration_scores)
        self._stated = {
            "models": stated_models(provenances),
            "policy_version": answered.decision.provenance.policy_version,
            "um_per_px": self.source.um_per_px,
            "simulated": self.source.simulated,
            "engine": answered.decision.provenance.engine,
        }

    async def _screen(self, lot: LotKey, screening: ScreeningKey) -> None:
        """Work until every tile has a result, by this screener or by another."""
        try:
            while True:
                tiles = await asyncio.to_thread(
                    self.store.claim, screening, self.worker, CLAIMED, LEASE_S
                )
                if tiles:
                    await self._work(lot, screening, tiles)
                    continue
                if not (await self._told(screening)).pending:
                    return
                # Others have the rest; their leases run out should they have died.
                await asyncio.sleep(IDLE_S * random.uniform(0.5, 1.5))
        finally:
            await asyncio.to_thread(self.store.release, screening, self.worker)

    async def _work(self, lot: LotKey, screening: ScreeningKey, tiles: list[StoredTile]) -> None:
        kept: asyncio.Queue[TileResult] = asyncio.Queue()
        renewing = asyncio.create_task(self._renew(screening))
        recording = asyncio.create_task(self._record(screening, kept, len(tiles)))
        free = asyncio.Semaphore(AT_ONCE)

        async def one(tile: StoredTile) -> None:
            async with free:
                content = await asyncio.to_thread(self._message, lot, tile)
                answered = await self.services.ask(content)
                self._check(answered)
                kept.put_nowait(tile_result(tile.id, answered))

        try:
            async with asyncio.TaskGroup() as group:
                for tile in tiles:
                    group.create_task(one(tile))
            await recording
        except BaseExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        finally:
            for task in (renewing, recording):
                task.cancel()
            await asyncio.gather(renewing, recording, return_exceptions=True)

    async def _renew(self, screening: ScreeningKey) -> None:
        while True:
            await asyncio.sleep(RENEWED_S)
            await asyncio.to_thread(self.store.renew, screening, self.worker, LEASE_S)

    async def _record(
        self, screening: ScreeningKey, kept: asyncio.Queue[TileResult], expected: int
    ) -> None:
        while expected:
            batch = [await kept.get()]
            until = asyncio.get_running_loop().time() + BATCH_S
            while len(batch) < min(BATCH, expected):
                left = until - asyncio.get_running_loop().time()
                try:
                    batch.append(await asyncio.wait_for(kept.get(), max(left, 0.0)))
                except TimeoutError:
                    break
            await asyncio.to_thread(self.store.record, screening, self.worker, batch)
            expected -= len(batch)
            await self._told(screening)

    async def _told(self, screening: ScreeningKey) -> Progress:
        progress = await asyncio.to_thread(self.store.progress, screening)
        self.progress(progress)
        return progress

    def _message(self, lot: LotKey, tile: StoredTile) -> tile_pb2.Tile:
        """A tile as it is sent, with what its instrument wrote beside it."""
        um_per_px, path = self.source.um_per_px, self.source.beside(tile.path)
        beside = None if path is None else read_sidecar(path)
        if um_per_px is None and beside is not None:
            um_per_px = beside.um_per_px
        return tile_pb2.Tile(
            tile_id=tile.tile_id,
            lot_id=lot.name,
            file=self.source.read(tile.path),
            um_per_px=um_per_px,
            row=tile.row,
            column=tile.column,
            instrument=None if beside is None else instrument_message(beside.instrument),
        )

    def _check(self, answered: Answered) -> None:
        """Answers of two sets of models are never one screening's."""
        for name, version in models_of(answered).items():
            if self._expected.setdefault(name, version) != version:
                raise ModelsChanged("policy" if name == "policy" else f"model {name}")

    async def _finished(self, lot: LotKey, screening: ScreeningKey) -> Screening:
        summed, drawn = await asyncio.to_thread(self._sum, lot, screening)
        sample = [await asyncio.to_thread(self._message, lot, tile) for tile in drawn]
        outcome = await outcome_of(
            self.services,
            summed,
            sample,
            wish=self.wish,
            attributes=self.source.attributes,
            policy=self._thresholds,
            scores=self._scores,
        )
        told = dict.fromkeys(self.notify, notification(lot, screening, outcome))
        await asyncio.to_thread(self.store.finish, screening, outcome, notify=told)
        (found,) = [
            each
            for each in await asyncio.to_thread(self.store.screenings, lot)
            if each.key == screening
        ]
        return found

    def _sum(self, lot: LotKey, screening: ScreeningKey) -> tuple[LotSum, list[StoredTile]]:
        """All results, and tiles with a property: drawn evenly from any number (Vitter 1985)."""
        summed = LotSum(lot.name, self._stated["policy_version"], *self._limits)
        rng, seen = random.Random(0), 0
        kept: list[StoredTile] = []
        for stored in self.store.results(screening):
            summed.add(stored)
            if stored.result.value is None:
                continue
            seen += 1
            if len(kept) < SAMPLE:
                kept.append(stored.tile)
            elif (place := rng.randrange(seen)) < SAMPLE:
                kept[place] = stored.tile
        return summed, kept


def worker_name() -> str:
    """A name that no other screener has: host, process and a random part."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
