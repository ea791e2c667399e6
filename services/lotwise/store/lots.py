"""Lots and their tiles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from lotwise.core.errors import InvalidRequest, NotFound
from lotwise.store.database import Database, batched, upsert_into
from lotwise.store.rows import FoundTile, Lot, LotKey
from lotwise.store.schema import lots, repeats, tiles

# PostgreSQL's indexes hold entries of about 2,700 bytes.
MAX_NAME_BYTES: Final = 500
MAX_PATH_BYTES: Final = 2_000
_SHA256: Final = re.compile("[0-9a-f]{64}")
# This much is held for one statement after the other; a lot may come as one long iterator.
_TILES_OF_A_TRANSACTION: Final = 500


class LotTables:
    """The part of a store that holds lots and tiles.

    Args:
        database: The store's.
        clock: Says the time, aware.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._now = clock

    def register_lot(
        self, name: str, source: str, *, um_per_px: float | None = None, simulated: bool = False
    ) -> LotKey:
        """Have a lot in the store; the same one each time for the same name and source.

        Args:
            name: Of the lot.
            source: Where it comes from: the whole path of its folder, or a URL.
            um_per_px: Edge length of a pixel in micrometres; the last statement counts, so a
                screening's fingerprint should hold it.
            simulated: Whether the lot is simulated.

        Raises:
            InvalidRequest: LOT_NAME_INVALID or STORE_VALUE_INVALID.
            StoreError: As of `Store.open`.
        """
        _check_name(name, source)

        def work(connection: Connection) -> LotKey:
            stated = {"um_per_px": um_per_px, "simulated": simulated}
            statement = upsert_into(connection, lots).values(
                name=name, source=source, first_seen=self._now(), **stated
            )
            statement = statement.on_conflict_do_update(
                index_elements=["name", "source"], set_=stated
            ).returning(lots.c.id)
            return LotKey(connection.execute(statement).scalar_one(), name, source)

        return self._database.writing(work)

    def add_tiles(self, lot: LotKey, found: Iterable[FoundTile]) -> int:
        """Have tiles in a lot. What it has already stays as it is.

        A picture that the lot has under another name is no further tile; its name is kept as a
        repeat. A file that was written anew with other content is another tile.

        Args:
            lot: To add them to.
            found: Any number; they are stored in transactions of some hundreds.

        Returns:
            How many are new.

        Raises:
            InvalidRequest: TILE_ENTRY_INVALID; the tiles before that batch are stored.
            NotFound: LOT_UNKNOWN.
            StoreError: As of `Store.open`; call again with the same tiles.
        """
        new = 0
        for batch in batched(found, _TILES_OF_A_TRANSACTION):
            for tile in batch:
                _check_tile(tile)
            new += self._database.writing(
                lambda connection, batch=batch: self._add(connection, lot, batch)  # type: ignore[misc]
            )
        return new

    def _add(self, connection: Connection, lot: LotKey, batch: list[FoundTile]) -> int:
        check_lot(connection, lot)
        now = self._now()
        first: dict[str, FoundTile] = {}
        for tile in batch:
            first.setdefault(tile.sha256, tile)
        statement = (
            upsert_into(connection, tiles)
            .on_conflict_do_nothing(index_elements=["lot_id", "sha256"])
            .returning(tiles.c.id)
        )
        rows = [
            {
                "lot_id": lot.id,
                "sha256": tile.sha256,
                "tile_id": tile.tile_id,
                "path": tile.path,
                "mosaic_row": tile.row,
                "mosaic_column": tile.column,
                "bytes": tile.bytes,
                "seen_at": now,
            }
            for tile in first.values()
        ]
        new = len(connection.execute(statement, rows).all())
        stored = {
            row.sha256: row
            for row in connection.execute(
                sa.select(tiles.c.sha256, tiles.c.id, tiles.c.path).where(
                    tiles.c.lot_id == lot.id, tiles.c.sha256.in_(list(first))
                )
            )
        }
        again = [
            {"tile": stored[tile.sha256].id, "path": tile.path, "seen_at": now}
            for tile in batch
            if stored[tile.sha256].path != tile.path
        ]
        if again:
            connection.execute(upsert_into(connection, repeats).on_conflict_do_nothing(), again)
        return new

    def names_of(self, tile: int) -> list[str]:
        """All paths under which a tile's picture was found, the first one first.

        Args:
            tile: Its number within this store.

        Raises:
            StoreError: As of `Store.open`.
        """
        with self._database.reading() as connection:
            own = connection.execute(sa.select(tiles.c.path).where(tiles.c.id == tile)).scalars()
            further = connection.execute(
                sa.select(repeats.c.path)
                .where(repeats.c.tile == tile)
                .order_by(repeats.c.seen_at, repeats.c.path)
            ).scalars()
            return [*own, *further]

    def lots(self, name: str | None = None) -> list[Lot]:
        """The lots, in the order of their names and then of their coming.

        Args:
            name: Of these alone.

        Raises:
            StoreError: As of `Store.open`.
        """
        counts = (
            sa.select(tiles.c.lot_id, sa.func.count().label("tiles")).group_by(tiles.c.lot_id)
        ).subquery()
        further = (
            sa.select(tiles.c.lot_id, sa.func.count().label("repeats"))
            .join_from(repeats, tiles)
            .group_by(tiles.c.lot_id)
        ).subquery()
        alike = sa.func.count().over(partition_by=lots.c.name)
        query = (
            sa.select(lots, alike.label("alike"), counts.c.tiles, further.c.repeats)
            .outerjoin(counts, counts.c.lot_id == lots.c.id)
            .outerjoin(further, further.c.lot_id == lots.c.id)
            .order_by(lots.c.name, lots.c.id)
        )
        if name is not None:
            query = query.where(lots.c.name == name)
        with self._database.reading() as connection:
            return [
                Lot(
                    key=LotKey(row.id, row.name, row.source),
                    shown=row.name if row.alike == 1 else f"{row.name} ({row.source})",
                    um_per_px=row.um_per_px,
                    simulated=row.simulated,
                    first_seen=row.first_seen,
                    tiles=row.tiles or 0,
                    repeats=row.repeats or 0,
                )
                for row in connection.execute(query)
            ]

    def lot(self, name: str, source: str | None = None) -> Lot:
        """The one lot of this name.

        Args:
            name: Of the lot.
            source: Where it came from; needed where several are named alike.

        Raises:
            NotFound: LOT_UNKNOWN.
            InvalidRequest: LOT_AMBIGUOUS.
            StoreError: As of `Store.open`.
        """
        found = [each for each in self.lots(name) if source in (None, each.key.source)]
        if not found:
            raise NotFound("LOT_UNKNOWN", f"The store has no lot {name!r}. `lotwise store info`.")
        if len(found) > 1:
            sources = ", ".join(each.key.source for each in found)
            raise InvalidRequest(
                "LOT_AMBIGUOUS",
                f"The store has {len(found)} lots {name!r}. Say which by its source: {sources}.",
            )
        return found[0]


def _check_name(name: str, source: str) -> None:
    if not name or len(_bytes(name)) > MAX_NAME_BYTES or len(_bytes(source)) > MAX_PATH_BYTES:
        raise InvalidRequest(
            "LOT_NAME_INVALID",
            f"A lot's name has 1 to {MAX_NAME_BYTES} bytes, its source up to {MAX_PATH_BYTES}; "
            f"{name[:50]!r} of {source[:50]!r} does not.",
        )


def _check_tile(tile: FoundTile) -> None:
    path = PurePosixPath(tile.path)
    wrong = None
    if not _SHA256.fullmatch(tile.sha256):
        wrong = f"{tile.sha256!r} is no SHA-256 of 64 small hexadecimal digits"
    elif not tile.path or path.is_absolute() or ".." in path.parts:
        wrong = "its path is not relative to the lot's source"
    elif len(_bytes(tile.path)) > MAX_PATH_BYTES:
        wrong = f"its path has more than {MAX_PATH_BYTES} bytes"
    if wrong:
        raise InvalidRequest("TILE_ENTRY_INVALID", f"Tile {tile.path[:200]!r}: {wrong}.")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def check_lot(connection: Connection, lot: LotKey) -> None:
    """Refuse a lot that the store does not hold (any more); else it stays until the commit.

    Args:
        connection: To the store.
        lot: The lot.

    Raises:
        NotFound: LOT_UNKNOWN.
    """
    query = sa.select(lots.c.id).where(lots.c.id == lot.id)
    if not connection.get_execution_options().get("postgresql_readonly"):
        query = query.with_for_update(read=True, key_share=True)
    if connection.execute(query).first() is None:
        raise NotFound(
            "LOT_UNKNOWN", f"The store no longer has the lot {lot.name!r}. Register it again."
        )
