"""What goes into a store and comes out of it, as plain values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

TileDecision = Literal["accept", "refer", "failed"]
Finishing = Literal["finished", "already", "pending"]


def fingerprint_of(stated: Mapping[str, Any]) -> str:
    """Names what a screening's answers depend on: the same statement, the same fingerprint.

    Args:
        stated: Models with their weights' hashes, policy, pixel size...: what makes answers
            comparable. It must be JSON.

    Returns:
        64 hexadecimal digits.
    """
    text = json.dumps(stated, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class LotKey:
    """Which lot is meant.

    Attributes:
        id: Within this store.
        name: Of the lot; not necessarily its own alone.
        source: Where it came from, such as the folder's whole path; name and source are unique.
    """

    id: int
    name: str
    source: str


@dataclass(frozen=True)
class Lot:
    """A lot as it is stored.

    Attributes:
        key: Which one.
        shown: Its name; with its source where another lot is named alike.
        um_per_px: Edge length of a pixel in micrometres, as it was last stated.
        simulated: Whether the lot is simulated.
        first_seen: When it was first registered, UTC.
        tiles: Different pictures.
        repeats: Further files with a picture that the lot had already.
    """

    key: LotKey
    shown: str
    um_per_px: float | None
    simulated: bool
    first_seen: datetime
    tiles: int
    repeats: int


@dataclass(frozen=True, kw_only=True)
class FoundTile:
    """A file of a lot.

    Attributes:
        sha256: Of the file's bytes, 64 hexadecimal digits: what makes it this tile.
        tile_id: The file's name.
        path: Relative to the lot's source, with / between folders.
        bytes: Size of the file.
        row, column: Its place in the mosaic; None where nobody knows.
    """

    sha256: str
    tile_id: str
    path: str
    bytes: int
    row: int | None = None
    column: int | None = None


@dataclass(frozen=True, kw_only=True)
class StoredTile(FoundTile):
    """A tile as it is stored.

    Attributes:
        id: Within this store.
    """

    id: int


@dataclass(frozen=True)
class ScreeningKey:
    """Which screening is meant.

    Attributes:
        id: Within this store.
        lot_id: The lot's number within this store.
    """

    id: int
    lot_id: int


@dataclass(frozen=True, kw_only=True)
class TileResult:
    """What a screening says of a tile.

    Attributes:
        tile: The tile's number within this store.
        decision: "failed" where the tile could not be judged at all.
        reasons: Such as "unfamiliar", the weightiest first.
        score: Chance that the named lot is wrong.
        familiarity: P-value of the tile among known tiles.
        looks_like: The likeliest reference lot.
        confidence: Its calibrated probability.
        entropy_nats: Of the committee's average.
        diagnosis: Why the tile may be strange, as JSON.
        property_name, value, unit: The predicted property.
        interval_low, interval_high: Its interval, in `unit`.
        quality: Of the picture, as JSON.
        error_reason, error_message: Why it failed; empty where it did not.
        provenance: Which models gave the answer, as JSON.
    """

    tile: int
    decision: TileDecision
    reasons: tuple[str, ...] = ()
    score: float | None = None
    familiarity: float | None = None
    looks_like: str = ""
    confidence: float | None = None
    entropy_nats: float | None = None
    diagnosis: Mapping[str, Any] | None = None
    property_name: str = ""
    value: float | None = None
    interval_low: float | None = None
    interval_high: float | None = None
    unit: str = ""
    quality: Mapping[str, Any] | None = None
    error_reason: str = ""
    error_message: str = ""
    provenance: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class StoredResult:
    """A result with its tile.

    Attributes:
        tile: Of the lot.
        result: What the screening says of it.
        worker: Who recorded it.
        screened_at: When, UTC.
    """

    tile: StoredTile
    result: TileResult
    worker: str
    screened_at: datetime


@dataclass(frozen=True, kw_only=True)
class LotOutcome:
    """What a screening says of its lot in the end.

    Attributes:
        verdict: "accept", "refer" or "undecided".
        reasons: The commonest first.
        tiles: How many the verdict counts: `accepted` + `referred` + `failed`.
        accepted, referred, failed: Tiles by their decision.
        property_name, mean, sd, unit: The property's mean and standard deviation over tiles.
        document: The whole verdict as JSON.
    """

    verdict: str
    reasons: tuple[str, ...] = ()
    tiles: int
    accepted: int
    referred: int
    failed: int
    property_name: str = ""
    mean: float | None = None
    sd: float | None = None
    unit: str = ""
    document: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Screening:
    """A screening as it is stored.

    Attributes:
        key: Which one.
        lot: Of this lot.
        fingerprint: Of `stated`.
        stated: Models and policy.
        started, finished: UTC; None while it goes on.
        outcome: None while it goes on.
    """

    key: ScreeningKey
    lot: LotKey
    fingerprint: str
    stated: Mapping[str, Any]
    started: datetime
    finished: datetime | None
    outcome: LotOutcome | None


@dataclass(frozen=True)
class Progress:
    """How far a screening is.

    Attributes:
        tiles: Of the lot.
        accepted, referred, failed: Tiles with a result.
        claimed: Tiles without one that a screener works on.
    """

    tiles: int
    accepted: int
    referred: int
    failed: int
    claimed: int

    @property
    def done(self) -> int:
        """Tiles with a result."""
        return self.accepted + self.referred + self.failed

    @property
    def pending(self) -> int:
        """Tiles without a result, claimed ones too."""
        return self.tiles - self.done


@dataclass(frozen=True)
class ChangedTile:
    """A tile that two screenings decide differently.

    Attributes:
        tile: Which one.
        before, after: The two decisions; None where one has no result of it.
    """

    tile: StoredTile
    before: TileDecision | None
    after: TileDecision | None


@dataclass(frozen=True)
class ChangedLot:
    """A lot that two sets of models judge differently.

    Attributes:
        lot: Which one.
        before, after: The two screenings.
        verdict_before, verdict_after: What they say.
    """

    lot: LotKey
    before: ScreeningKey
    after: ScreeningKey
    verdict_before: str
    verdict_after: str


@dataclass(frozen=True)
class Delivery:
    """A notification that is to be sent, or was.

    Attributes:
        id: Within this store; the receiver knows by it that it comes a second time.
        screening: What it tells of.
        target: Whom it is for.
        payload: What is sent, as JSON.
        attempts: Begun so far, this one included.
        next_attempt_at: When it is due, UTC; None where nobody will try again.
        delivered_at: UTC; None where it was not.
        last_error: Of the last attempt that failed.
    """

    id: int
    screening: ScreeningKey
    target: str
    payload: Mapping[str, Any]
    attempts: int
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    last_error: str
