"""Messages of the explain service <-> what the service works with."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TypeVar

from PIL import Image

from lotwise.core.errors import InvalidRequest
from lotwise.core.lot_statistics import MeanInterval, Spread
from lotwise.core.tile import Grey
from lotwise.explain.familiarity import Familiarity
from lotwise.explain.handler import BackwardExplanation
from lotwise.explain.lot_backward import LotBackward
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


def familiarity_message(familiarity: Familiarity | None) -> explain_pb2.Familiarity | None:
    """Whether the networks know such tiles; None where nobody can say."""
    if familiarity is None:
        return None
    return explain_pb2.Familiarity(
        value=familiarity.value,
        unfamiliar=familiarity.unfamiliar,
        committee=familiarity.committee,
        calibration_version=familiarity.calibration_version,
    )


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
