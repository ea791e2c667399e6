"""What the explain service answers of whole lots, as plain Python values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lotwise.client.answers import TileFailure
from lotwise.client.explanations import AttributeChange, EditedImage
from lotwise.client.provenance import Provenance
from lotwise.client.quantity import Quantity


@dataclass(frozen=True)
class Spread:
    """Of a property over the tiles of a lot."""

    lower_quartile: Quantity
    median: Quantity
    upper_quartile: Quantity
    mean: Quantity


@dataclass(frozen=True)
class MeanOverTiles:
    """A mean over tiles, and its 95% bootstrap interval over the tiles.

    It says how well the sample stands for the lot, not how far the networks are right.
    """

    mean: Quantity
    lower: Quantity
    upper: Quantity


@dataclass(frozen=True)
class NumberSpread:
    """As `Spread`, of a change of an attribute."""

    lower_quartile: float
    median: float
    upper_quartile: float
    mean: float


@dataclass(frozen=True)
class LotCurve:
    """The property of a lot along one attribute.

    Attributes:
        attribute: The one that is varied.
        points: (its value, the property over the tiles), rising.
        sensitivity: Derivative at the lot as it is, in the property's unit per whole range.
    """

    attribute: str
    points: tuple[tuple[float, Spread], ...]
    sensitivity: MeanOverTiles


@dataclass(frozen=True)
class LotSurface:
    """The property of a lot over two attributes.

    Attributes:
        first, second: Their names.
        points: Every pair of values, 0 to 1, the second attribute's running faster; and the
            property over the tiles then.
    """

    first: str
    second: str
    points: tuple[tuple[float, float, Spread], ...]


@dataclass(frozen=True)
class LotProgress:
    """How far a lot's explanation is.

    Attributes:
        received: Tiles that have arrived.
        judged: Edited tiles that the networks have judged.
        expected: How many there will be; 0 where nobody knows yet.
    """

    received: int
    judged: int
    expected: int


@dataclass(frozen=True, kw_only=True)
class LotAnswer:
    """What every explanation of a lot has.

    Attributes:
        lot_id: Of the lot.
        property_name: Such as "peak stress".
        received: Tiles that arrived.
        usable: Of these, readable and of no poor quality.
        poor: Of poor quality, left out.
        sampled: Worked on: drawn evenly from the usable ones, by `seed`.
        unfamiliar: Of those drawn, how many look like none that the models know; left out, unless
            they were allowed.
        failed: Those that could not be read.
        provenance: Which networks gave the answer.
        ended_by_deadline: Whether time ended it early, with what there was so far.
        simulated: Whether `lot.json` beside the tiles says that the lot is simulated.
    """

    lot_id: str
    property_name: str
    received: int
    usable: int
    poor: int
    sampled: int
    unfamiliar: int
    seed: int
    failed: tuple[TileFailure, ...]
    provenance: Provenance
    ended_by_deadline: bool
    simulated: bool = False

    @property
    def trained_on_simulated_lots(self) -> bool:
        """Whether any network behind the answer learned from simulated lots alone."""
        return any(model.trained_on_simulated_lots for model in self.provenance.models)


@dataclass(frozen=True, kw_only=True)
class LotForward(LotAnswer):
    """How the property of a lot follows its attributes.

    Attributes:
        attributes: The lot as it is, by name, 0 to 1.
        original: The property of the tiles as they are.
        curves: One for each attribute that was varied.
        surfaces: One for each pair.
    """

    attributes: Mapping[str, float]
    original: Spread
    curves: tuple[LotCurve, ...]
    surfaces: tuple[LotSurface, ...] = ()


@dataclass(frozen=True)
class FrontPoint:
    """How far one gets at which cost.

    Attributes:
        cost: Of the change.
        quantity: The mean property after it, over some tiles of the sample.
        attributes: The lot then, by name.
    """

    cost: float
    quantity: Quantity
    attributes: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class LotBackward(LotAnswer):
    """The smallest change of a whole lot that brings the mean over its tiles to a target.

    Attributes:
        target, tolerance: What was asked for, in the model's unit.
        reached: Whether the mean after the change is within tolerance of the target. If not, it
            is the nearest that was found.
        before, after: The property over the tiles.
        after_mean: Its mean after the change.
        changes: One for each attribute of the model, unchanged ones too.
        share_reaching: Share of the tiles that the change brings to the target, or beyond.
        own_changes: What tiles would ask for on their own, by attribute.
        alone, alone_reached: How many tiles were asked, and how many met the target.
        front: How far one gets at which cost, cheapest first.
        image: An edited tile of the sample.
        image_of: Its id.
        evaluations: Evaluations by the searches for one change.
        changed, cost, starts, starts_reached, spread, fidelity, realism: As of
            `BackwardExplanation`; of the tile that is shown, the last.
    """

    target: Quantity
    tolerance: Quantity
    reached: bool
    before: Spread
    after: Spread
    after_mean: MeanOverTiles
    changes: tuple[AttributeChange, ...]
    share_reaching: float
    own_changes: Mapping[str, NumberSpread]
    alone: int
    alone_reached: int
    front: tuple[FrontPoint, ...]
    image: EditedImage
    image_of: str
    evaluations: int
    changed: int
    cost: float
    starts: int
    starts_reached: int
    spread: float
    fidelity: float | None = None
    realism: float | None = None
