"""Messages of the explain service <-> what the service works with."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TypeVar

from PIL import Image

from lotwise.core.errors import InvalidRequest
from lotwise.core.lot_statistics import MeanInterval, Spread
from lotwise.core.tile import Grey
from lotwise.explain.editing import EditableTile
from lotwise.explain.familiarity import is_unfamiliar
from lotwise.explain.handler import BackwardExplanation
from lotwise.explain.looking import Found, Looks, map_picture
from lotwise.explain.lot_backward import LotBackward
from lotwise.explain.lot_forward import Sweep
from lotwise.explain.question import BackwardQuestion
from lotwise.v1 import explain_pb2

Value = TypeVar("Value")


def backward_question(
    request: explain_pb2.BackwardRequest | explain_pb2.BackwardLotRequest,
) -> BackwardQuestion:
    """Target, and what may be changed to reach it.

    Raises:
        InvalidRequest: ATTRIBUTE_TWICE.
    """
    return BackwardQuestion(
        target=request.target,
        tolerance=request.tolerance,
        immutable=tuple(request.immutable),
        ranges=_once((each.name, (each.minimum, each.maximum)) for each in request.ranges),
        costs=_once((each.name, each.cost) for each in request.costs),
        starts=request.starts,
        max_evaluations=request.max_evaluations,
    )


def attributes_of(given: Iterable[explain_pb2.AttributeValue]) -> dict[str, float]:
    """Attributes by name.

    Raises:
        InvalidRequest: ATTRIBUTE_TWICE.
    """
    return _once((each.name, each.value) for each in given)


def attribute_values(
    names: Iterable[str], values: Iterable[float]
) -> list[explain_pb2.AttributeValue]:
    """The reverse of `attributes_of`."""
    return [
        explain_pb2.AttributeValue(name=name, value=value)
        for name, value in zip(names, values, strict=True)
    ]


def spread_message(spread: Spread) -> explain_pb2.Spread:
    """Quartiles and mean."""
    return explain_pb2.Spread(
        lower_quartile=spread.lower_quartile,
        median=spread.median,
        upper_quartile=spread.upper_quartile,
        mean=spread.mean,
    )


def mean_message(interval: MeanInterval) -> explain_pb2.MeanOverTiles:
    """A mean and its interval."""
    return explain_pb2.MeanOverTiles(mean=interval.mean, lower=interval.lower, upper=interval.upper)


def curve_message(sweep: Sweep) -> explain_pb2.LotCurve:
    """A lot's property along one attribute."""
    return explain_pb2.LotCurve(
        attribute=sweep.attributes[0],
        points=[
            explain_pb2.LotCurvePoint(attribute_value=at, value=spread_message(value))
            for (at,), value in zip(sweep.grid, sweep.values, strict=True)
        ],
        sensitivity=mean_message(sweep.sensitivities[0]),
    )


def surface_message(sweep: Sweep) -> explain_pb2.LotSurface:
    """A lot's property over a pair of attributes."""
    first, second = sweep.attributes
    return explain_pb2.LotSurface(
        attributes=explain_pb2.AttributePair(first=first, second=second),
        points=[
            explain_pb2.LotSurfacePoint(
                first_value=at[0], second_value=at[1], value=spread_message(value)
            )
            for at, value in zip(sweep.grid, sweep.values, strict=True)
        ],
    )


def change_messages(
    names: Iterable[str], explained: BackwardExplanation | LotBackward
) -> list[explain_pb2.AttributeChange]:
    """What to change, all attributes in their order."""
    measured = explained.measured
    return [
        explain_pb2.AttributeChange(
            name=name,
            before=explained.before[number],
            after=explained.found.attributes[number],
            sensitivity=explained.sensitivities[number],
            measured_change=None if measured is None else measured[number],
        )
        for number, name in enumerate(names)
    ]


def familiarity_message(tile: EditableTile) -> explain_pb2.Familiarity | None:
    """Whether the regressor knows such tiles; None where nobody can say."""
    observer, value = tile.editor.observer, tile.looks.familiarity
    if observer.known is None or value is None:
        return None
    return explain_pb2.Familiarity(
        value=value,
        unfamiliar=is_unfamiliar(value, tile.editor.min_familiarity),
        known_tiles_version=observer.known.statement.version,
    )


def evidence_message(tile: EditableTile, edited: Looks | None = None) -> explain_pb2.Evidence:
    """Where the regressor looked, and what it knows that is alike.

    Args:
        tile: The tile.
        edited: What it says of one edited picture.
    """
    observer = tile.editor.observer
    (examples,) = observer.examples(tile.looks)
    of_edited = observer.examples(edited)[0] if edited is not None else []
    maps = tile.looks.maps
    px = tile.editor.geometry.px
    return explain_pb2.Evidence(
        activation_map_png=b"" if maps is None else png(map_picture(maps[0], px)),
        examples=_example_messages(examples),
        edited_examples=_example_messages(of_edited),
    )


def _example_messages(found: Found) -> list[explain_pb2.Example]:
    return [
        explain_pb2.Example(
            lot_id=example.lot_id,
            value=example.value,
            distance=distance,
            picture_jpeg=example.jpeg,
            simulated=example.simulated,
        )
        for example, distance in found
    ]


def quality_message(
    explained: BackwardExplanation | LotBackward, realism: float | None
) -> explain_pb2.ExplanationQuality:
    """How far a change is to be believed; `realism` is the familiarity of the edited picture."""
    return explain_pb2.ExplanationQuality(
        changed=explained.changed,
        cost=explained.cost,
        starts=len(explained.searches),
        starts_reached=sum(each.reached for each in explained.searches),
        spread=explained.spread,
        fidelity=explained.fidelity,
        realism=realism,
    )


def png(image: Grey) -> bytes:
    """A picture as a file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


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
