"""The gRPC edge of the explain service: convert, call, convert."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeVar

import grpc
from PIL import Image

from lotwise.core.errors import InvalidRequest
from lotwise.core.tile import Grey
from lotwise.explain.editing import EditableTile
from lotwise.explain.handler import ExplainHandler
from lotwise.explain.metrics import ExplainMetrics
from lotwise.explain.question import BackwardQuestion
from lotwise.explain.settings import ExplainSettings
from lotwise.runtime import tiles
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.streaming import stream_responses
from lotwise.v1 import explain_pb2, explain_pb2_grpc, tile_pb2

Value = TypeVar("Value")
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

    async def _forward(self, request: explain_pb2.ForwardRequest) -> explain_pb2.ForwardResponse:
        tile = await tiles.decode(request.tile, self._settings)
        explained = await self._handler.forward(
            tile, request.tile.lot_id, _attributes(request.attributes), request.vary, request.steps
        )
        self._observe_shift(explained.tile, explained.reconstructed)
        with_images = not request.without_images
        return explain_pb2.ForwardResponse(
            tile_id=request.tile.tile_id,
            lot_id=request.tile.lot_id,
            property=explained.tile.editor.property.name,
            unit=explained.tile.editor.property.unit,
            attribute=explained.attribute,
            original=explained.tile.original,
            reconstructed=explained.reconstructed,
            steps=[
                explain_pb2.ForwardStep(
                    attribute_value=at, value=value, edited_png=_png(image) if with_images else b""
                )
                for at, value, image in zip(
                    explained.grid, explained.values, explained.images, strict=True
                )
            ],
            quality=tiles.quality_message(explained.tile.quality),
            provenance=self._provenance(explained.tile),
            sensitivity=explained.sensitivity,
        )

    async def _backward(self, request: explain_pb2.BackwardRequest) -> explain_pb2.BackwardResponse:
        tile = await tiles.decode(request.tile, self._settings)
        explained = await self._handler.backward(
            tile,
            request.tile.lot_id,
            _attributes(request.attributes),
            BackwardQuestion(
                target=request.target,
                tolerance=request.tolerance,
                immutable=tuple(request.immutable),
                ranges=_once((each.name, (each.minimum, each.maximum)) for each in request.ranges),
                costs=_once((each.name, each.cost) for each in request.costs),
                starts=request.starts,
                max_evaluations=request.max_evaluations,
            ),
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
            changes=[
                explain_pb2.AttributeChange(
                    name=name, before=before, after=after, sensitivity=sensitivity
                )
                for name, before, after, sensitivity in zip(
                    explained.names,
                    explained.before,
                    explained.found.attributes,
                    explained.sensitivities,
                    strict=True,
                )
            ],
            edited_png=_png(explained.image),
            evaluations=explained.found.evaluations,
            quality=tiles.quality_message(explained.tile.quality),
            provenance=self._provenance(explained.tile),
            explanation_quality=explain_pb2.ExplanationQuality(
                changed=explained.changed,
                cost=explained.cost,
                starts=len(explained.searches),
                starts_reached=sum(each.reached for each in explained.searches),
                spread=explained.spread,
            ),
            ended_by_deadline=explained.ended_by_deadline,
        )

    def _observe_shift(self, tile: EditableTile, reconstructed: float) -> None:
        self._metrics.reconstruction_shift.observe(
            abs(reconstructed - tile.original) / abs(tile.original)
        )

    def _provenance(self, tile: EditableTile) -> tile_pb2.Provenance:
        return tiles.provenance(self._handler.inference.engine, *tile.editor.models)


def _attributes(given: Iterable[explain_pb2.AttributeValue]) -> dict[str, float]:
    return _once((each.name, each.value) for each in given)


def _once(stated: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    """What is stated of attributes, by name; each of them once."""
    by_name: dict[str, Value] = {}
    for name, value in stated:
        if name in by_name:
            raise InvalidRequest(
                "ATTRIBUTE_TWICE", f"Attribute '{name}' is stated twice. State it once."
            )
        by_name[name] = value
    return by_name


def _png(image: Grey) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()
