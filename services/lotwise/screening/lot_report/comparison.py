"""Two screenings side by side: of two lots, or of one lot under other models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

import numpy as np

from lotwise.screening.lot_report.figures import overlay_figure
from lotwise.screening.lot_report.gathering import Gathered, gather
from lotwise.screening.lot_report.page import drawn, render
from lotwise.screening.lot_report.wording import kind_of, number, readable, reason_of, share
from lotwise.store import ChangedLot, ChangedTile, Lot, Store

LISTED: Final = 200
"""Changed tiles that a page lists; the others are counted."""
_NO_RESULT: Final = "no result"


@dataclass(frozen=True)
class Line:
    """One thing that is said of both.

    Attributes:
        label: What it is.
        first, second: What it is of each.
    """

    label: str
    first: str
    second: str

    @property
    def differs(self) -> bool:
        """Whether the two say otherwise."""
        return self.first != self.second


@dataclass(frozen=True)
class Changes:
    """What another screening of the same tiles says otherwise.

    Attributes:
        transitions: ((before, after), tiles), the commonest first; of changed tiles alone.
        tiles: The first `LISTED` changed tiles in the order of the mosaic.
        lots: All lots of the store that the two sets of models judge otherwise.
    """

    transitions: tuple[tuple[tuple[str, str], int], ...]
    tiles: tuple[ChangedTile, ...]
    lots: tuple[ChangedLot, ...]

    @property
    def count(self) -> int:
        """Changed tiles."""
        return sum(tiles for _, tiles in self.transitions)


@dataclass(frozen=True)
class Compared:
    """Two screenings side by side.

    Attributes:
        first, second: What a report says of each, the property in one unit.
        names: How they are called, different ones.
        lines: What is said of both, line by line.
        warnings: What a reader must know before comparing, sentences.
        changes: Of two screenings of one lot; None of two lots.
    """

    first: Gathered
    second: Gathered
    names: tuple[str, str]
    lines: tuple[Line, ...]
    warnings: tuple[str, ...]
    changes: Changes | None


def compare_lots(
    store: Store,
    first: Lot,
    second: Lot,
    *,
    numbers: tuple[int | None, int | None] = (None, None),
    unit: str = "",
) -> Compared:
    """Compare two lots.

    Args:
        store: To read.
        first: One lot.
        second: The other.
        numbers: Of their screenings, each from 1; None for the last.
        unit: As of `gather`.

    Raises:
        InvalidRequest: REPORT_UNIT_UNKNOWN.
        NotFound: SCREENING_UNKNOWN.
        StoreError: As of `Store.open`.
    """
    one = gather(store, first, numbers[0], unit=unit, most_tiles=0)
    other = gather(store, second, numbers[1], unit=unit or one.unit, most_tiles=0)
    # Lots of one name are told apart by their source.
    names = (first.shown, second.shown) if first.key != second.key else _by_number(one, other)
    return _compared(one, other, names, None)


def compare_screenings(
    store: Store, lot: Lot, before: int, after: int, *, unit: str = ""
) -> Compared:
    """Compare two screenings of one lot, with all that has changed.

    Args:
        store: To read.
        lot: Whose.
        before: Number of one of its screenings, from 1.
        after: Of the other.
        unit: As of `gather`.

    Raises:
        InvalidRequest: REPORT_UNIT_UNKNOWN.
        NotFound: SCREENING_UNKNOWN.
        StoreError: As of `Store.open`.
    """
    one = gather(store, lot, before, unit=unit, most_tiles=0)
    other = gather(store, lot, after, unit=unit or one.unit, most_tiles=0)
    counts: Counter[tuple[str, str]] = Counter()
    listed: list[ChangedTile] = []
    changed = store.changed_tiles(one.screening.key, other.screening.key)
    with closing(cast(Any, changed)) as tiles:
        for each in tiles:
            counts[each.before or _NO_RESULT, each.after or _NO_RESULT] += 1
            if len(listed) < LISTED:
                listed.append(each)
    lots = store.changed_lots(one.screening.fingerprint, other.screening.fingerprint)
    changes = Changes(tuple(counts.most_common()), tuple(listed), tuple(lots))
    return _compared(one, other, _by_number(one, other), changes)


def comparison_page(compared: Compared, made: datetime) -> str:
    """The comparison as one HTML file that refers to nothing outside of itself.

    Args:
        compared: What is compared.
        made: When, UTC.
    """
    figure = None
    if any(each.done > each.failed for each in (compared.first, compared.second)):
        names = cast("tuple[str, str]", tuple(readable(name, 70) for name in compared.names))
        figure = drawn(
            overlay_figure(compared.first, compared.second, names),
            "overlay",
            "Histograms of familiarity, chance of error and the property of both",
        )
    return render(
        "comparison.html.j2", made, it=compared, figure=figure, no_result=_NO_RESULT, listed=LISTED
    )


def _by_number(one: Gathered, other: Gathered) -> tuple[str, str]:
    return (
        f"screening {one.number} ({one.screening.started:%Y-%m-%d %H:%M} UTC)",
        f"screening {other.number} ({other.screening.started:%Y-%m-%d %H:%M} UTC)",
    )


def _compared(
    one: Gathered, other: Gathered, names: tuple[str, str], changes: Changes | None
) -> Compared:
    lines = [Line(label, said(one), said(other)) for label, said in _LINES]
    said = tuple(line for line in lines if (line.first, line.second) != ("–", "–"))
    return Compared(one, other, names, said, tuple(_warnings(one, other, changes)), changes)


def _warnings(one: Gathered, other: Gathered, changes: Changes | None) -> list[str]:
    told = []
    same = one.screening.fingerprint == other.screening.fingerprint
    if not same and changes is None:
        told.append(
            "The two were screened with other models, another policy or another pixel size: a "
            "difference may come from these, not from the material."
        )
    if same and changes is not None:
        told.append("Both are one and the same screening.")
    for each, which in ((one, "first"), (other, "second")):
        if each.screening.outcome is None:
            told.append(f"The {which} is not finished: its numbers are of its tiles so far.")
    if one.simulated != other.simulated:
        told.append("One of the two is simulated, the other is not.")
    return told


def _verdict(each: Gathered) -> str:
    outcome = each.screening.outcome
    return readable(outcome.verdict, 40).upper() if outcome else "NOT FINISHED"


def _reasons(each: Gathered) -> str:
    outcome = each.screening.outcome
    found = outcome.reasons if outcome else ()
    return ", ".join(readable(reason_of(reason), 60) for reason in found) or "–"


def _against(each: Gathered) -> str:
    if not each.done:
        return "–"
    return share((each.referred + each.failed) / each.done)


def _bounds(each: Gathered) -> str:
    shares = each.said.shares
    if shares.lower is None or shares.upper is None or shares.confidence is None:
        return "–"
    return f"{share(shares.lower)} to {share(shares.upper)}, each at {share(shares.confidence)}"


def _property(each: Gathered) -> str:
    if each.mean is None:
        return "–"
    spread = f" ± {number(each.sd, each.mean)}" if each.sd is not None else ""
    return f"{number(each.mean)}{spread} {readable(each.unit, 20)}"


def _interval(each: Gathered) -> str:
    if each.interval is None:
        return "–"
    low, high = each.interval
    coverage = each.said.interval.coverage if each.said.interval else None
    for_share = f" ({share(coverage)} of lots)" if coverage is not None else ""
    return f"{number(low, high)} to {number(high)} {readable(each.unit, 20)}{for_share}"


def _median(which: str) -> Callable[[Gathered], str]:
    def median(each: Gathered) -> str:
        values = getattr(each.columns, which)
        known = values[np.isfinite(values)]
        return f"{float(np.median(known)):.3f}" if len(known) else "–"

    return median


def _looks_like(each: Gathered) -> str:
    name = each.said.looks_like or (each.looks_like[0][0] if each.looks_like else "")
    part = each.said.looks_like_share
    return (readable(name, 60) or "–") + (f" ({share(part)})" if name and part else "")


def _kind(each: Gathered) -> str:
    if each.said.strange is None:
        return "–"
    kind, probability = each.said.strange.kinds[0]
    return f"{reason_of(_KIND_TITLES.get(kind_of(kind), kind))} ({share(probability)})"


def _p_value(which: str) -> Callable[[Gathered], str]:
    def p_value(each: Gathered) -> str:
        value = getattr(each.said.strange, which, None)
        return "–" if value is None else f"{value:.3f}"

    return p_value


def _models(each: Gathered) -> str:
    return (
        ", ".join(
            f"{readable(model.name, 40)} {readable(model.version, 30)} "
            f"({readable(model.weights_sha256, 64)[:12]})"
            for model in each.provenance.models
        )
        or "–"
    )


_KIND_TITLES: Final = {
    "none": "no change",
    "instrument": "instrument shift",
    "synthesis": "unseen synthesis",
}
_LINES: Final[tuple[tuple[str, Callable[[Gathered], str]], ...]] = (
    ("verdict", _verdict),
    ("reasons", _reasons),
    ("property", _property),
    ("interval of the lot", _interval),
    ("tiles in the lot", lambda each: f"{each.progress.tiles:,}"),
    ("accepted", lambda each: f"{each.accepted:,}"),
    ("referred", lambda each: f"{each.referred:,}"),
    ("failed", lambda each: f"{each.failed:,}"),
    ("without a result", lambda each: f"{each.pending:,}" if each.pending else "–"),
    ("referred or failed", _against),
    ("bounds of that share in the lot", _bounds),
    ("median familiarity (p-value)", _median("familiarity")),
    ("median chance of error", _median("score")),
    ("median entropy (nats)", _median("entropy")),
    ("looks like", _looks_like),
    ("likeliest change", _kind),
    ("p-value: a known lot?", _p_value("known")),
    ("p-value: same instrument?", _p_value("instrument")),
    ("p-value: one lot?", _p_value("mixed")),
    ("models", _models),
    ("policy", lambda each: readable(each.provenance.policy, 60) or "–"),
    ("simulated lot", lambda each: "SIMULATED" if each.lot.simulated else "no"),
    ("models learned from", lambda each: "SIMULATED lots" if each.provenance.simulated else "–"),
)
