"""Lots, their tiles, and what screenings say of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lotwise.store.column_types import Finite, UtcTime, Words, document, identity

revision = "0001"
down_revision = None


def _of(table: str) -> sa.ForeignKey:
    return sa.ForeignKey(f"{table}.id", ondelete="CASCADE")


def _keyed(name: str, *of: sa.ForeignKey, index: bool = False) -> sa.Column[int]:
    return sa.Column(name, identity(), *of, primary_key=True, index=index, autoincrement=False)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "lots",
        sa.Column("id", identity(), primary_key=True),
        sa.Column("name", Words, nullable=False),
        sa.Column("source", Words, nullable=False),
        sa.Column("um_per_px", Finite),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("first_seen", UtcTime, nullable=False),
        sa.UniqueConstraint("name", "source"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tiles",
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
        sqlite_autoincrement=True,
    )
    op.create_index(None, "tiles", ["lot_id", "id"])
    op.create_index(None, "tiles", ["lot_id", "mosaic_row", "mosaic_column"])
    op.create_table(
        "repeats",
        sa.Column("tile", identity(), _of("tiles"), primary_key=True, autoincrement=False),
        sa.Column("path", Words, primary_key=True),
        sa.Column("seen_at", UtcTime, nullable=False),
    )
    op.create_table(
        "screenings",
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
    op.create_table(
        "results",
        _keyed("screening", _of("screenings")),
        _keyed("tile", _of("tiles"), index=True),
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
    op.create_table(
        "claims",
        _keyed("screening", _of("screenings")),
        _keyed("tile", _of("tiles"), index=True),
        sa.Column("worker", Words, nullable=False),
        sa.Column("expires", UtcTime, nullable=False),
    )
