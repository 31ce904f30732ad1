"""The ledger: deliveries, verdicts, tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0001"
down_revision = None

_time = TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("event_name", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("hour", _time, nullable=False, comment="partition that owns the event: the first hour it came with"),
        sa.Column("state", sa.Text, nullable=False, comment="see platforms.base.State"),
        sa.Column(
            "reason", sa.Text, comment="of withheld and held: see platforms.base.Reason and delivery.ledger.Held"
        ),
        sa.Column("code", sa.Text, comment="the platform's code"),
        sa.Column("message", sa.Text, comment="the platform's words, redacted"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("event_time", _time, nullable=False),
        sa.Column("recorded_at", _time, nullable=False),
        sa.Column("original_event_id", sa.Text, comment="of a refund: the conversion that it adjusts"),
        sa.Column("claim", sa.Text, comment="which run's claim the row is under; only that run settles it"),
        sa.Column("claimed_at", _time),
        sa.Column("settled_at", _time),
        sa.Column("unknown_since", _time, comment="first attempt that may have reached the platform without an answer"),
        sa.Column("not_before", _time, comment="of retry: the platform asked to wait until then"),
        sa.Column("at_most", sa.Integer, comment="of retry: send with at most so many events in a request"),
        sa.Column("payload_digest", sa.Text),
        sa.Column("trace_id", sa.Text, comment="the platform's own request id"),
        sa.Column("position", sa.Integer, comment="index of the event in that request"),
        sa.Column("run_id", sa.Text),
        schema="capi",
    )
    op.create_index("deliveries_by_hour", "deliveries", ["destination", "hour", "state"], schema="capi")
    op.create_index(
        "deliveries_open",
        "deliveries",
        ["state", "destination", "hour"],
        schema="capi",
        postgresql_where=sa.text("state in ('sending', 'pending', 'retry', 'held')"),
    )
    op.create_index(
        "deliveries_originals",
        "deliveries",
        ["destination", "original_event_id"],
        schema="capi",
        postgresql_where=sa.text("original_event_id is not null"),
    )
    op.create_table(
        "verdicts",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("trace_id", sa.Text, primary_key=True),
        sa.Column("hour", _time, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("submitted_at", _time, nullable=False),
        sa.Column("ask_at", _time, nullable=False),
        sa.Column("asked", sa.Integer, nullable=False, server_default=sa.text("0")),
        schema="capi",
    )
    op.create_table(
        "tokens",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("configured_digest", sa.Text, nullable=False, comment="of the refresh token in the environment"),
        sa.Column("refresh_token", sa.LargeBinary, nullable=False, comment="encrypted"),
        sa.Column("previous_refresh_token", sa.LargeBinary, comment="encrypted; kept until the new one has worked"),
        sa.Column("access_token", sa.LargeBinary, comment="encrypted"),
        sa.Column("expires_at", _time),
        sa.Column("updated_at", _time, nullable=False),
        schema="capi",
    )
