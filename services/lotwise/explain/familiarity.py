"""What is explained, and what is refused because the regressor knows no such tiles.

A regressor answers to any picture, and an editor edits it. What they say of a tile unlike all that
they learned from is worth nothing, so it is refused, unless the caller insists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lotwise.core.errors import InvalidRequest, InvalidTile

MOST_UNFAMILIAR: Final = 0.5
"""Share of a lot's sample; beyond it the lot is as strange as its tiles."""


def admit(familiarity: float | None, limit: float, *, anyhow: bool) -> None:
    """Refuse a strange tile.

    Args:
        familiarity: Its p-value among known tiles; None where nobody can say.
        limit: Below it a tile is strange.
        anyhow: Whether it is explained all the same.

    Raises:
        InvalidTile: TILE_UNFAMILIAR.
    """
    if is_unfamiliar(familiarity, limit) and not anyhow:
        raise InvalidTile(
            "TILE_UNFAMILIAR",
            f"The tile looks like none that the models know: its familiarity is "
            f"{familiarity:.2g}, below {limit:g}. An explanation of it means nothing; set "
            "allow_unfamiliar to have it all the same.",
        )


def admit_lot(
    familiarities: Sequence[float] | None, limit: float, sampled: int, *, anyhow: bool
) -> list[bool]:
    """Which tiles of a lot's sample are strange.

    Args:
        familiarities: Of the tiles, as in `admit`; None where nobody can say.
        limit: Below it a tile is strange.
        sampled: How many tiles there are.
        anyhow: Whether a lot is explained of which most are.

    Raises:
        InvalidRequest: LOT_UNFAMILIAR.
    """
    if familiarities is None:
        return [False] * sampled
    unfamiliar = [is_unfamiliar(each, limit) for each in familiarities]
    if sum(unfamiliar) > MOST_UNFAMILIAR * sampled and not anyhow:
        raise InvalidRequest(
            "LOT_UNFAMILIAR",
            f"{sum(unfamiliar)} of {sampled} tiles of the lot look like none that the models "
            "know. An explanation of it means nothing; set allow_unfamiliar to have it all the "
            "same.",
        )
    return unfamiliar


def is_unfamiliar(familiarity: float | None, limit: float) -> bool:
    """Whether a tile is strange, as far as anybody can say."""
    return familiarity is not None and familiarity < limit
