"""Tile -> what the fold networks say of it; tiles -> where the property of their lot lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lotwise.core.conformal import Array, require_certifiable
from lotwise.core.errors import Contradiction, NotFound
from lotwise.core.intervals import IntervalCalibration, PropertyInterval
from lotwise.core.preprocessing import prepare
from lotwise.core.quality import Quality
from lotwise.core.signature import PropertySpec
from lotwise.core.tile import DecodedTile
from lotwise.runtime.inference import Inference, ServedModel


@dataclass(frozen=True)
class FoldAnswers:
    """What the fold networks say of one tile.

    Attributes:
        values: float64 [K], in `specification.unit`.
        specification: The property.
        quality: Of the picture.
        model: The networks.
    """

    values: Array
    specification: PropertySpec
    quality: Quality
    model: ServedModel


class IntervalHandler:
    """Asks the fold networks and makes intervals of what they say.

    Args:
        inference: The engine.
        model: Name of the fold networks in the model repository.
        calibration: Of their intervals, or why there is none: every question then ends with it.
    """

    def __init__(
        self, inference: Inference, model: str, calibration: IntervalCalibration | Contradiction
    ) -> None:
        self.inference = inference
        self._model = model
        self._calibration = calibration

    @property
    def calibration(self) -> IntervalCalibration:
        """The calibration.

        Raises:
            Contradiction: INTERVALS_MISSING or INTERVALS_INVALID.
        """
        if isinstance(self._calibration, Contradiction):
            # Not the stored one: it would gather the traces of all calls.
            raise type(self._calibration)(self._calibration.reason, self._calibration.message)
        return self._calibration

    def check(self, coverage: float | None) -> None:
        """Refuse a coverage that no interval can have, before any network is asked.

        Raises:
            InvalidRequest: COVERAGE_OUT_OF_RANGE or COVERAGE_UNCERTIFIABLE.
            Contradiction: As `calibration`.
        """
        wanted = self.calibration.coverage if coverage is None else coverage
        require_certifiable(wanted, self.calibration.recipes)

    async def ask(self, tile: DecodedTile) -> FoldAnswers:
        """What the fold networks say of a tile.

        Raises:
            InvalidTile: No signal, or not at the networks' scale.
            Contradiction: INTERVALS_MISSING, INTERVALS_INVALID, or INTERVALS_MISMATCH where other
                networks are served than those that were calibrated.
            InferenceError: The engine gave no answer.
        """
        calibration = self.calibration
        try:
            served = await self.inference.describe(self._model)
        except NotFound:
            raise Contradiction(
                "INTERVALS_MISSING",
                f"The engine serves no model '{self._model}', whose answers intervals are made of. "
                "Export it with `lotwise-train export`.",
            ) from None
        metadata = served.signature.metadata
        if (
            metadata.weights_sha256 != calibration.weights_sha256
            or metadata.members != calibration.folds
            or metadata.property is None
            or metadata.geometry is None
        ):
            raise Contradiction(
                "INTERVALS_MISMATCH",
                f"Calibration {calibration.calibration_version} belongs to other weights than "
                f"those of '{self._model}' that are served. Run `lotwise-train regressor` and "
                "`lotwise-train export` again.",
            )
        prepared = prepare(tile, metadata.geometry)
        answer = await self.inference.infer(self._model, {"image": prepared.image}, ["property"])
        values = answer["property"][0, :, 0].astype(np.float64)
        return FoldAnswers(values, metadata.property, prepared.quality, served)

    def tile_interval(self, answers: FoldAnswers, coverage: float | None) -> PropertyInterval:
        """Where the property of the tile's lot lies.

        Raises:
            InvalidRequest: As `check`.
        """
        return self.calibration.tile_interval(answers.values, coverage)

    def lot_interval(
        self, answers: Sequence[FoldAnswers], coverage: float | None
    ) -> PropertyInterval:
        """Where the property of a lot lies, by the mean over its tiles.

        Raises:
            InvalidRequest: LOT_TOO_FEW_TILES; as `check`.
        """
        values = np.array([each.values for each in answers]).reshape(-1, self.calibration.folds)
        return self.calibration.lot_interval(values, coverage)
