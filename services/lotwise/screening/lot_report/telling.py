"""The few of many referred tiles that a report shows: of each reason those that show it most."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

from lotwise.screening.lot_report.wording import reason_of
from lotwise.store import StoredResult

_OTHER = "other reasons"
_MOST_REASONS = 16


@dataclass(frozen=True)
class ReasonGroup:
    """Referred tiles with one weightiest reason.

    Attributes:
        reason: For people.
        tiles: How many there are.
        shown: The most telling of them, the most telling first.
    """

    reason: str
    tiles: int
    shown: tuple[StoredResult, ...]


class TellingTiles:
    """Keeps the most telling of the referred tiles that it is given, and forgets the others.

    Args:
        most: Tiles that are shown in the end; so many are kept of each reason.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._order = itertools.count()
        self._counts: dict[str, int] = {}
        self._heaps: dict[str, list[tuple[float, int, StoredResult]]] = {}

    def add(self, tile: StoredResult) -> None:
        """Look at one more referred tile.

        Args:
            tile: With its result.
        """
        reasons = tile.result.reasons
        reason = reason_of(reasons[0]) if reasons else "no reason stated"
        if reason not in self._counts and len(self._counts) >= _MOST_REASONS:
            reason = _OTHER
        self._counts[reason] = self._counts.get(reason, 0) + 1
        if self._most < 1:
            return
        heap = self._heaps.setdefault(reason, [])
        # Of equals the first stay, so that the same screening gives the same report.
        entry = (_strangeness(tile, reason), -next(self._order), tile)
        if len(heap) < self._most:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)

    def groups(self) -> tuple[ReasonGroup, ...]:
        """Of every reason a fair part, the commonest reason first."""
        reasons = sorted(self._counts, key=lambda reason: -self._counts[reason])
        left = {reason: len(self._heaps.get(reason, ())) for reason in reasons}
        parts = dict.fromkeys(reasons, 0)
        free = self._most
        while free > 0 and any(left.values()):
            for reason in reasons:
                if left[reason] and free > 0:
                    parts[reason] += 1
                    left[reason] -= 1
                    free -= 1
        return tuple(
            ReasonGroup(
                reason,
                self._counts[reason],
                tuple(
                    entry[2] for entry in heapq.nlargest(parts[reason], self._heaps.get(reason, []))
                ),
            )
            for reason in reasons
        )


def _strangeness(tile: StoredResult, reason: str) -> float:
    """Of two tiles with this reason the one with the larger number shows it more."""
    if reason == "ambiguous":
        return tile.result.score if tile.result.score is not None else -1.0
    familiarity = tile.result.familiarity
    return -familiarity if familiarity is not None else -2.0
