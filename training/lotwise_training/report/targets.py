"""What the project set out to reach, what was published, and what was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

from lotwise_training.evaluation.classification import Difference, Tables
from lotwise_training.evaluation.predictions import DROPOUT, ENSEMBLE, SINGLE, TEST
from lotwise_training.evaluation.tile_sets import (
    METHOD_WORDS,
    SPLITS,
    TILE_RANDOM,
    TILE_RANDOM_SHORT,
)
from lotwise_training.report.wording import signed


@dataclass(frozen=True)
class Published:
    """Figures of Zhang et al. 2020, on their lots: Table 1, and Figure 5 as the text states it.

    Attributes:
        accuracy: Share, as the next.
        nll: Nats.
        ece: 20 equal bins.
        error_at_90: Error at 90% coverage.
    """

    accuracy: float
    nll: float
    ece: float
    error_at_90: float


PUBLISHED: Final = MappingProxyType(
    {
        SINGLE: Published(0.923, 0.919, 0.0538, 0.035),
        DROPOUT: Published(0.921, 0.903, 0.0279, 0.035),
        ENSEMBLE: Published(0.953, 0.920, 0.0152, 0.015),
    }
)
"""Their ensemble had 16 members, their dropout 16 passes."""

LEAST_ACCURACY: Final = 0.953
SINGLE_ACCURACY: Final = 0.92
SINGLE_WITHIN: Final = 0.015
"""What "about" means: not a merit but the benchmark's difficulty, so neither side is better."""
MOST_ECE: Final = 0.015
MOST_NLL: Final = 0.20
MOST_ERROR_AT_90: Final = 0.010


@dataclass(frozen=True)
class Target:
    """One target.

    Attributes:
        what: Of which figure.
        wanted, measured, published: In words with units; empty where there is nothing to say.
        reached: None where nothing was measured.
        value: What was measured: share, or nats for NLL; None for targets of several figures.
    """

    what: str
    wanted: str
    measured: str
    published: str
    reached: bool | None
    value: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return asdict(self)


def targets(tables: Tables) -> tuple[Target, ...]:
    """The project's targets beside what was measured: on tile-random as published, then on all."""
    ensemble = tables.find(TILE_RANDOM, ENSEMBLE)
    single = tables.find(TILE_RANDOM, SINGLE)
    paper, paper_single = PUBLISHED[ENSEMBLE], PUBLISHED[SINGLE]
    accuracy = ensemble.accuracy if ensemble else None
    alone = single.accuracy if single else None
    ece = ensemble.ece if ensemble else None
    nll = ensemble.nll if ensemble else None
    error = ensemble.error_at_90 if ensemble else None
    first = (
        Target(
            "accuracy of the ensemble",
            f"at least {LEAST_ACCURACY:.1%}",
            _percent(accuracy),
            f"{paper.accuracy:.1%}",
            None if accuracy is None else accuracy >= LEAST_ACCURACY,
            accuracy,
        ),
        Target(
            "accuracy of a single network",
            f"{SINGLE_ACCURACY:.0%} within {100 * SINGLE_WITHIN:.1f} points",
            _percent(alone),
            f"{paper_single.accuracy:.1%}",
            None if alone is None else abs(alone - SINGLE_ACCURACY) <= SINGLE_WITHIN,
            alone,
        ),
        Target(
            "ECE of the ensemble, as trained",
            f"at most {MOST_ECE:.1%}",
            _percent(ece),
            f"{paper.ece:.2%}",
            None if ece is None else ece <= MOST_ECE,
            ece,
        ),
        Target(
            "NLL of the ensemble",
            f"at most {MOST_NLL:.2f} nats",
            "" if nll is None else f"{nll:.3f} nats",
            f"{paper.nll:.3f} nats",
            None if nll is None else nll <= MOST_NLL,
            nll,
        ),
        Target(
            "error of the ensemble at 90% coverage",
            f"at most {MOST_ERROR_AT_90:.1%}",
            _percent(error),
            f"{paper.error_at_90:.1%}",
            None if error is None else error <= MOST_ERROR_AT_90,
            error,
        ),
    )
    by_place = {(each.split, each.other): each for each in tables.differences if each.set == TEST}
    return first + tuple(
        _beats(split, other, by_place.get((split, other)))
        for split in SPLITS
        if split != TILE_RANDOM_SHORT
        for other in (SINGLE, DROPOUT)
    )


def _beats(split: str, other: str, difference: Difference | None) -> Target:
    paper, theirs = PUBLISHED[ENSEMBLE], PUBLISHED[other]
    published = (
        _gain(paper.accuracy - theirs.accuracy, paper.nll - theirs.nll)
        if split == TILE_RANDOM
        else ""
    )
    return Target(
        f"{split}: beats {METHOD_WORDS[other]}",
        "higher accuracy, lower NLL",
        "" if difference is None else _gain(difference.accuracy, difference.nll),
        published,
        None if difference is None else difference.beaten,
    )


def _gain(accuracy: float, nll: float) -> str:
    return f"{signed(100 * accuracy, 2)} points, {signed(nll, 3)} nats"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"
