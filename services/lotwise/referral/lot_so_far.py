"""What a stream knows of its lot, and the token from which another stream goes on.

A service keeps nothing of a lot beyond its stream, so that any replica can go on with it: the
caller holds the token. It is neither secret nor signed: who may send tiles may say what was
counted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lotwise.core.diagnosis import KINDS
from lotwise.core.errors import InvalidRequest
from lotwise.core.lot_diagnosis import LotPlaces
from lotwise.core.verdict import LotTally, Reason, Verdict
from lotwise.v1 import tile_pb2

PRINT_BYTES: Final = 8
"""Of a tile's hash: two of a hundred thousand tiles agree by chance once in four billion lots."""
MAX_TOKEN_BYTES: Final = 64 * 2**20
"""Unpacked."""
FIRST_TOKEN: Final = 50
"""Tiles between tokens; later a fortieth of those so far, or tokens would outweigh tiles."""
SAME_SCALE: Final = 0.02
"""Pixels of one lot may differ by so much in size."""


@dataclass
class LotSoFar:
    """A lot's tiles, as far as they have come.

    Attributes:
        lot_id: Of the lot.
        policy_version: Of the policy that decides on its tiles.
        tally: Of decisions.
        places: Sums over tiles that the committee diagnosed; None before the first.
        um_per_px: Of the first tile that could be read.
        repeated: Tiles that were not counted because they were before.
    """

    lot_id: str
    policy_version: str
    tally: LotTally
    places: LotPlaces | None = None
    um_per_px: float | None = None
    repeated: int = 0
    _sent: set[bytes] = field(default_factory=set)
    _seen: set[bytes] = field(default_factory=set)
    _next_token: int = FIRST_TOKEN

    def was_sent(self, tile: tile_pb2.Tile) -> bool:
        """Whether this very tile, by name and content, is counted already."""
        return _sent_print(tile) in self._sent

    def was_seen(self, tile: tile_pb2.Tile) -> bool:
        """Whether the committee saw the same picture under another name."""
        return _print(tile) in self._seen

    def note(self, tile: tile_pb2.Tile, *, seen: bool) -> None:
        """A tile is counted.

        Args:
            tile: As it was sent.
            seen: Whether the committee saw it. Pictures that it did not see may be alike: a blind
                detector makes many that are black.
        """
        self._sent.add(_sent_print(tile))
        if seen:
            self._seen.add(_print(tile))

    def fits_scale(self, um_per_px: float) -> bool:
        """Whether a tile has the scale of the lot's first tile; the first one sets it."""
        if self.um_per_px is None:
            self.um_per_px = um_per_px
        return abs(um_per_px - self.um_per_px) <= SAME_SCALE * self.um_per_px

    def token_due(self) -> bool:
        """Whether enough tiles have come since the last token."""
        if self.tally.tiles < self._next_token:
            return False
        self._next_token = self.tally.tiles + max(FIRST_TOKEN, self.tally.tiles // 40)
        return True

    def token(self) -> bytes:
        """All of it, for `resumed`."""
        tally, places = self.tally, self.places
        token = _Token(
            lot_id=self.lot_id,
            policy_version=self.policy_version,
            max_referred_share=tally.max_referred_share,
            confidence=tally.confidence,
            accepted=tally.accepted,
            referred=tally.referred,
            failed=tally.failed,
            settled=tally.settled,
            settled_after=tally.settled_after,
            reasons=dict(tally.reasons),
            looks_like=dict(tally.looks_like),
            diagnosed=0 if places is None else places.tiles,
            log_probabilities=() if places is None else tuple(places.log_probabilities.tolist()),
            places=() if places is None else tuple(places.places.tolist()),
            products=() if places is None else tuple(places.products.ravel().tolist()),
            um_per_px=self.um_per_px,
            repeated=self.repeated,
            sent=_packed(self._sent),
            seen=_packed(self._seen),
        )
        return zlib.compress(token.model_dump_json().encode())

    @classmethod
    def resumed(cls, token: bytes) -> LotSoFar:
        """What `token` put down.

        Raises:
            InvalidRequest: RESUME_INVALID.
        """
        try:
            unpacked = zlib.decompressobj().decompress(token, MAX_TOKEN_BYTES)
            read = _Token.model_validate_json(unpacked)
            return read.lot()
        except (zlib.error, ValidationError, ValueError):
            raise InvalidRequest(
                "RESUME_INVALID",
                "The resume token is none that this service gave. Send the lot from its beginning.",
            ) from None


class _Token(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lot_id: str = Field(min_length=1)
    policy_version: str = Field(min_length=1)
    max_referred_share: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0.5, lt=1)
    accepted: int = Field(ge=0)
    referred: int = Field(ge=0)
    failed: int = Field(ge=0)
    settled: Verdict | None
    settled_after: int = Field(ge=0)
    reasons: dict[Reason, int]
    looks_like: dict[str, int]
    diagnosed: int = Field(ge=0)
    log_probabilities: tuple[float, ...]
    places: tuple[float, ...]
    products: tuple[float, ...]
    um_per_px: float | None = Field(gt=0)
    repeated: int = Field(ge=0)
    sent: str
    seen: str

    def lot(self) -> LotSoFar:
        tally = LotTally(
            self.max_referred_share,
            self.confidence,
            self.accepted,
            self.referred,
            self.failed,
            self.settled,
            self.settled_after,
            Counter(self.reasons),
            Counter(self.looks_like),
        )
        places = None
        if self.diagnosed:
            size = len(self.places)
            if len(self.log_probabilities) != len(KINDS) or self.diagnosed > tally.tiles:
                raise ValueError("no sums over tiles")
            places = LotPlaces(
                self.diagnosed,
                np.array(self.log_probabilities),
                np.array(self.places),
                np.array(self.products).reshape(size, size),
            )
        lot = LotSoFar(
            self.lot_id, self.policy_version, tally, places, self.um_per_px, self.repeated
        )
        lot._sent, lot._seen = _unpacked(self.sent), _unpacked(self.seen)
        lot._next_token = tally.tiles + max(FIRST_TOKEN, tally.tiles // 40)
        return lot


def _print(tile: tile_pb2.Tile) -> bytes:
    digest = hashlib.blake2b(digest_size=PRINT_BYTES)
    for part in (tile.file, tile.raw.SerializeToString(deterministic=True)):
        digest.update(part)
    return digest.digest()


def _sent_print(tile: tile_pb2.Tile) -> bytes:
    digest = hashlib.blake2b(_print(tile), digest_size=PRINT_BYTES)
    digest.update(tile.tile_id.encode())
    return digest.digest()


def _packed(prints: set[bytes]) -> str:
    return base64.b64encode(b"".join(sorted(prints))).decode()


def _unpacked(text: str) -> set[bytes]:
    try:
        whole = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("no prints of tiles") from error
    return {whole[at : at + PRINT_BYTES] for at in range(0, len(whole), PRINT_BYTES)}
