"""Messages on whole lots <-> questions and answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lotwise.client.answers import TileFailure
from lotwise.client.convert import provenance
from lotwise.client.explain_convert import changes
from lotwise.client.explanations import EditedImage
from lotwise.client.lot_answers import (
    FrontPoint,
    LotBackward,
    LotCurve,
    LotForward,
    LotProgress,
    LotSurface,
    MeanOverTiles,
    NumberSpread,
    Spread,
)
from lotwise.client.quantity import Quantity
from lotwise.v1 import explain_pb2


def progress(message: explain_pb2.LotProgress) -> LotProgress:
    """How far it is."""
    return LotProgress(message.received, message.judged, message.expected)


def lot_forward(
    message: explain_pb2.ForwardLotResult, failed: tuple[TileFailure, ...], simulated: bool
) -> LotForward:
    """The answer of the explain service along attributes of a lot."""
    unit = message.unit
    return LotForward(
        **_common(message, failed, simulated),
        attributes=_by_name(message.attributes),
        original=_spread(message.original, unit),
        curves=tuple(
            LotCurve(
                curve.attribute,
                tuple(
                    (point.attribute_value, _spread(point.value, unit)) for point in curve.points
                ),
                _mean(curve.sensitivity, unit),
            )
            for curve in message.curves
        ),
        surfaces=tuple(
            LotSurface(
                surface.attributes.first,
                surface.attributes.second,
                tuple(
                    (point.first_value, point.second_value, _spread(point.value, unit))
                    for point in surface.points
                ),
            )
            for surface in message.surfaces
        ),
    )


def lot_backward(
    message: explain_pb2.BackwardLotResult, failed: tuple[TileFailure, ...], simulated: bool
) -> LotBackward:
    """The answer of the explain service to a target of a lot."""
    unit, quality = message.unit, message.explanation_quality
    return LotBackward(
        **_common(message, failed, simulated),
        target=Quantity(message.target, unit),
        tolerance=Quantity(message.tolerance, unit),
        reached=message.reached,
        before=_spread(message.before, unit),
        after=_spread(message.after, unit),
        after_mean=_mean(message.after_mean, unit),
        changes=changes(message.changes, unit),
        share_reaching=message.share_reaching,
        own_changes={
            own.name: NumberSpread(
                own.change.lower_quartile,
                own.change.median,
                own.change.upper_quartile,
                own.change.mean,
            )
            for own in message.own_changes
        },
        alone=message.alone,
        alone_reached=message.alone_reached,
        front=tuple(
            FrontPoint(point.cost, Quantity(point.value, unit), _by_name(point.attributes))
            for point in message.front
        ),
        image=EditedImage(message.edited_png),
        image_of=message.edited_tile_id,
        evaluations=message.evaluations,
        changed=quality.changed,
        cost=quality.cost,
        starts=quality.starts,
        starts_reached=quality.starts_reached,
        spread=quality.spread,
        fidelity=quality.fidelity if quality.HasField("fidelity") else None,
        realism=quality.realism if quality.HasField("realism") else None,
    )


def _common(message: Any, failed: tuple[TileFailure, ...], simulated: bool) -> dict[str, Any]:
    tiles: explain_pb2.LotTiles = message.tiles
    return {
        "lot_id": message.lot_id,
        "property_name": message.property,
        "received": tiles.received,
        "usable": tiles.usable,
        "poor": tiles.poor,
        "sampled": tiles.sampled,
        "unfamiliar": tiles.unfamiliar,
        "seed": tiles.seed,
        "failed": failed,
        "provenance": provenance(message.provenance),
        "ended_by_deadline": message.ended_by_deadline,
        "simulated": simulated,
    }


def _by_name(values: Iterable[explain_pb2.AttributeValue]) -> dict[str, float]:
    return {each.name: each.value for each in values}


def _spread(message: explain_pb2.Spread, unit: str) -> Spread:
    return Spread(
        Quantity(message.lower_quartile, unit),
        Quantity(message.median, unit),
        Quantity(message.upper_quartile, unit),
        Quantity(message.mean, unit),
    )


def _mean(message: explain_pb2.MeanOverTiles, unit: str) -> MeanOverTiles:
    return MeanOverTiles(
        Quantity(message.mean, unit), Quantity(message.lower, unit), Quantity(message.upper, unit)
    )
