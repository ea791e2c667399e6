"""The client for programs with an event loop: every call is awaited."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

from lotwise.client import questions
from lotwise.client.answers import (
    Decision,
    LotVerdict,
    Prediction,
    TileFailure,
    Uncertainty,
)
from lotwise.client.connection import IN_FLIGHT
from lotwise.client.explain_calls import AsyncExplainCalls
from lotwise.client.interval_calls import AsyncIntervalCalls, Tiles
from lotwise.client.lot_calls import AsyncLotExplainCalls
from lotwise.client.tiles import TileLike
from lotwise.core.errors import EngineUnavailable
from lotwise.screening.folder import read_lot_folder


class AsyncClient(AsyncIntervalCalls, AsyncExplainCalls, AsyncLotExplainCalls):
    """`Client` as coroutines: the same arguments, methods, answers and errors.

        async with AsyncClient() as lotwise:
            answer = await lotwise.predict("tile.tif")
            async for each in lotwise.predict_many(tiles):
                ...

    `tiles` may be an asynchronous iterable too. Files are read in threads, so the loop goes on.
    Where the answers to many tiles are not read to their end, close them with
    `contextlib.aclosing`.
    """

    async def predict(
        self,
        tile: TileLike,
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        model: str = "",
        timeout: float | None = None,
    ) -> Prediction:
        """As `Client.predict`."""
        return await self._ask(questions.predict(model), tile, lot_id, um_per_px, timeout)

    def predict_many(
        self,
        tiles: Tiles,
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        model: str = "",
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
    ) -> AsyncGenerator[Prediction | TileFailure, None]:
        """As `Client.predict_many`."""
        question = questions.predict(model)
        return self._ask_many(question, tiles, lot_id, um_per_px, in_flight, timeout)

    async def uncertainty(
        self,
        tile: TileLike,
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        model: str = "",
        cascade: bool = False,
        timeout: float | None = None,
    ) -> Uncertainty:
        """As `Client.uncertainty`."""
        return await self._ask(
            questions.uncertainty(model, cascade), tile, lot_id, um_per_px, timeout
        )

    def uncertainty_many(
        self,
        tiles: Tiles,
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        model: str = "",
        cascade: bool = False,
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
    ) -> AsyncGenerator[Uncertainty | TileFailure, None]:
        """As `Client.uncertainty_many`."""
        question = questions.uncertainty(model, cascade)
        return self._ask_many(question, tiles, lot_id, um_per_px, in_flight, timeout)

    async def refer(
        self,
        tile: TileLike,
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        policy: str = "",
        timeout: float | None = None,
    ) -> Decision:
        """As `Client.refer`."""
        return await self._ask(questions.refer(policy), tile, lot_id, um_per_px, timeout)

    def refer_many(
        self,
        tiles: Tiles,
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        policy: str = "",
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
    ) -> AsyncGenerator[Decision | TileFailure, None]:
        """As `Client.refer_many`."""
        question = questions.refer(policy)
        return self._ask_many(question, tiles, lot_id, um_per_px, in_flight, timeout)

    async def screen_lot(
        self,
        lot: str | Path | Sequence[TileLike],
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        policy: str = "",
        stop_early: bool = False,
        on_tile: Callable[[Decision | TileFailure], None] | None = None,
        timeout: float | None = None,
    ) -> LotVerdict:
        """As `Client.screen_lot`."""
        tiles, simulated = lot, False
        if isinstance(lot, str | Path):
            folder = await asyncio.to_thread(read_lot_folder, Path(lot), um_per_px)
            tiles, simulated = folder.tiles, folder.simulated
            lot_id, um_per_px = lot_id or folder.lot_id, folder.um_per_px
        assert not isinstance(tiles, str | Path)
        sending = self._sending(tiles, policy, stop_early=stop_early, timeout=timeout)
        while True:
            exchanged = self._exchange_lot(sending, lot_id, um_per_px)
            try:
                async with contextlib.aclosing(exchanged):
                    async for tile, response in exchanged:
                        decided = sending.receive(tile, response)
                        if decided is not None and on_tile is not None:
                            on_tile(decided)
            except EngineUnavailable as failure:
                await asyncio.sleep(sending.again(failure))
            else:
                return sending.verdict(simulated)
