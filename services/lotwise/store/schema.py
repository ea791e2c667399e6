"""The tables as they are now; `migrations/` is how a store came to have them."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from lotwise.store.column_types import Finite, UtcTime, Words, document, identity

NAMES: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: Final = sa.MetaData(naming_convention=NAMES)


def _of(table: str) -> sa.ForeignKey:
    return sa.ForeignKey(f"{table}.id", ondelete="CASCADE")


lots: Final = sa.Table(
    "lots",
    metadata,
    sa.Column("id", identity(), primary_key=True),
    sa.Column("name", Words, nullable=False),
    sa.Column("source", Words, nullable=False),
    sa.Column("um_per_px", Finite),
    sa.Column("simulated", sa.Boolean, nullable=False),
    sa.Column("first_seen", UtcTime, nullable=False),
    sa.UniqueConstraint("name", "source"),
    # A number is never given again, so that one that a program still holds means nothing else.
    sqlite_autoincrement=True,
)

tiles: Final = sa.Table(
    "tiles",
    metadata,
    sa.Column("id", identity(), primary_key=True),
    sa.Column("lot_id", identity(), _of("lots"), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("tile_id", Words, nullable=False),
    sa.Column("path", Words, nullable=False),
    sa.Column("mosaic_row", sa.Integer),
    sa.Column("mosaic_column", sa.Integer),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("seen_at", UtcTime, nullable=False),
    sa.UniqueConstraint("lot_id", "sha256"),
    sa.Index(None, "lot_id", "id"),
    sa.Index(None, "lot_id", "mosaic_row", "mosaic_column"),
    sqlite_autoincrement=True,
)

repeats: Final = sa.Table(
    "repeats",
    metadata,
    sa.Column("tile", identity(), _of("tiles"), primary_key=True, autoincrement=False),
    sa.Column("path", Words, primary_key=True),
    sa.Column("seen_at", UtcTime, nullable=False),
)

screenings: Final = sa.Table(
    "screenings",
    metadata,
    sa.Column("id", identity(), primary_key=True),
    sa.Column("lot_id", identity(), _of("lots"), nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("stated", document(), nullable=False),
    sa.Column("started", UtcTime, nullable=False),
    sa.Column("finished", UtcTime),
    sa.Column("verdict", Words),
    sa.Column("reasons", document()),
    sa.Column("tiles", sa.Integer),
    sa.Column("accepted", sa.Integer),
    sa.Column("referred", sa.Integer),
    sa.Column("failed", sa.Integer),
    sa.Column("property", Words),
    sa.Column("mean", Finite),
    sa.Column("sd", Finite),
    sa.Column("unit", Words),
    sa.Column("document", document()),
    sa.UniqueConstraint("lot_id", "fingerprint"),
    sqlite_autoincrement=True,
)

results: Final = sa.Table(
    "results",
    metadata,
    sa.Column("screening", identity(), _of("screenings"), primary_key=True, autoincrement=False),
    sa.Column("tile", identity(), _of("tiles"), primary_key=True, index=True, autoincrement=False),
    sa.Column("decision", sa.String(10), nullable=False),
    sa.Column("reasons", document(), nullable=False),
    sa.Column("score", Finite),
    sa.Column("familiarity", Finite),
    sa.Column("looks_like", Words),
    sa.Column("confidence", Finite),
    sa.Column("entropy_nats", Finite),
    sa.Column("diagnosis", document()),
    sa.Column("property", Words),
    sa.Column("value", Finite),
    sa.Column("interval_low", Finite),
    sa.Column("interval_high", Finite),
    sa.Column("unit", Words),
    sa.Column("quality", document()),
    sa.Column("error_reason", Words),
    sa.Column("error_message", Words),
    sa.Column("provenance", document()),
    sa.Column("worker", Words, nullable=False),
    sa.Column("screened_at", UtcTime, nullable=False),
    sa.CheckConstraint("decision IN ('accept', 'refer', 'failed')", name="decision"),
)

claims: Final = sa.Table(
    "claims",
    metadata,
    sa.Column("screening", identity(), _of("screenings"), primary_key=True, autoincrement=False),
    sa.Column("tile", identity(), _of("tiles"), primary_key=True, index=True, autoincrement=False),
    sa.Column("worker", Words, nullable=False),
    sa.Column("expires", UtcTime, nullable=False),
)

deliveries: Final = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", identity(), primary_key=True),
    sa.Column("screening", identity(), _of("screenings"), nullable=False),
    sa.Column("target", Words, nullable=False),
    sa.Column("payload", document(), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", UtcTime, index=True),
    sa.Column("delivered_at", UtcTime),
    sa.Column("last_error", Words),
    sa.UniqueConstraint("screening", "target"),
    sqlite_autoincrement=True,
)
