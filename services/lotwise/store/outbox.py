"""Notifications that are kept with the verdict that they tell of, until they have been sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from lotwise.store.database import Database, upsert_into
from lotwise.store.reading import DELIVERY, delivery_of
from lotwise.store.rows import Delivery, ScreeningKey
from lotwise.store.schema import deliveries


def enqueue(
    connection: Connection,
    screening: ScreeningKey,
    payloads: Mapping[str, Mapping[str, Any]],
    now: datetime,
) -> None:
    """Keep what is to be sent, in the transaction that finishes the screening.

    Args:
        connection: In that transaction.
        screening: What is told of.
        payloads: What to send, by target. One that told of an end which was taken back goes again.
        now: When it is due.
    """
    for target, payload in payloads.items():
        fresh = {
            "payload": dict(payload),
            "attempts": 0,
            "next_attempt_at": now,
            "delivered_at": None,
            "last_error": None,
        }
        connection.execute(
            upsert_into(connection, deliveries)
            .values(screening=screening.id, target=target, **fresh)
            .on_conflict_do_update(index_elements=["screening", "target"], set_=fresh)
        )


class DeliveryTables:
    """The part of a store that holds notifications.

    A notification is sent at least once: a sender that is killed between sending and `delivered`
    leaves it to be sent again. The receiver tells by `Delivery.id`.

    Args:
        database: The store's.
        clock: Says the time, aware.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._now = clock

    def due_deliveries(self, limit: int, lease_s: float) -> list[Delivery]:
        """Take notifications to send now; nobody else gets them meanwhile.

        Args:
            limit: Most of them.
            lease_s: Seconds after which they are due again, unless `delivered` or
                `delivery_failed` says otherwise.

        Returns:
            Those that wait longest first; this attempt is counted.

        Raises:
            StoreError: As of `Store.open`.
        """

        def work(connection: Connection) -> list[Delivery]:
            now = self._now()
            ids = list(
                connection.execute(
                    sa.select(deliveries.c.id)
                    .where(deliveries.c.delivered_at.is_(None))
                    .where(deliveries.c.next_attempt_at <= now)
                    .order_by(deliveries.c.next_attempt_at, deliveries.c.id)
                    .limit(limit)
                    .with_for_update(skip_locked=True)
                ).scalars()
            )
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.id.in_(ids))
                .values(
                    attempts=deliveries.c.attempts + 1,
                    next_attempt_at=now + timedelta(seconds=lease_s),
                )
            )
            taken = {
                delivery.id: delivery
                for delivery in map(
                    delivery_of, connection.execute(DELIVERY.where(deliveries.c.id.in_(ids)))
                )
            }
            return [taken[each] for each in ids]

        return self._database.writing(work)

    def delivered(self, delivery: Delivery) -> None:
        """Say that a notification has arrived.

        Args:
            delivery: As it was taken.

        Raises:
            StoreError: As of `Store.open`.
        """
        self._set(delivery, delivered_at=self._now(), next_attempt_at=None, last_error=None)

    def delivery_failed(self, delivery: Delivery, error: str, retry_at: datetime | None) -> None:
        """Say that a notification has not arrived.

        Args:
            delivery: As it was taken.
            error: Why, for people.
            retry_at: When it is due again; None to give it up. It still counts as undelivered.

        Raises:
            StoreError: As of `Store.open`.
        """
        self._set(delivery, next_attempt_at=retry_at, last_error=error)

    def _set(self, delivery: Delivery, **values: Any) -> None:
        # A sender whose lease ran out does not take back what another one has delivered since, nor
        # speaks for the notification of a later end.
        statement = (
            sa.update(deliveries)
            .where(deliveries.c.id == delivery.id)
            .where(deliveries.c.delivered_at.is_(None))
            .where(deliveries.c.attempts >= delivery.attempts)
            .values(**values)
        )
        self._database.writing(lambda connection: connection.execute(statement))

    def deliveries(self, *, undelivered: bool = False) -> list[Delivery]:
        """Notifications in the order of their coming.

        Args:
            undelivered: Whether only those that have not arrived.

        Raises:
            StoreError: As of `Store.open`.
        """
        query = DELIVERY.order_by(deliveries.c.id)
        if undelivered:
            query = query.where(deliveries.c.delivered_at.is_(None))
        with self._database.reading() as connection:
            return [delivery_of(row) for row in connection.execute(query)]
