"""The questions that a client can ask of a tile: each said once, for one tile and for a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lotwise.client import convert, explain_convert
from lotwise.client.answers import (
    Decision,
    Prediction,
    TileFailure,
    Uncertainty,
)
from lotwise.client.explanations import (
    BackwardExplanation,
    EditedTile,
    ForwardExplanation,
    PairExplanation,
)
from lotwise.client.failures import error_of_tile
from lotwise.client.interval_answers import LotInterval, TileInterval
from lotwise.client.tiles import Prepared
from lotwise.core.errors import InvalidRequest
from lotwise.core.pressure import convert as convert_unit
from lotwise.v1 import (
    explain_pb2,
    interval_pb2,
    predict_pb2,
    referral_pb2,
    tile_pb2,
    uncertainty_pb2,
)

AnswerType = TypeVar("AnswerType")


class OtherUnit(Exception):
    """The model's property has another unit than the question took for granted."""

    def __init__(self, unit: str) -> None:
        super().__init__(f"The model's property is in {unit}.")
        self.unit = unit


@dataclass(frozen=True)
class Question(Generic[AnswerType]):
    """A question without its tile.

    Attributes:
        service: Who answers it.
        method, stream: Its remote calls, for one tile and for many.
        build: The request for a tile.
        wrap: That request as a message of the stream.
        read: The answer, from the service's response and whether the tile is simulated.
    """

    service: str
    method: str
    stream: str
    build: Callable[[tile_pb2.Tile | None], Any]
    wrap: Callable[..., Any]
    read: Callable[[Any, bool], AnswerType]

    def request(self, tile: Prepared) -> Any:
        """The request for one tile."""
        return self.build(tile.message)

    def message(self, tile: Prepared) -> Any:
        """The same as one message of the stream; None where the tile cannot be sent."""
        return None if tile.message is None else self.wrap(request=self.build(tile.message))

    def outcome(self, tile: Prepared, response: Any) -> AnswerType | TileFailure:
        """What the stream answered for a tile; without a response, why it was not sent."""
        if response is None:
            assert tile.error is not None
            return TileFailure(tile.tile_id, tile.lot_id, tile.error)
        if response.WhichOneof("outcome") == "error":
            return TileFailure(tile.tile_id, tile.lot_id, error_of_tile(response.error))
        return self.read(response.result, tile.simulated)


def predict(model: str) -> Question[Prediction]:
    """The property."""
    return Question(
        "predict",
        "Predict",
        "PredictStream",
        lambda tile: predict_pb2.PredictRequest(tile=tile, model=model),
        predict_pb2.PredictStreamRequest,
        convert.prediction,
    )


def uncertainty(model: str, cascade: bool) -> Question[Uncertainty]:
    """Which reference lot, and how sure that is."""
    return Question(
        "uncertainty",
        "Assess",
        "AssessStream",
        lambda tile: uncertainty_pb2.AssessRequest(tile=tile, model=model, cascade=cascade),
        uncertainty_pb2.AssessStreamRequest,
        convert.uncertainty,
    )


def refer(policy: str) -> Question[Decision]:
    """Accept, or refer to an expert."""
    return Question(
        "referral",
        "Decide",
        "DecideStream",
        lambda tile: referral_pb2.DecideRequest(tile=tile, policy=policy),
        referral_pb2.DecideStreamRequest,
        convert.decision,
    )


def explain_forward(
    attributes: Mapping[str, float], vary: str, steps: int, images: bool, allow_unfamiliar: bool
) -> Question[ForwardExplanation]:
    """The property along one attribute."""
    return Question(
        "explain",
        "Forward",
        "ForwardStream",
        lambda tile: explain_pb2.ForwardRequest(
            tile=tile,
            attributes=attribute_values(attributes),
            vary=vary,
            steps=steps,
            without_images=not images,
            allow_unfamiliar=allow_unfamiliar,
        ),
        explain_pb2.ForwardStreamRequest,
        explain_convert.forward,
    )


def explain_pair(
    attributes: Mapping[str, float], pair: tuple[str, str], steps: int, allow_unfamiliar: bool
) -> Question[PairExplanation]:
    """The property over two attributes."""
    first, second = pair
    return Question(
        "explain",
        "Forward",
        "ForwardStream",
        lambda tile: explain_pb2.ForwardRequest(
            tile=tile,
            attributes=attribute_values(attributes),
            vary=first,
            vary_also=second,
            steps=steps,
            without_images=True,
            allow_unfamiliar=allow_unfamiliar,
        ),
        explain_pb2.ForwardStreamRequest,
        explain_convert.pair,
    )


def explain_edit(
    attributes: Mapping[str, float],
    wanted: Mapping[str, float],
    image: bool,
    allow_unfamiliar: bool,
) -> Question[EditedTile]:
    """One edit. There is no stream of it: `stream` and `wrap` are not used."""
    return Question(
        "explain",
        "Edit",
        "",
        lambda tile: explain_pb2.EditRequest(
            tile=tile,
            attributes=attribute_values(attributes),
            wanted=attribute_values(wanted),
            without_image=not image,
            allow_unfamiliar=allow_unfamiliar,
        ),
        explain_pb2.EditRequest,
        explain_convert.edited,
    )


@dataclass(frozen=True)
class Target:
    """What a backward explanation is to reach.

    Attributes:
        value, tolerance: In `unit`; a tolerance of 0 is 1% of the target.
        unit: "psi", "MPa", or the model's own.
        immutable: Attributes that must stay; one or several.
        ranges: (minimum, maximum) of attributes, each within 0 to 1; None for all of it.
        costs: Of a change by 1, where it is not 1.
        starts: Searches from different places; 0 for the service's default.
        max_evaluations: 0 for the service's default.
        allow_unfamiliar: Whether tiles that look like none that the models know count, too.
    """

    value: float
    tolerance: float
    unit: str
    immutable: str | Sequence[str] = ()
    ranges: Mapping[str, tuple[float, float]] | None = None
    costs: Mapping[str, float] | None = None
    starts: int = 0
    max_evaluations: int = 0
    allow_unfamiliar: bool = False


def explain_backward(
    attributes: Mapping[str, float], target: Target, model_unit: str
) -> Question[BackwardExplanation]:
    """What to change to reach a target.

    Args:
        attributes: Of the lot.
        target: To be reached.
        model_unit: The unit that the model's property is taken to have. Where it has another,
            `read` raises OtherUnit: the service cannot be asked for it beforehand.

    Raises:
        InvalidRequest: TARGET_INVALID where the target's unit does not lead to the model's.
    """
    fields = backward_fields(target, model_unit)

    def read(response: explain_pb2.BackwardResponse, simulated: bool) -> BackwardExplanation:
        if response.unit != model_unit:
            raise OtherUnit(response.unit)
        return explain_convert.backward(response, simulated)

    return Question(
        "explain",
        "Backward",
        "BackwardStream",
        lambda tile: explain_pb2.BackwardRequest(
            tile=tile,
            attributes=attribute_values(attributes),
            **fields,
        ),
        explain_pb2.BackwardStreamRequest,
        read,
    )


def backward_fields(target: Target, model_unit: str) -> dict[str, Any]:
    """Fields of a request that say what to reach and what may change.

    Raises:
        InvalidRequest: TARGET_INVALID where the target's unit does not lead to the model's.
    """
    try:
        value = convert_unit(target.value, target.unit, model_unit)
        tolerance = convert_unit(target.tolerance, target.unit, model_unit)
    except ValueError as error:
        raise InvalidRequest(
            "TARGET_INVALID", f"{error} The model's property is in {model_unit}."
        ) from None
    return {
        "target": value,
        "tolerance": tolerance,
        "immutable": names_of(target.immutable),
        "ranges": [
            explain_pb2.AttributeRange(name=name, minimum=minimum, maximum=maximum)
            for name, (minimum, maximum) in (target.ranges or {}).items()
        ],
        "costs": [
            explain_pb2.AttributeCost(name=name, cost=cost)
            for name, cost in (target.costs or {}).items()
        ],
        "starts": target.starts,
        "max_evaluations": target.max_evaluations,
        "allow_unfamiliar": target.allow_unfamiliar,
    }


def interval(coverage: float | None) -> Question[TileInterval]:
    """Where the property lies, by a tile."""
    return Question(
        "uncertainty",
        "Interval",
        "IntervalStream",
        lambda tile: interval_pb2.IntervalRequest(tile=tile, coverage=coverage),
        interval_pb2.IntervalStreamRequest,
        convert.tile_interval,
    )


@dataclass(frozen=True)
class LotIntervalQuestion:
    """Where a lot's property lies: its tiles are one stream, with one response to all of them."""

    coverage: float | None
    service: str = "uncertainty"
    method: str = "LotInterval"

    def message(self, tile: Prepared) -> Any:
        """One message of the stream. A tile that cannot be read goes empty, so it is named."""
        content = tile.message or tile_pb2.Tile(tile_id=tile.tile_id, lot_id=tile.lot_id)
        return interval_pb2.LotIntervalRequest(tile=content, coverage=self.coverage)

    def read(
        self,
        response: interval_pb2.LotIntervalResponse,
        sent: Sequence[Prepared],
        simulated: bool,
    ) -> LotInterval:
        """The answer; what could not be read here says why, not that it came empty."""
        unread = {tile.tile_id: tile.error for tile in sent if tile.error is not None}
        failed = tuple(
            TileFailure(
                each.tile_id,
                response.lot_id,
                unread.get(each.tile_id) or error_of_tile(each.error),
            )
            for each in response.failed
        )
        return convert.lot_interval(response, failed, simulated)


def names_of(given: Iterable[str] | str) -> tuple[str, ...]:
    """One name or several, as a tuple."""
    return (given,) if isinstance(given, str) else tuple(given)


def attribute_values(attributes: Mapping[str, float]) -> list[explain_pb2.AttributeValue]:
    """Attributes as messages."""
    return [
        explain_pb2.AttributeValue(name=name, value=value) for name, value in attributes.items()
    ]
