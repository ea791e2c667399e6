"""A store of lots, tiles and their screenings that outlives crashes: docs/store.md.

`Store` is what a screener works with. `export`, `backup`, `retention` and `moving` work on a store
as a whole. Needs the extra "screening"; nothing that serves imports it.
"""

from lotwise.store.failures import StoreError
from lotwise.store.rows import (
    ChangedLot,
    ChangedTile,
    Delivery,
    Finishing,
    FoundTile,
    Lot,
    LotKey,
    LotOutcome,
    Progress,
    Screening,
    ScreeningKey,
    StoredResult,
    StoredTile,
    TileDecision,
    TileResult,
    fingerprint_of,
)
from lotwise.store.store import Store

__all__ = [
    "ChangedLot",
    "ChangedTile",
    "Delivery",
    "Finishing",
    "FoundTile",
    "Lot",
    "LotKey",
    "LotOutcome",
    "Progress",
    "Screening",
    "ScreeningKey",
    "Store",
    "StoreError",
    "StoredResult",
    "StoredTile",
    "TileDecision",
    "TileResult",
    "fingerprint_of",
]
