"""Questions to whole lots: the tiles are one stream, and the last response is the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from lotwise.client import lot_convert
from lotwise.client.answers import TileFailure
from lotwise.client.failures import error_of_tile
from lotwise.client.lot_answers import LotBackward, LotForward
from lotwise.client.questions import (
    OtherUnit,
    Target,
    attribute_values,
    backward_fields,
    names_of,
)
from lotwise.client.tiles import Prepared
from lotwise.v1 import explain_pb2, tile_pb2

Explained = TypeVar("Explained", covariant=True)


class LotExplainQuestion(Protocol[Explained]):
    """What the two questions have in common."""

    @property
    def method(self) -> str:
        """Name of the remote call."""

    def message(self, tile: Prepared) -> Any:
        """One message of the stream. A tile that cannot be read goes empty, so it is named."""

    def read(self, result: Any, sent: Sequence[Prepared], simulated: bool) -> Explained:
        """The answer."""


@dataclass(frozen=True)
class LotForwardQuestion:
    """How the property of a lot follows its attributes.

    Attributes:
        attributes: Of the lot.
        vary: Names; empty for all where there are no pairs.
        pairs: Of names.
        steps, sample, seed: 0 for the service's default.
        allow_unfamiliar: As in `Target`.
    """

    attributes: Mapping[str, float]
    vary: str | Sequence[str]
    pairs: Sequence[tuple[str, str]]
    steps: int
    sample: int
    seed: int
    allow_unfamiliar: bool = False
    method: str = "ForwardLot"

    def message(self, tile: Prepared) -> explain_pb2.ForwardLotRequest:
        """See `LotExplainQuestion`."""
        return explain_pb2.ForwardLotRequest(
            tile=_content(tile),
            attributes=attribute_values(self.attributes),
            vary=names_of(self.vary),
            pairs=[
                explain_pb2.AttributePair(first=first, second=second)
                for first, second in self.pairs
            ],
            steps=self.steps,
            sampling=explain_pb2.LotSampling(tiles=self.sample, seed=self.seed),
            allow_unfamiliar=self.allow_unfamiliar,
        )

    def read(
        self, result: explain_pb2.ForwardLotResult, sent: Sequence[Prepared], simulated: bool
    ) -> LotForward:
        """See `LotExplainQuestion`."""
        return lot_convert.lot_forward(result, _failed(result, sent), simulated)


@dataclass(frozen=True)
class LotBackwardQuestion:
    """What to change in a lot to reach a target.

    Attributes:
        attributes: Of the lot.
        target: To be reached by the mean over its tiles.
        model_unit: As `questions.explain_backward` takes it.
        sample, seed: 0 for the service's default.
        alone, front: None for the service's default.
    """

    attributes: Mapping[str, float]
    target: Target
    model_unit: str
    sample: int
    seed: int
    alone: int | None
    front: int | None
    method: str = "BackwardLot"

    def message(self, tile: Prepared) -> explain_pb2.BackwardLotRequest:
        """See `LotExplainQuestion`."""
        return explain_pb2.BackwardLotRequest(
            tile=_content(tile),
            attributes=attribute_values(self.attributes),
            sampling=explain_pb2.LotSampling(tiles=self.sample, seed=self.seed),
            alone=self.alone,
            front_points=self.front,
            **backward_fields(self.target, self.model_unit),
        )

    def read(
        self, result: explain_pb2.BackwardLotResult, sent: Sequence[Prepared], simulated: bool
    ) -> LotBackward:
        """See `LotExplainQuestion`; OtherUnit where the property is in another unit."""
        if result.unit != self.model_unit:
            raise OtherUnit(result.unit)
        return lot_convert.lot_backward(result, _failed(result, sent), simulated)


def _content(tile: Prepared) -> tile_pb2.Tile:
    return tile.message or tile_pb2.Tile(tile_id=tile.tile_id, lot_id=tile.lot_id)


def _failed(result: Any, sent: Sequence[Prepared]) -> tuple[TileFailure, ...]:
    """What could not be read here says why, not that it came empty."""
    unread = {tile.tile_id: tile.error for tile in sent if tile.error is not None}
    return tuple(
        TileFailure(
            each.tile_id, result.lot_id, unread.get(each.tile_id) or error_of_tile(each.error)
        )
        for each in result.tiles.failed
    )
