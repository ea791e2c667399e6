"""Lots and results for tests of the store."""

import hashlib
from datetime import UTC, datetime, timedelta

from lotwise.store import FoundTile, LotOutcome, TileResult, fingerprint_of

STATED = {"models": {"committee": "1"}, "policy": "p1", "um_per_px": 1.0}
OTHER = STATED | {"policy": "p2"}


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.time = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def __call__(self):
        return self.time

    def advance(self, seconds):
        self.time += timedelta(seconds=seconds)


def sha(text):
    return hashlib.sha256(str(text).encode()).hexdigest()


def found(index, *, columns=100, path=None, content=None):
    return FoundTile(
        sha256=sha(index if content is None else content),
        tile_id=f"{index:05}.png" if path is None else path.rsplit("/", 1)[-1],
        path=path or f"{index:05}.png",
        bytes=1000 + index,
        row=index // columns,
        column=index % columns,
    )


def fill(store, tiles, name="R01", source="/lots/R01"):
    """A lot with tiles."""
    lot = store.register_lot(name, source, um_per_px=1.0)
    assert store.add_tiles(lot, (found(index) for index in range(tiles))) == tiles
    return lot


def begin(store, lot, stated=STATED):
    return store.begin_screening(lot, fingerprint_of(stated), stated)


def result(tile, decision="accept", **more):
    reasons = ("unfamiliar",) if decision == "refer" else ()
    return TileResult(tile=tile.id, decision=decision, **{"reasons": reasons} | more)


def work_off(store, screening, worker="w", limit=200, decide=lambda tile: "accept", **more):
    """Records a result for every free tile; how many were recorded."""
    recorded = 0
    while claimed := store.claim(screening, worker, limit, 60):
        answers = [result(tile, decide(tile), **more) for tile in claimed]
        recorded += store.record(screening, worker, answers)
    return recorded


def outcome(store, screening, verdict="accept"):
    progress = store.progress(screening)
    return LotOutcome(
        verdict=verdict,
        tiles=progress.done,
        accepted=progress.accepted,
        referred=progress.referred,
        failed=progress.failed,
        property_name="peak stress",
        mean=2000.5,
        sd=80.25,
        unit="psi",
        document={"settled": True},
    )


def screened(store, tiles=3, name="R01", source="/lots/R01", stated=STATED, **finishing):
    """A lot that was screened from beginning to end."""
    lot = fill(store, tiles, name, source)
    screening = begin(store, lot, stated)
    work_off(store, screening)
    assert store.finish(screening, outcome(store, screening), **finishing) == "finished"
    return lot, screening
