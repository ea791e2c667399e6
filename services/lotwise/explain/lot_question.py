"""What a lot's explanation is asked for, and what of it makes no sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

from lotwise.core.errors import InvalidRequest
from lotwise.explain.question import (
    BackwardQuestion,
    Floats,
    check_once,
    grid_of,
    index_of,
)

DEFAULT_SAMPLE: Final = 64
MAX_SAMPLE: Final = 256
"""Tiles; each holds about a megabyte of what the encoder gives."""
DEFAULT_ALONE: Final = 8
DEFAULT_FRONT: Final = 6
MAX_FRONT: Final = 32
DEFAULT_LOT_EVALUATIONS: Final = 100


@dataclass(frozen=True)
class Sampling:
    """Which tiles of a lot are worked on.

    Attributes:
        tiles: How many; 0 for DEFAULT_SAMPLE.
        seed: Of the draw, and of the bootstrap.
    """

    tiles: int = 0
    seed: int = 0

    @property
    def size(self) -> int:
        """How many tiles, never 0."""
        return self.tiles or DEFAULT_SAMPLE

    def check(self) -> None:
        """Look whether the number makes sense.

        Raises:
            InvalidRequest: SAMPLE_TOO_LARGE.
        """
        if self.tiles > MAX_SAMPLE:
            raise InvalidRequest(
                "SAMPLE_TOO_LARGE", f"A sample may have {MAX_SAMPLE} tiles at most."
            )


@dataclass(frozen=True)
class LotOfTiles:
    """Which lot, and what the caller knows of it.

    Attributes:
        lot_id: Its name.
        attributes: By name, in 0-1; may be empty where the model knows the lot.
        sampling: Which tiles.
        allow_unfamiliar: Whether tiles that look like none that the models know count, too.
    """

    lot_id: str
    attributes: Mapping[str, float]
    sampling: Sampling
    allow_unfamiliar: bool = False


@dataclass(frozen=True)
class LotForwardQuestion:
    """Attributes to vary, one at a time or in pairs.

    Attributes:
        lot: Which.
        vary: Names; empty for all where no pair is named.
        steps: Values of each; 0 for the default.
        pairs: To vary together.
    """

    lot: LotOfTiles
    vary: tuple[str, ...] = ()
    steps: int = 0
    pairs: tuple[tuple[str, str], ...] = ()

    def check(self) -> None:
        """Look whether it makes sense, whatever the model.

        Raises:
            InvalidRequest: STEPS_OUT_OF_RANGE, SAMPLE_TOO_LARGE, ATTRIBUTE_TWICE.
        """
        self.lot.sampling.check()
        check_once(self.vary)
        for varied in self.pairs or [("",)]:
            grid_of(varied, self.steps)

    def sweeps(self, names: tuple[str, ...]) -> list[tuple[tuple[str, ...], Floats]]:
        """What is varied together, with the values that it takes.

        Args:
            names: Of the model's attributes.

        Returns:
            One name or two each, and float64 [steps ** attributes, attributes].

        Raises:
            InvalidRequest: ATTRIBUTE_UNKNOWN.
        """
        alone = self.vary if self.vary or self.pairs else names
        varied: list[tuple[str, ...]] = [*((name,) for name in alone), *self.pairs]
        for name in chain.from_iterable(varied):
            index_of(names, name)
        return [(each, grid_of(each, self.steps)) for each in varied]


@dataclass(frozen=True)
class LotBackwardQuestion:
    """A target of the mean over a lot's tiles, and what may be changed to reach it.

    Attributes:
        lot: Which.
        change: Target and what may change.
        alone: Tiles that are searched each on its own.
        front: Points of the front of cost against property.
    """

    lot: LotOfTiles
    change: BackwardQuestion
    alone: int = DEFAULT_ALONE
    front: int = DEFAULT_FRONT

    def check(self) -> None:
        """Look whether it makes sense, whatever the model.

        Raises:
            InvalidRequest: SAMPLE_TOO_LARGE, FRONT_OUT_OF_RANGE, or as `BackwardQuestion.check`.
        """
        self.lot.sampling.check()
        self.change.check()
        if self.front > MAX_FRONT:
            raise InvalidRequest("FRONT_OUT_OF_RANGE", f"front_points may be {MAX_FRONT} at most.")
