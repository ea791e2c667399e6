"""Recipe of the learning curve, from which it is planned how many tiles are worth their while."""

from __future__ import annotations

from dataclasses import dataclass

from lotwise_training.config.schema import SPLITS, NetworkRecipe


@dataclass(frozen=True, slots=True)
class PlanRecipe:
    """Committees that learn from ever more of the tiles.

    Attributes:
        split: Which tiles they learn from, are calibrated on and are asked about.
        shares: Of the training tiles, rising; a point of the curve each.
        members: Networks of each point's committee.
        parallel, max_seconds: As of a committee's recipe.
        asked_tiles: Of the test and of the validation tiles, at most: they tell accuracies apart.
        resamples: Of networks and tiles, for the interval of what is predicted.
        network: How each is trained.
    """

    split: str
    shares: tuple[float, ...]
    members: int
    parallel: int
    max_seconds: float
    asked_tiles: int
    resamples: int
    network: NetworkRecipe

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {self.split!r}")
        if len(self.shares) < 3 or list(self.shares) != sorted(set(self.shares)):
            raise ValueError(f"shares must be three at least and rise, not {self.shares!r}")
        if not self.shares[0] > 0.0 or self.shares[-1] > 1.0:
            raise ValueError(f"shares must lie in 0..1, not {self.shares!r}")
        for name in ("members", "parallel", "max_seconds", "asked_tiles", "resamples"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)!r}")
