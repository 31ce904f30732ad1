"""The index by hour begins with the hour.

With the destination first, PostgreSQL took it for looking single events up in a destination that its statistics did not know
yet, and read all of that destination's rows for each of them.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.drop_index("deliveries_by_hour", "deliveries", schema="capi")
    op.create_index("deliveries_by_hour", "deliveries", ["hour", "destination", "state"], schema="capi")
