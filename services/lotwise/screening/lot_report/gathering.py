"""All that a report needs of a screening, in one pass over its results."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from lotwise.core.errors import InvalidRequest, NotFound
from lotwise.core.pressure import convert
from lotwise.screening.lot_report.reader import Reader
from lotwise.screening.lot_report.said import Provenance, Said, provenance_of, said_of
from lotwise.screening.lot_report.telling import ReasonGroup, TellingTiles
from lotwise.screening.lot_report.wording import kind_of, reason_of
from lotwise.store import Lot, Progress, Screening, Store, StoredResult

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]
TILES: Final = 60
"""Referred tiles that a report shows unless it is told otherwise."""
_MOST_KINDS: Final = 20
_EXAMPLES: Final = 5
_NAN: Final = float("nan")
_NOWHERE: Final = -1


@dataclass(frozen=True, eq=False)
class Columns:
    """Numbers of N tiles in the order of the mosaic; NaN where a tile has none.

    Attributes:
        familiarity, score: 0 to 1.
        entropy: Nats.
        value: The property, in the unit of the report.
        referred, failed: bool [N].
        row, column: Place in the mosaic; -1 where nobody knows.
    """

    familiarity: Array
    score: Array
    entropy: Array
    value: Array
    referred: Marks
    failed: Marks
    row: Whole
    column: Whole


@dataclass(frozen=True)
class Failures:
    """Tiles that failed for one reason.

    Attributes:
        reason: Stable, for programs.
        tiles: How many.
        message: Of the first.
        paths: Of the first few.
    """

    reason: str
    tiles: int
    message: str
    paths: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What a report says of a screening.

    Attributes:
        lot, screening, progress: As the store has them.
        number: Of the screening among those of its lot, from 1.
        screenings: How many the lot has.
        said: What the outcome's document says.
        provenance: Of the answers.
        columns: Numbers of the tiles.
        reasons: (reason for people, referred tiles with it), the commonest first.
        telling: The referred tiles that are shown.
        failures: By reason, the commonest first.
        kinds: (likeliest kind of shift, tiles) of referred tiles, the commonest first.
        looks_like: (reference lot, tiles), the commonest first.
        property_name: Such as "peak stress"; empty where no tile has one.
        unit: Of the property in this report.
        mean, sd: Of the property over tiles, in `unit`; None where there is none.
        interval: (lower, upper) of the lot's property in `unit`; None where there is none.
    """

    lot: Lot
    screening: Screening
    progress: Progress
    number: int
    screenings: int
    said: Said
    provenance: Provenance
    columns: Columns
    reasons: tuple[tuple[str, int], ...]
    telling: tuple[ReasonGroup, ...]
    failures: tuple[Failures, ...]
    kinds: tuple[tuple[str, int], ...]
    looks_like: tuple[tuple[str, int], ...]
    property_name: str
    unit: str
    mean: float | None
    sd: float | None
    interval: tuple[float, float] | None

    @property
    def referred(self) -> int:
        """Tiles that are referred."""
        return int(self.columns.referred.sum())

    @property
    def failed(self) -> int:
        """Tiles that could not be judged."""
        return int(self.columns.failed.sum())

    @property
    def done(self) -> int:
        """Tiles with a result."""
        return len(self.columns.referred)

    @property
    def accepted(self) -> int:
        """Tiles that are accepted."""
        return self.done - self.referred - self.failed

    @property
    def pending(self) -> int:
        """Tiles without a result."""
        return max(0, self.progress.tiles - self.done)

    @property
    def simulated(self) -> bool:
        """Whether the lot, a model or the calibration is simulated."""
        calibration = self.said.calibration
        return (
            self.lot.simulated
            or self.provenance.simulated
            or (calibration is not None and calibration.simulated)
        )


def find_screening(store: Store, lot: Lot, number: int | None = None) -> tuple[Screening, int, int]:
    """A screening of a lot by its number.

    Args:
        store: To read.
        lot: Of the store.
        number: From 1 in the order of their beginning; None for the last.

    Returns:
        The screening, its number, and how many the lot has.

    Raises:
        NotFound: SCREENING_UNKNOWN.
        StoreError: As of `Store.open`.
    """
    found = store.screenings(lot.key)
    if not found:
        raise NotFound(
            "SCREENING_UNKNOWN", f"The lot {lot.key.name!r} has not been screened. Screen it first."
        )
    at = len(found) if number is None else number
    if not 1 <= at <= len(found):
        known = ", ".join(
            f"{place} (begun {each.started:%Y-%m-%d %H:%M}, "
            f"{each.outcome.verdict if each.outcome else 'unfinished'})"
            for place, each in enumerate(found, 1)
        )
        raise NotFound(
            "SCREENING_UNKNOWN",
            f"The lot {lot.key.name!r} has no screening {at}. It has {known}.",
        )
    return found[at - 1], at, len(found)


def gather(
    store: Store, lot: Lot, number: int | None = None, *, unit: str = "", most_tiles: int = TILES
) -> Gathered:
    """Read a screening once. Of each tile eight numbers are kept, of a few referred ones all.

    Args:
        store: To read. Others may write to it meanwhile.
        lot: Of the store.
        number: Of the screening, as of `find_screening`.
        unit: For the property, "psi" or "MPa"; empty for the model's.
        most_tiles: Referred tiles to be shown.

    Raises:
        InvalidRequest: REPORT_UNIT_UNKNOWN: the property cannot be shown in this unit.
        NotFound: SCREENING_UNKNOWN.
        StoreError: As of `Store.open`.
    """
    screening, at, count = find_screening(store, lot, number)
    outcome = screening.outcome
    said = said_of(outcome.document if outcome else None)
    collected = _Collected(unit, most_tiles)
    # Closed also where a unit cannot be converted: it holds a connection.
    with closing(cast(Any, store.results(screening.key))) as results:
        collected.read(results)
    shown = unit or collected.unit or (outcome.unit if outcome else "")
    columns = collected.columns()
    mean, sd = _moments(columns.value)
    if outcome is not None:
        stated = _in(outcome.mean, outcome.unit, shown, asked=bool(unit))
        if stated is not None:
            mean, sd = stated, _in(outcome.sd, outcome.unit, shown, asked=False)
    ends = None
    if (interval := said.interval) is not None:
        low = _in(interval.lower, interval.unit, shown, asked=False)
        high = _in(interval.upper, interval.unit, shown, asked=False)
        ends = (low, high) if low is not None and high is not None else None
    return Gathered(
        lot=lot,
        screening=screening,
        progress=store.progress(screening.key),
        number=at,
        screenings=count,
        said=said,
        provenance=provenance_of(screening),
        columns=columns,
        reasons=_ranked(collected.reasons),
        telling=collected.telling.groups(),
        failures=tuple(
            sorted(
                (Failures(reason, *rest) for reason, rest in collected.failures.items()),
                key=lambda each: -each.tiles,
            )
        ),
        kinds=_ranked(collected.kinds),
        looks_like=_ranked(collected.looks_like),
        property_name=collected.property_name or (outcome.property_name if outcome else ""),
        unit=shown,
        mean=mean,
        sd=sd,
        interval=ends,
    )


class _Collected:
    """What is kept of results while they go by."""

    def __init__(self, unit: str, most_tiles: int) -> None:
        self.wanted = unit
        self.unit = ""
        self.property_name = ""
        self.numbers = {name: array("d") for name in ("familiarity", "score", "entropy", "value")}
        self.places = {name: array("q") for name in ("row", "column")}
        self.decisions = array("b")
        self.reasons: dict[str, int] = {}
        self.kinds: dict[str, int] = {}
        self.looks_like: dict[str, int] = {}
        self.failures: dict[str, tuple[int, str, tuple[str, ...]]] = {}
        self.telling = TellingTiles(most_tiles)

    def read(self, results: Iterator[StoredResult]) -> None:
        """Read all."""
        for each in results:
            self._add(each)

    def _add(self, each: StoredResult) -> None:
        tile, result = each.tile, each.result
        numbers = (result.familiarity, result.score, result.entropy_nats, self._value(each))
        for column, number in zip(self.numbers.values(), numbers, strict=True):
            column.append(_NAN if number is None else number)
        placed = tile.row is not None and tile.column is not None
        self.places["row"].append(cast(int, tile.row) if placed else _NOWHERE)
        self.places["column"].append(cast(int, tile.column) if placed else _NOWHERE)
        self.decisions.append({"refer": 1, "failed": 2}.get(result.decision, 0))
        if result.looks_like:
            _count(self.looks_like, result.looks_like)
        if result.decision == "refer":
            for reason in dict.fromkeys(map(reason_of, result.reasons)):
                _count(self.reasons, reason)
            kinds = Reader(result.diagnosis).each("probabilities")
            if kinds:
                likeliest = max(kinds, key=lambda kind: kind.number("probability") or 0.0)
                _count(self.kinds, kind_of(likeliest.text("shift")))
            self.telling.add(each)
        elif result.decision == "failed":
            self._failed(each)

    def _failed(self, each: StoredResult) -> None:
        reason = each.result.error_reason or "no reason stated"
        if reason not in self.failures and len(self.failures) >= _MOST_KINDS:
            reason = "other reasons"
        tiles, message, paths = self.failures.get(reason, (0, each.result.error_message, ()))
        if len(paths) < _EXAMPLES:
            paths = (*paths, each.tile.path)
        self.failures[reason] = (tiles + 1, message, paths)

    def _value(self, each: StoredResult) -> float | None:
        result = each.result
        if result.value is None:
            return None
        self.property_name = self.property_name or result.property_name
        self.unit = self.unit or result.unit
        return _in(result.value, result.unit, self.wanted or self.unit, asked=bool(self.wanted))

    def columns(self) -> Columns:
        """As arrays, without a copy."""
        decisions = np.frombuffer(self.decisions, dtype=np.int8)
        numbers = {name: np.frombuffer(each, np.float64) for name, each in self.numbers.items()}
        places = {name: np.frombuffer(each, np.int64) for name, each in self.places.items()}
        return Columns(
            familiarity=numbers["familiarity"],
            score=numbers["score"],
            entropy=numbers["entropy"],
            value=numbers["value"],
            row=places["row"],
            column=places["column"],
            referred=decisions == 1,
            failed=decisions == 2,
        )


def _in(value: float | None, unit: str, wanted: str, *, asked: bool) -> float | None:
    """In another unit. What cannot be is refused if the unit was asked for, and else left out."""
    if value is None:
        return None
    try:
        return convert(value, unit, wanted or unit)
    except ValueError as error:
        if not asked:
            return None
        raise InvalidRequest("REPORT_UNIT_UNKNOWN", f"{error} Leave --unit out.") from None


def _moments(values: Array) -> tuple[float | None, float | None]:
    known = values[np.isfinite(values)]
    if not len(known):
        return None, None
    return float(known.mean()), float(known.std(ddof=1)) if len(known) > 1 else None


def _count(counts: dict[str, int], name: str) -> None:
    # A damaged store must not fill the memory with names.
    name = name if name in counts or len(counts) < 10 * _MOST_KINDS else "others"
    counts[name] = counts.get(name, 0) + 1


def _ranked(counts: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda each: -each[1]))
