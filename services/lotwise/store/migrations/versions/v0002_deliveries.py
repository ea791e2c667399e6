"""An outbox: what is to be told to others once a lot is finished."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lotwise.store.column_types import UtcTime, Words, document, identity

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "deliveries",
        sa.Column("id", identity(), primary_key=True),
        sa.Column(
            "screening",
            identity(),
            sa.ForeignKey("screenings.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("target", Words, nullable=False),
        sa.Column("payload", document(), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", UtcTime, index=True),
        sa.Column("delivered_at", UtcTime),
        sa.Column("last_error", Words),
        sa.UniqueConstraint("screening", "target"),
        sqlite_autoincrement=True,
    )
