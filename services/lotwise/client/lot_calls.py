"""The calls of both clients that explain a whole lot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from lotwise.client.lot_answers import LotBackward, LotForward, LotProgress
from lotwise.client.lot_questions import (
    LotBackwardQuestion,
    LotExplainQuestion,
    LotForwardQuestion,
)
from lotwise.client.questions import OtherUnit, Target
from lotwise.client.tiles import TileLike
from lotwise.client.transport import AsyncTransport, Transport
from lotwise.screening.folder import read_lot_folder

Lot = str | Path | Sequence[TileLike]
OnProgress = Callable[[LotProgress], None]
Explained = TypeVar("Explained")


class LotExplainCalls(Transport):
    """Those of the client that waits."""

    def explain_lot_forward(
        self,
        lot: Lot,
        *,
        vary: str | Sequence[str] = (),
        pairs: Sequence[tuple[str, str]] = (),
        attributes: Mapping[str, float] | None = None,
        steps: int = 0,
        sample: int = 0,
        seed: int = 0,
        allow_unfamiliar: bool = False,
        lot_id: str = "",
        um_per_px: float | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> LotForward:
        """How the property of a lot follows its attributes, with quartiles over its tiles.

            swept = lotwise.explain_lot_forward("lots/R01", vary="size")
            for value, spread in swept.curves[0].points:
                print(value, spread.median.psi)

        Args:
            lot: The folder with its tiles, or a list of them.
            vary: Names of attributes to vary, one at a time; all if there are no pairs either.
            pairs: Pairs of names to vary together: `steps` x `steps` edits of each tile.
            attributes: As in `explain_forward`.
            steps: As in `explain_forward`.
            sample: How many tiles are worked on, 256 at most; 0 for 64. Each takes `steps` edits
                for every attribute.
            seed: Of the draw: the same tiles and seed give the same answer.
            allow_unfamiliar: Whether tiles of the sample that look like none that the models know
                count, too. Else they are left out, and a lot of which most are is refused.
            lot_id: Its name; of a folder, what `lot.json` says or the folder's name. Must be
                stated for a list.
            um_per_px: As in `predict`.
            on_progress: Called now and then.
            timeout: Seconds for the whole lot; None for no limit. Where it comes near, the tiles
                so far are the answer.

        Raises:
            InvalidRequest: As `explain_forward`; SAMPLE_TOO_LARGE, LOT_MISSING, LOT_EMPTY,
                LOT_UNUSABLE, LOT_UNFAMILIAR, LOT_SIDECAR_INVALID, LOT_CONTRADICTORY, LOT_TOO_LARGE.
            LotwiseError: See the class.
        """
        question = LotForwardQuestion(
            attributes or {}, vary, pairs, steps, sample, seed, allow_unfamiliar
        )
        return self._explained(question, lot, lot_id, um_per_px, on_progress, timeout)

    def explain_lot_backward(
        self,
        lot: Lot,
        *,
        target: float,
        unit: str = "psi",
        tolerance: float = 0.0,
        attributes: Mapping[str, float] | None = None,
        immutable: str | Sequence[str] = (),
        ranges: Mapping[str, tuple[float, float]] | None = None,
        costs: Mapping[str, float] | None = None,
        starts: int = 0,
        max_evaluations: int = 0,
        sample: int = 0,
        seed: int = 0,
        alone: int | None = None,
        front: int | None = None,
        allow_unfamiliar: bool = False,
        lot_id: str = "",
        um_per_px: float | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> LotBackward:
        """The smallest change of a whole lot that brings the mean over its tiles to a property.

        Args:
            lot: As in `explain_lot_forward`.
            target: Of the mean over the tiles, in `unit`.
            unit: As in `explain_backward`.
            tolerance: How near is near enough; 0 for 1% of the target.
            attributes: As in `explain_forward`.
            immutable: As in `explain_backward`.
            ranges: As in `explain_backward`.
            costs: As in `explain_backward`.
            starts: As in `explain_backward`.
            max_evaluations: Evaluations of the sample, or of a part of it, 2000 at most; 0 for 100.
            sample: How many tiles are worked on, 256 at most; 0 for 64.
            seed: As in `explain_lot_forward`.
            alone: How many tiles are also searched each on its own; 8 if None.
            front: Points of the front of cost against property, 32 at most; 6 if None.
            allow_unfamiliar: As in `explain_lot_forward`.
            lot_id: As in `explain_lot_forward`.
            um_per_px: As in `predict`.
            on_progress: Called now and then.
            timeout: Seconds for the whole lot; None for no limit. Where it comes near, the best so
                far is the answer.

        Raises:
            InvalidRequest: As `explain_lot_forward` and `explain_backward`; FRONT_OUT_OF_RANGE.
            LotwiseError: See the class.
        """
        wanted = Target(
            target,
            tolerance,
            unit,
            immutable,
            ranges,
            costs,
            starts,
            max_evaluations,
            allow_unfamiliar,
        )

        def asked() -> LotBackward:
            question = LotBackwardQuestion(
                attributes or {}, wanted, self._model_unit, sample, seed, alone, front
            )
            return self._explained(question, lot, lot_id, um_per_px, on_progress, timeout)

        try:
            return asked()
        except OtherUnit as other:
            self._model_unit = other.unit
        return asked()

    def _explained(
        self,
        question: LotExplainQuestion[Explained],
        lot: Lot,
        lot_id: str,
        um_per_px: float | None,
        on_progress: OnProgress | None,
        timeout: float | None,
    ) -> Explained:
        tiles, simulated = lot, False
        if isinstance(lot, str | Path):
            folder = read_lot_folder(Path(lot), um_per_px)
            tiles, simulated = folder.tiles, folder.simulated
            lot_id, um_per_px = lot_id or folder.lot_id, folder.um_per_px
        assert not isinstance(tiles, str | Path)
        sent, result = self._watch_all(question, tiles, lot_id, um_per_px, on_progress, timeout)
        return question.read(result, sent, simulated)


class AsyncLotExplainCalls(AsyncTransport):
    """Those of the client with an event loop."""

    async def explain_lot_forward(
        self,
        lot: Lot,
        *,
        vary: str | Sequence[str] = (),
        pairs: Sequence[tuple[str, str]] = (),
        attributes: Mapping[str, float] | None = None,
        steps: int = 0,
        sample: int = 0,
        seed: int = 0,
        allow_unfamiliar: bool = False,
        lot_id: str = "",
        um_per_px: float | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> LotForward:
        """As `Client.explain_lot_forward`."""
        question = LotForwardQuestion(
            attributes or {}, vary, pairs, steps, sample, seed, allow_unfamiliar
        )
        return await self._explained(question, lot, lot_id, um_per_px, on_progress, timeout)

    async def explain_lot_backward(
        self,
        lot: Lot,
        *,
        target: float,
        unit: str = "psi",
        tolerance: float = 0.0,
        attributes: Mapping[str, float] | None = None,
        immutable: str | Sequence[str] = (),
        ranges: Mapping[str, tuple[float, float]] | None = None,
        costs: Mapping[str, float] | None = None,
        starts: int = 0,
        max_evaluations: int = 0,
        sample: int = 0,
        seed: int = 0,
        alone: int | None = None,
        front: int | None = None,
        allow_unfamiliar: bool = False,
        lot_id: str = "",
        um_per_px: float | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> LotBackward:
        """As `Client.explain_lot_backward`."""
        wanted = Target(
            target,
            tolerance,
            unit,
            immutable,
            ranges,
            costs,
            starts,
            max_evaluations,
            allow_unfamiliar,
        )

        async def asked() -> LotBackward:
            question = LotBackwardQuestion(
                attributes or {}, wanted, self._model_unit, sample, seed, alone, front
            )
            return await self._explained(question, lot, lot_id, um_per_px, on_progress, timeout)

        try:
            return await asked()
        except OtherUnit as other:
            self._model_unit = other.unit
        return await asked()

    async def _explained(
        self,
        question: LotExplainQuestion[Explained],
        lot: Lot,
        lot_id: str,
        um_per_px: float | None,
        on_progress: OnProgress | None,
        timeout: float | None,
    ) -> Explained:
        tiles, simulated = lot, False
        if isinstance(lot, str | Path):
            folder = await asyncio.to_thread(read_lot_folder, Path(lot), um_per_px)
            tiles, simulated = folder.tiles, folder.simulated
            lot_id, um_per_px = lot_id or folder.lot_id, folder.um_per_px
        assert not isinstance(tiles, str | Path)
        sent, result = await self._watch_all(
            question, tiles, lot_id, um_per_px, on_progress, timeout
        )
        return question.read(result, sent, simulated)
