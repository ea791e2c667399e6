"""The calls of both clients that ask where a lot's property lies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Sequence
from pathlib import Path

from lotwise.client import questions
from lotwise.client.answers import TileFailure
from lotwise.client.connection import IN_FLIGHT
from lotwise.client.interval_answers import LotInterval, TileInterval
from lotwise.client.questions import LotIntervalQuestion
from lotwise.client.tiles import TileLike
from lotwise.client.transport import AsyncTransport, Transport
from lotwise.screening.folder import read_lot_folder

Tiles = Iterable[TileLike] | AsyncIterable[TileLike]


class IntervalCalls(Transport):
    """Those of the client that waits."""

    def interval(
        self,
        tile: TileLike,
        *,
        coverage: float | None = None,
        lot_id: str = "",
        um_per_px: float | None = None,
        timeout: float | None = None,
    ) -> TileInterval:
        """Where the property of the tile's lot lies, by this tile alone.

            answer = lotwise.interval("tile.tif", coverage=0.9)
            print(answer.interval.lower.psi, answer.interval.upper.psi)
            print(answer.interval.guarantee)

        Args:
            tile: The tile; see the class.
            coverage: Nominal, from 0.5 to below 1; the calibration's own if None.
            lot_id: The lot that it shows.
            um_per_px: Length of a pixel in micrometres.
            timeout: Seconds.

        Raises:
            InvalidRequest: COVERAGE_OUT_OF_RANGE, COVERAGE_UNCERTIFIABLE: so few lots calibrated
                that no interval can have this coverage.
            Contradiction: INTERVALS_MISSING, INTERVALS_INVALID, INTERVALS_MISMATCH.
            LotwiseError: See the class.
        """
        return self._ask(questions.interval(coverage), tile, lot_id, um_per_px, timeout)

    def interval_many(
        self,
        tiles: Iterable[TileLike],
        *,
        coverage: float | None = None,
        lot_id: str = "",
        um_per_px: float | None = None,
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
    ) -> Iterator[TileInterval | TileFailure]:
        """`interval` of many tiles, one each; arguments and errors as in `predict_many`."""
        question = questions.interval(coverage)
        return self._ask_many(question, tiles, lot_id, um_per_px, in_flight, timeout)

    def lot_interval(
        self,
        lot: str | Path | Sequence[TileLike],
        *,
        coverage: float | None = None,
        lot_id: str = "",
        um_per_px: float | None = None,
        timeout: float | None = None,
    ) -> LotInterval:
        """Where the property of a lot lies, by the mean over its tiles.

        Args:
            lot: The folder with its tiles, or a list of them.
            coverage: As in `interval`.
            lot_id: Its name; of a folder, what `lot.json` says or the folder's name. Must be
                stated for a list.
            um_per_px: As in `predict`.
            timeout: Seconds for the whole lot; None for no limit.

        Raises:
            InvalidRequest: As `interval`; LOT_TOO_FEW_TILES, LOT_MISSING, LOT_EMPTY,
                LOT_SIDECAR_INVALID, LOT_TOO_LARGE.
            Contradiction: As `interval`.
            LotwiseError: The service is down, or the stream broke: send the lot again.
        """
        tiles, simulated = lot, False
        if isinstance(lot, str | Path):
            folder = read_lot_folder(Path(lot), um_per_px)
            tiles, simulated = folder.tiles, folder.simulated
            lot_id, um_per_px = lot_id or folder.lot_id, folder.um_per_px
        assert not isinstance(tiles, str | Path)
        question = LotIntervalQuestion(coverage)
        sent, response = self._send_all(question, tiles, lot_id, um_per_px, timeout)
        return question.read(response, sent, simulated)


class AsyncIntervalCalls(AsyncTransport):
    """Those of the client with an event loop."""

    async def interval(
        self,
        tile: TileLike,
        *,
        coverage: float | None = None,
        lot_id: str = "",
        um_per_px: float | None = None,
        timeout: float | None = None,
    ) -> TileInterval:
        """As `Client.interval`."""
        return await self._ask(questions.interval(coverage), tile, lot_id, um_per_px, timeout)

    def interval_many(
        self,
        tiles: Tiles,
        *,
        coverage: float | None = None,
        lot_id: str = "",
        um_per_px: float | None = None,
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
    ) -> AsyncGenerator[TileInterval | TileFailure, None]:
        """As `Client.interval_many`."""
        question = questions.interval(coverage)
        return self._ask_many(question, tiles, lot_id, um_per_px, in_flight, timeout)

    async def lot_interval(
        self,
        lot: str | Path | Sequence[TileLike],
        *,
        coverage: float | None = None,
        lot_id: str = "",
        um_per_px: float | None = None,
        timeout: float | None = None,
    ) -> LotInterval:
        """As `Client.lot_interval`."""
        tiles, simulated = lot, False
        if isinstance(lot, str | Path):
            folder = await asyncio.to_thread(read_lot_folder, Path(lot), um_per_px)
            tiles, simulated = folder.tiles, folder.simulated
            lot_id, um_per_px = lot_id or folder.lot_id, folder.um_per_px
        assert not isinstance(tiles, str | Path)
        question = LotIntervalQuestion(coverage)
        sent, response = await self._send_all(question, tiles, lot_id, um_per_px, timeout)
        return question.read(response, sent, simulated)
