"""The gRPC edge of a lot's explanations: take its tiles, explain a sample, say how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from lotwise.core.errors import InvalidRequest, InvalidTile, LotwiseError
from lotwise.core.lot_statistics import Reservoir, Spread
from lotwise.core.preprocessing import PreparedTile, prepare
from lotwise.core.quality import QualityVerdict
from lotwise.explain.editing import Editor
from lotwise.explain.familiarity import admit_lot
from lotwise.explain.handler import ExplainHandler
from lotwise.explain.lot_backward import LotBackward, backward_lot
from lotwise.explain.lot_forward import LotForward, forward_lot
from lotwise.explain.lot_question import (
    DEFAULT_ALONE,
    DEFAULT_FRONT,
    LotBackwardQuestion,
    LotForwardQuestion,
    LotOfTiles,
    Sampling,
)
from lotwise.explain.messages import (
    attribute_values,
    attributes_of,
    backward_question,
    change_messages,
    curve_message,
    mean_message,
    png,
    quality_message,
    spread_message,
    surface_message,
)
from lotwise.explain.metrics import ExplainMetrics
from lotwise.explain.searching import Progress
from lotwise.explain.settings import ExplainSettings
from lotwise.runtime import tiles
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.status import tile_error
from lotwise.runtime.streaming import answer_in_order
from lotwise.v1 import explain_pb2, interval_pb2

Question = TypeVar("Question", LotForwardQuestion, LotBackwardQuestion)

Explained = TypeVar("Explained", LotForward, LotBackward)

Named = tuple[str, PreparedTile]
"""A tile's id and its picture."""


@dataclass
class Lot(Generic[Question]):
    """What has been taken of a lot.

    Attributes:
        question: What is asked of it; None before the first tile.
        sample: Its usable tiles, some of them kept.
        received, poor: How many tiles came, and how many were of poor quality.
        unfamiliar: How many of the sample look like none that the models know.
        failed: Tiles that could not be read.
    """

    question: Question | None = None
    sample: Reservoir[Named] = field(default_factory=lambda: Reservoir(1, 0))
    received: int = 0
    poor: int = 0
    unfamiliar: int = 0
    failed: list[interval_pb2.FailedTile] = field(default_factory=list)

    def tiles_message(self, sampled: int) -> explain_pb2.LotTiles:
        """What became of its tiles."""
        assert self.question is not None
        return explain_pb2.LotTiles(
            received=self.received,
            usable=self.sample.seen,
            poor=self.poor,
            sampled=sampled,
            seed=self.question.lot.sampling.seed,
            failed=self.failed,
            unfamiliar=self.unfamiliar,
        )


class LotServicer:
    """The calls of lotwise.v1.ExplainService that are about lots."""

    def __init__(
        self,
        handler: ExplainHandler,
        settings: ExplainSettings,
        metrics: ExplainMetrics,
        rpc_metrics: RpcMetrics,
    ) -> None:
        self._handler = handler
        self._settings = settings
        self._metrics = metrics
        self._rpc_metrics = rpc_metrics

    async def forward(
        self, messages: AsyncIterator[explain_pb2.ForwardLotRequest]
    ) -> AsyncIterator[explain_pb2.ForwardLotResponse]:
        """How the property of a lot follows its attributes."""
        editor = await self._editor()
        lot: Lot[LotForwardQuestion] = Lot()

        def begin(message: explain_pb2.ForwardLotRequest) -> LotForwardQuestion:
            pairs = tuple((pair.first, pair.second) for pair in message.pairs)
            question = LotForwardQuestion(
                _lot_of(message), tuple(message.vary), message.steps, pairs
            )
            question.check()
            question.sweeps(editor.attribute_names)
            editor.lot_attributes(question.lot.lot_id, question.lot.attributes)
            return question

        async for progress in self._taken(lot, messages, begin, editor):
            yield explain_pb2.ForwardLotResponse(progress=progress)
        assert lot.question is not None
        done = Progress()
        sample = await self._admitted(lot, editor)
        work = forward_lot(editor, lot.question, [tile for _, tile in sample], done)
        async for outcome in self._watched(work, lot, done):
            if isinstance(outcome, LotForward):
                result = self._forward(editor, lot, outcome)
                yield explain_pb2.ForwardLotResponse(result=result)
            else:
                yield explain_pb2.ForwardLotResponse(progress=outcome)

    async def backward(
        self, messages: AsyncIterator[explain_pb2.BackwardLotRequest]
    ) -> AsyncIterator[explain_pb2.BackwardLotResponse]:
        """What to change in a lot to reach a property."""
        editor = await self._editor()
        lot: Lot[LotBackwardQuestion] = Lot()

        def begin(message: explain_pb2.BackwardLotRequest) -> LotBackwardQuestion:
            question = LotBackwardQuestion(
                _lot_of(message),
                backward_question(message),
                message.alone if message.HasField("alone") else DEFAULT_ALONE,
                message.front_points if message.HasField("front_points") else DEFAULT_FRONT,
            )
            question.check()
            own = editor.lot_attributes(question.lot.lot_id, question.lot.attributes)
            question.change.allowed(editor.attribute_names, own)
            return question

        async for progress in self._taken(lot, messages, begin, editor):
            yield explain_pb2.BackwardLotResponse(progress=progress)
        assert lot.question is not None
        done = Progress()
        sample = await self._admitted(lot, editor)
        work = backward_lot(editor, lot.question, [tile for _, tile in sample], done)
        async for outcome in self._watched(work, lot, done):
            if isinstance(outcome, LotBackward):
                self._metrics.evaluations.observe(outcome.found.evaluations)
                self._metrics.backward.labels(str(outcome.reached).lower()).inc()
                tile_id, _ = sample[outcome.image_of]
                result = self._backward(editor, lot, outcome, tile_id)
                yield explain_pb2.BackwardLotResponse(result=result)
            else:
                yield explain_pb2.BackwardLotResponse(progress=outcome)

    async def _editor(self) -> Editor:
        return await self._handler.editor()

    async def _taken(
        self,
        lot: Lot[Question],
        messages: AsyncIterator[Any],
        begin: Callable[[Any], Question],
        editor: Editor,
    ) -> AsyncIterator[explain_pb2.LotProgress]:
        """Take all tiles of a lot; yields how far it is, tile by tile.

        Raises:
            InvalidRequest: LOT_MISSING, LOT_CONTRADICTORY, LOT_TOO_LARGE, LOT_EMPTY, LOT_UNUSABLE,
                or what `begin` finds wrong.
        """
        # What ends the call is kept until the caller has sent all: where a call ends under a
        # sender, gRPC's asynchronous clients report INTERNAL instead of its status.
        refusal: LotwiseError | None = None

        async def prepared(message: Any) -> PreparedTile:
            if refusal is not None:
                raise refusal
            if lot.question is None:
                if not message.tile.lot_id:
                    raise InvalidRequest(
                        "LOT_MISSING", "The first tile must name its lot in tile.lot_id."
                    )
                lot.question = begin(message)
                sampling = lot.question.lot.sampling
                lot.sample = Reservoir(sampling.size, sampling.seed)
            elif message.tile.lot_id not in ("", lot.question.lot.lot_id):
                raise InvalidRequest(
                    "LOT_CONTRADICTORY",
                    f"This stream is of lot '{lot.question.lot.lot_id}', the tile of lot "
                    f"'{message.tile.lot_id}'. Open a stream for each lot.",
                )
            tile = await tiles.decode(message.tile, self._settings)
            return await asyncio.to_thread(prepare, tile, editor.geometry)

        async for message, outcome in answer_in_order(
            messages, prepared, window=self._settings.stream_window
        ):
            lot.received += 1
            if lot.received > self._settings.max_lot_tiles:
                raise InvalidRequest(
                    "LOT_TOO_LARGE",
                    f"A lot may have {self._settings.max_lot_tiles} tiles in one stream.",
                )
            if refusal is not None:
                continue
            self._rpc_metrics.count_tile(outcome if isinstance(outcome, LotwiseError) else None)
            if isinstance(outcome, InvalidTile):
                lot.failed.append(
                    interval_pb2.FailedTile(tile_id=message.tile.tile_id, error=tile_error(outcome))
                )
            elif isinstance(outcome, LotwiseError):
                refusal = outcome  # the question cannot be answered, or tiles are missing
            elif outcome.quality.verdict is QualityVerdict.POOR:
                lot.poor += 1
            else:
                lot.sample.offer((message.tile.tile_id, outcome))
            yield explain_pb2.LotProgress(received=lot.received)
        if refusal is not None:
            raise refusal
        if lot.question is None:
            raise InvalidRequest("LOT_EMPTY", "The stream ended without a tile. Send at least one.")
        if not lot.sample.seen:
            raise InvalidRequest(
                "LOT_UNUSABLE",
                f"None of the {lot.received} tiles can be used: {len(lot.failed)} are unreadable, "
                f"{lot.poor} of poor quality.",
            )

    async def _admitted(self, lot: Lot[Any], editor: Editor) -> list[Named]:
        """The sample, without what is unfamiliar unless the caller wants that, too.

        Raises:
            InvalidRequest: LOT_UNFAMILIAR.
        """
        assert lot.question is not None
        anyhow = lot.question.lot.allow_unfamiliar
        sample = [*lot.sample.kept()]
        looks = await editor.observer.look(np.concatenate([tile.image for _, tile in sample]))
        unfamiliar = admit_lot(
            looks.familiarities, editor.min_familiarity, len(sample), anyhow=anyhow
        )
        lot.unfamiliar = sum(unfamiliar)
        if anyhow:
            return sample
        return [named for named, strange in zip(sample, unfamiliar, strict=True) if not strange]

    async def _watched(
        self, work: Coroutine[Any, Any, Explained], lot: Lot[Any], done: Progress
    ) -> AsyncIterator[explain_pb2.LotProgress | Explained]:
        """Do the work; yields now and then how far it is, and at the end what came of it."""
        task = asyncio.create_task(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=self._settings.progress_interval_s)
                yield explain_pb2.LotProgress(
                    received=lot.received, judged=done.judged, expected=done.expected
                )
            yield task.result()
        finally:
            # Where the caller has gone, nobody waits for the rest.
            task.cancel()

    def _forward(
        self, editor: Editor, lot: Lot[Any], explained: LotForward
    ) -> explain_pb2.ForwardLotResult:
        assert lot.question is not None
        return explain_pb2.ForwardLotResult(
            lot_id=lot.question.lot.lot_id,
            property=editor.property.name,
            unit=editor.property.unit,
            attributes=attribute_values(editor.attribute_names, explained.attributes),
            original=spread_message(explained.original),
            curves=[
                curve_message(sweep) for sweep in explained.sweeps if len(sweep.attributes) == 1
            ],
            surfaces=[
                surface_message(sweep) for sweep in explained.sweeps if len(sweep.attributes) == 2
            ],
            tiles=lot.tiles_message(explained.tiles),
            provenance=tiles.provenance(self._handler.inference.engine, *editor.answering),
            ended_by_deadline=explained.ended_by_deadline,
        )

    def _backward(
        self,
        editor: Editor,
        lot: Lot[Any],
        explained: LotBackward,
        tile_id: str,
    ) -> explain_pb2.BackwardLotResult:
        assert lot.question is not None
        names = editor.attribute_names
        own = [each.attributes - explained.before for each in explained.own]
        return explain_pb2.BackwardLotResult(
            lot_id=lot.question.lot.lot_id,
            property=editor.property.name,
            unit=editor.property.unit,
            target=lot.question.change.target,
            tolerance=explained.tolerance,
            reached=explained.reached,
            before=spread_message(explained.values_before),
            after=spread_message(explained.values_after),
            after_mean=mean_message(explained.after_mean),
            changes=change_messages(names, explained),
            share_reaching=explained.share_reaching,
            own_changes=[
                explain_pb2.OwnChange(
                    name=name, change=spread_message(Spread.of([each[number] for each in own]))
                )
                for number, name in enumerate(names if own else ())
            ],
            alone=len(explained.own),
            alone_reached=sum(each.reached for each in explained.own),
            front=[
                explain_pb2.FrontPoint(
                    cost=point.cost,
                    value=point.value,
                    attributes=attribute_values(names, point.attributes),
                )
                for point in explained.front
            ],
            edited_png=png(explained.image),
            edited_tile_id=tile_id,
            evaluations=explained.found.evaluations,
            explanation_quality=quality_message(explained, explained.familiarity),
            tiles=lot.tiles_message(explained.tiles),
            provenance=tiles.provenance(self._handler.inference.engine, *editor.answering),
            ended_by_deadline=explained.ended_by_deadline,
        )


def _lot_of(
    message: explain_pb2.ForwardLotRequest | explain_pb2.BackwardLotRequest,
) -> LotOfTiles:
    return LotOfTiles(
        message.tile.lot_id,
        attributes_of(message.attributes),
        Sampling(message.sampling.tiles, message.sampling.seed),
        message.allow_unfamiliar,
    )
