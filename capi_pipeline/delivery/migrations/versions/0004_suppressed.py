"""People who asked to be forgotten: keyed digests of their identifiers, for good."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "suppressed",
        sa.Column(
            "token",
            sa.Text,
            primary_key=True,
            comment="keyed digest of an identifier of a person who asked to be forgotten",
        ),
        sa.Column("key", sa.Text, nullable=False, comment="which key made it: a digest of the key"),
        sa.Column("since", TIMESTAMP(timezone=True), nullable=False),
        schema="capi",
    )
