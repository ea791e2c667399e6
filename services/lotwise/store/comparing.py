"""What differs between two screenings of the same tiles."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from lotwise.core.errors import InvalidRequest
from lotwise.store.database import BATCH, Database
from lotwise.store.reading import MOSAIC_ORDER, TILE_COLUMNS, tile_of
from lotwise.store.rows import ChangedLot, ChangedTile, LotKey, ScreeningKey
from lotwise.store.schema import lots, results, screenings, tiles


class Comparisons:
    """The part of a store that compares screenings.

    Args:
        database: The store's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def changed_tiles(self, before: ScreeningKey, after: ScreeningKey) -> Iterator[ChangedTile]:
        """Tiles that are decided differently, in the order of the mosaic, a thousand at a time.

        A tile that only one of the two has a result of counts as changed.

        Args:
            before: One screening of a lot.
            after: Another one of the same lot.

        Raises:
            InvalidRequest: SCREENINGS_OF_OTHER_LOTS.
            StoreError: As of `Store.open`.
        """
        if before.lot_id != after.lot_id:
            raise InvalidRequest(
                "SCREENINGS_OF_OTHER_LOTS",
                "Tiles can be compared between two screenings of one lot alone.",
            )
        return self._changed_tiles(before, after)

    def _changed_tiles(self, before: ScreeningKey, after: ScreeningKey) -> Iterator[ChangedTile]:
        was, becomes = results.alias("was"), results.alias("becomes")
        query = (
            sa.select(*TILE_COLUMNS, was.c.decision, becomes.c.decision)
            .select_from(
                tiles.outerjoin(
                    was, (was.c.tile == tiles.c.id) & (was.c.screening == before.id)
                ).outerjoin(
                    becomes, (becomes.c.tile == tiles.c.id) & (becomes.c.screening == after.id)
                )
            )
            .where(tiles.c.lot_id == before.lot_id)
            .where(was.c.decision.is_distinct_from(becomes.c.decision))
            .order_by(*MOSAIC_ORDER)
            .execution_options(yield_per=BATCH)
        )
        with self._database.reading() as connection:
            for row in connection.execute(query):
                yield ChangedTile(tile_of(row), row[-2], row[-1])

    def changed_lots(self, before: str, after: str) -> list[ChangedLot]:
        """Lots that two sets of models and policies judge differently.

        Args:
            before: A fingerprint.
            after: Another one. Lots that were not finished under both are left out.

        Raises:
            StoreError: As of `Store.open`.
        """
        was, becomes = screenings.alias("was"), screenings.alias("becomes")
        query = (
            sa.select(
                lots.c.id,
                lots.c.name,
                lots.c.source,
                was.c.id.label("was_id"),
                becomes.c.id.label("becomes_id"),
                was.c.verdict.label("verdict_before"),
                becomes.c.verdict.label("verdict_after"),
            )
            .select_from(
                lots.join(was, was.c.lot_id == lots.c.id).join(
                    becomes, becomes.c.lot_id == lots.c.id
                )
            )
            .where(was.c.fingerprint == before, becomes.c.fingerprint == after)
            .where(was.c.finished.is_not(None), becomes.c.finished.is_not(None))
            .where(was.c.verdict != becomes.c.verdict)
            .order_by(lots.c.name, lots.c.id)
        )
        with self._database.reading() as connection:
            return [
                ChangedLot(
                    lot=LotKey(row.id, row.name, row.source),
                    before=ScreeningKey(row.was_id, row.id),
                    after=ScreeningKey(row.becomes_id, row.id),
                    verdict_before=row.verdict_before,
                    verdict_after=row.verdict_after,
                )
                for row in connection.execute(query)
            ]
