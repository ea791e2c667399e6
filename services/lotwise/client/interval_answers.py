"""What the uncertainty service answers on where a lot's property lies, as plain Python values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lotwise.client.answers import Answer, TileFailure
from lotwise.client.provenance import Provenance
from lotwise.client.quantity import Quantity


@dataclass(frozen=True, kw_only=True)
class PropertyInterval:
    """Where the property of a lot lies; docs/intervals.md says how it comes about.

    Attributes:
        kind: "tile": by one tile; "lot": by the mean over many.
        property_name: Such as "peak stress".
        point: Median of what the networks say; within the interval.
        lower, upper: Its ends.
        coverage: Nominal: the share of new lots whose property such an interval is to hold.
        guaranteed_coverage: What theory guarantees of it; 0 for nothing.
        calibration_lots, calibration_recipes: How many calibrated it.
        guarantee: The same in words.
        calibration_version: Name of the calibration.
    """

    kind: Literal["tile", "lot"]
    property_name: str
    point: Quantity
    lower: Quantity
    upper: Quantity
    coverage: float
    guaranteed_coverage: float
    calibration_lots: int
    calibration_recipes: int
    guarantee: str
    calibration_version: str


@dataclass(frozen=True, kw_only=True)
class TileInterval(Answer):
    """Where the property of a tile's lot lies, by this tile alone."""

    interval: PropertyInterval


@dataclass(frozen=True, kw_only=True)
class LotInterval:
    """Where the property of a lot lies, by the mean over its tiles.

    Attributes:
        lot_id: Of the lot.
        interval: Of its property.
        tiles: Over how many the mean is.
        poor_tiles: How many of them are of poor quality.
        failed: Those that could not be used; they are not in the mean.
        provenance: Which networks gave the answer.
        simulated: Whether `lot.json` beside the tiles says that the lot is simulated.
    """

    lot_id: str
    interval: PropertyInterval
    tiles: int
    poor_tiles: int
    failed: tuple[TileFailure, ...]
    provenance: Provenance
    simulated: bool = False

    @property
    def trained_on_simulated_lots(self) -> bool:
        """Whether any network behind the interval learned from simulated lots alone."""
        return any(model.trained_on_simulated_lots for model in self.provenance.models)
