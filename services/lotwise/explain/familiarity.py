"""Whether the networks know such tiles, and whether edited pictures look like real ones.

A regressor answers to any picture, and an editor edits it. What they say of a tile unlike all that
they learned from is worth nothing, so it is refused, unless the caller insists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from lotwise.core.errors import InvalidRequest, InvalidTile
from lotwise.core.tile import Grey
from lotwise.runtime.tiles import of_pixels
from lotwise.v1 import tile_pb2, uncertainty_pb2

AT_ONCE: Final = 8
"""Pictures that are asked about at the same time."""
MOST_UNFAMILIAR: Final = 0.5
"""Share of a lot's sample; beyond it the lot is as strange as its tiles."""


class Uncertainty(Protocol):
    """Asks the uncertainty service about one tile."""

    async def assess(self, tile: tile_pb2.Tile) -> uncertainty_pb2.AssessResponse:
        """Raises LotwiseError as that service does."""
        ...


@dataclass(frozen=True)
class Familiarity:
    """How familiar a tile is.

    Attributes:
        value: P-value among known tiles.
        unfamiliar: Whether it is below the limit.
        committee: That gave the number.
        calibration_version: Of the known tiles.
    """

    value: float
    unfamiliar: bool
    committee: tile_pb2.ModelVersion
    calibration_version: str


class Onlooker:
    """Looks at tiles before they are explained, and at pictures that were edited.

    Args:
        uncertainty: The uncertainty service; None where nobody asks it.
        limit: Of familiarity.
    """

    def __init__(self, uncertainty: Uncertainty | None, limit: float) -> None:
        self._uncertainty = uncertainty
        self._limit = limit

    async def admit(self, tile: tile_pb2.Tile, *, anyhow: bool) -> Familiarity | None:
        """How familiar a tile is; None where nobody can say.

        Args:
            tile: As it came.
            anyhow: Whether an unfamiliar one is explained, too.

        Raises:
            InvalidTile: TILE_UNFAMILIAR, or as the uncertainty service says.
            InferenceError: That service gave no answer.
        """
        if self._uncertainty is None:
            return None
        answer = await self._uncertainty.assess(tile)
        value = answer.familiarity
        if value < self._limit and not anyhow:
            raise InvalidTile(
                "TILE_UNFAMILIAR",
                f"The tile looks like none that the models know: its familiarity is {value:.2g}, "
                f"below {self._limit:g}. An explanation of it means nothing; set allow_unfamiliar "
                "to have it all the same.",
            )
        return Familiarity(
            value,
            value < self._limit,
            answer.provenance.models[0],
            answer.calibration.version,
        )

    async def admit_lot(
        self, images: Sequence[Grey], um_per_px: float, *, anyhow: bool
    ) -> list[bool]:
        """Which tiles of a lot's sample are unfamiliar.

        Args:
            images: uint8 [px, px] each, at least one.
            um_per_px: Of their pixels.
            anyhow: Whether a lot is explained of which most are.

        Raises:
            InvalidRequest: LOT_UNFAMILIAR.
            InvalidTile, InferenceError: As `admit`.
        """
        if not self._limit:
            return [False] * len(images)  # nothing is below it: a whole sample need not be asked
        values = await self.familiarities(images, um_per_px)
        unfamiliar = [value is not None and value < self._limit for value in values]
        if sum(unfamiliar) > MOST_UNFAMILIAR * len(images) and not anyhow:
            raise InvalidRequest(
                "LOT_UNFAMILIAR",
                f"{sum(unfamiliar)} of {len(images)} tiles of the lot look like none that the "
                "models know. An explanation of it means nothing; set allow_unfamiliar to have it "
                "all the same.",
            )
        return unfamiliar

    async def familiarities(
        self, images: Sequence[Grey], um_per_px: float
    ) -> list[float] | list[None]:
        """How familiar pictures are, one by one; None for each where nobody can say.

        Args:
            images: uint8 [px, px] each.
            um_per_px: Of their pixels.

        Raises:
            InferenceError: The uncertainty service gave no answer.
        """
        uncertainty = self._uncertainty
        if uncertainty is None:
            return [None] * len(images)
        free = asyncio.Semaphore(AT_ONCE)

        async def one(image: Grey) -> float:
            async with free:
                return await _familiarity(uncertainty, of_pixels(image, um_per_px))

        tasks = [asyncio.create_task(one(image)) for image in images]
        try:
            return [await task for task in tasks]
        finally:
            # Where one failed, or the caller has gone, nobody waits for the others.
            for task in tasks:
                task.cancel()


async def _familiarity(uncertainty: Uncertainty, tile: tile_pb2.Tile) -> float:
    try:
        return (await uncertainty.assess(tile)).familiarity
    except InvalidTile:
        return 0.0  # black or saturated: no picture of a powder at all
