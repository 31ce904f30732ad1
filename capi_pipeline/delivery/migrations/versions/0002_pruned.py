"""What the ledger has forgotten: per destination, before when its rows may have been deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "pruned",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column(
            "before",
            TIMESTAMP(timezone=True),
            nullable=False,
            comment="settled rows of hours and events before it may be deleted",
        ),
        schema="capi",
    )
