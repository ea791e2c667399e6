"""The gRPC edge of the explain service: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from lotwise.explain.editing import EditableTile
from lotwise.explain.handler import ExplainHandler
from lotwise.explain.lot_servicer import LotServicer
from lotwise.explain.messages import (
    attributes_of,
    backward_question,
    change_messages,
    evidence_message,
    familiarity_message,
    png,
    quality_message,
)
from lotwise.explain.metrics import ExplainMetrics
from lotwise.explain.settings import ExplainSettings
from lotwise.runtime import tiles
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.streaming import stream_responses
from lotwise.v1 import explain_pb2, explain_pb2_grpc, tile_pb2

Context = grpc.aio.ServicerContext[Any, Any]


class ExplainServicer(explain_pb2_grpc.ExplainServiceServicer):
    """lotwise.v1.ExplainService."""

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
        self._lots = LotServicer(handler, settings, metrics, rpc_metrics)

    async def Forward(
        self, request: explain_pb2.ForwardRequest, context: Context
    ) -> explain_pb2.ForwardResponse:
        """One tile, one attribute."""
        return await self._forward(request)

    async def ForwardStream(
        self, request_iterator: AsyncIterator[explain_pb2.ForwardStreamRequest], context: Context
    ) -> AsyncIterator[explain_pb2.ForwardStreamResponse]:
        """Tiles as they are scanned."""
        async for response in stream_responses(
            request_iterator,
            self._forward,
            explain_pb2.ForwardStreamResponse,
            window=self._settings.stream_window,
            metrics=self._rpc_metrics,
        ):
            yield response

    async def Edit(
        self, request: explain_pb2.EditRequest, context: Context
    ) -> explain_pb2.EditResponse:
        """One tile, one edit."""
        return await self._edit(request)

    async def Backward(
        self, request: explain_pb2.BackwardRequest, context: Context
    ) -> explain_pb2.BackwardResponse:
        """One tile, one target."""
        return await self._backward(request)

    async def BackwardStream(
        self, request_iterator: AsyncIterator[explain_pb2.BackwardStreamRequest], context: Context
    ) -> AsyncIterator[explain_pb2.BackwardStreamResponse]:
        """Tiles as they are scanned."""
        async for response in stream_responses(
            request_iterator,
            self._backward,
            explain_pb2.BackwardStreamResponse,
            window=self._settings.stream_window,
            metrics=self._rpc_metrics,
        ):
            yield response

    async def ForwardLot(
        self, request_iterator: AsyncIterator[explain_pb2.ForwardLotRequest], context: Context
    ) -> AsyncIterator[explain_pb2.ForwardLotResponse]:
        """The tiles of one lot, some attributes."""
        async for response in self._lots.forward(request_iterator):
            yield response

    async def BackwardLot(
        self, request_iterator: AsyncIterator[explain_pb2.BackwardLotRequest], context: Context
    ) -> AsyncIterator[explain_pb2.BackwardLotResponse]:
        """The tiles of one lot, one target."""
        async for response in self._lots.backward(request_iterator):
            yield response

    async def _forward(self, request: explain_pb2.ForwardRequest) -> explain_pb2.ForwardResponse:
        explained = await self._handler.forward(
            await tiles.decode(request.tile, self._settings),
            request.tile.lot_id,
            attributes_of(request.attributes),
            request.vary,
            request.steps,
            also=request.vary_also,
            anyhow=request.allow_unfamiliar,
        )
        self._observe_shift(explained.tile, explained.reconstructed)
        pair = len(explained.attributes) == 2
        shown = not request.without_images and not pair
        realism = explained.familiarities
        measured = explained.measured
        return explain_pb2.ForwardResponse(
            tile_id=request.tile.tile_id,
            lot_id=request.tile.lot_id,
            property=explained.tile.editor.property.name,
            unit=explained.tile.editor.property.unit,
            attribute=explained.attributes[0],
            attribute_also=explained.attributes[1] if pair else "",
            original=explained.tile.original,
            reconstructed=explained.reconstructed,
            steps=[
                explain_pb2.ForwardStep(
                    attribute_value=at[0],
                    also_value=at[1] if pair else None,
                    value=explained.values[number],
                    edited_png=png(explained.images[number]) if shown else b"",
                    measured_change=None if measured is None else measured[number],
                    realism=None if realism is None else realism[number],
                )
                for number, at in enumerate(explained.grid)
            ],
            quality=tiles.quality_message(explained.tile.quality),
            provenance=self._provenance(explained.tile),
            sensitivity=explained.sensitivities[0],
            sensitivity_also=explained.sensitivities[1] if pair else 0.0,
            familiarity=familiarity_message(explained.tile),
            evidence=None if request.without_images else evidence_message(explained.tile),
        )

    async def _edit(self, request: explain_pb2.EditRequest) -> explain_pb2.EditResponse:
        edited = await self._handler.edit(
            await tiles.decode(request.tile, self._settings),
            request.tile.lot_id,
            attributes_of(request.attributes),
            attributes_of(request.wanted),
            anyhow=request.allow_unfamiliar,
        )
        measured = edited.measured
        return explain_pb2.EditResponse(
            tile_id=request.tile.tile_id,
            lot_id=request.tile.lot_id,
            property=edited.tile.editor.property.name,
            unit=edited.tile.editor.property.unit,
            original=edited.tile.original,
            value=edited.value,
            edited_png=b"" if request.without_image else png(edited.image),
            attributes=[
                explain_pb2.EditedAttribute(
                    name=name,
                    before=edited.before[number],
                    after=edited.after[number],
                    measured_change=None if measured is None else measured[number],
                )
                for number, name in enumerate(edited.names)
            ],
            realism=edited.familiarity,
            quality=tiles.quality_message(edited.tile.quality),
            provenance=self._provenance(edited.tile),
            familiarity=familiarity_message(edited.tile),
        )

    async def _backward(self, request: explain_pb2.BackwardRequest) -> explain_pb2.BackwardResponse:
        explained = await self._handler.backward(
            await tiles.decode(request.tile, self._settings),
            request.tile.lot_id,
            attributes_of(request.attributes),
            backward_question(request),
            anyhow=request.allow_unfamiliar,
        )
        self._observe_shift(explained.tile, explained.reconstructed)
        self._metrics.evaluations.observe(explained.found.evaluations)
        self._metrics.backward.labels(str(explained.reached).lower()).inc()
        return explain_pb2.BackwardResponse(
            tile_id=request.tile.tile_id,
            lot_id=request.tile.lot_id,
            property=explained.tile.editor.property.name,
            unit=explained.tile.editor.property.unit,
            target=request.target,
            tolerance=explained.tolerance,
            reached=explained.reached,
            before=explained.tile.original,
            after=explained.after,
            changes=change_messages(explained.names, explained),
            edited_png=png(explained.image),
            evaluations=explained.found.evaluations,
            quality=tiles.quality_message(explained.tile.quality),
            provenance=self._provenance(explained.tile),
            explanation_quality=quality_message(explained, explained.looks.familiarity),
            ended_by_deadline=explained.ended_by_deadline,
            familiarity=familiarity_message(explained.tile),
            evidence=evidence_message(explained.tile, explained.looks),
        )

    def _observe_shift(self, tile: EditableTile, reconstructed: float) -> None:
        self._metrics.reconstruction_shift.observe(
            abs(reconstructed - tile.original) / abs(tile.original)
        )

    def _provenance(self, tile: EditableTile) -> tile_pb2.Provenance:
        return tiles.provenance(self._handler.inference.engine, *tile.editor.answering)
