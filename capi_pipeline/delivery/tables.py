"""Tables of the ledger. No identifier and no payload is in them: ids, states, times, codes, redacted words, digests."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import TIMESTAMP

SCHEMA = "capi"
metadata = MetaData(schema=SCHEMA)
_time = TIMESTAMP(timezone=True)

deliveries = Table(
    "deliveries",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("event_name", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("hour", _time, nullable=False, comment="partition that owns the event: the first hour it came with"),
    Column("state", Text, nullable=False, comment="see platforms.base.State"),
    Column("reason", Text, comment="of withheld and held: see platforms.base.Reason and delivery.ledger.Held"),
    Column("code", Text, comment="the platform's code"),
    Column("message", Text, comment="the platform's words, redacted"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("event_time", _time, nullable=False),
    Column("recorded_at", _time, nullable=False),
    Column("original_event_id", Text, comment="of a refund: the conversion that it adjusts"),
    Column("claim", Text, comment="which run's claim the row is under; only that run settles it"),
    Column("claimed_at", _time),
    Column("settled_at", _time),
    Column("unknown_since", _time, comment="first attempt that may have reached the platform without an answer"),
    Column("not_before", _time, comment="of retry: the platform asked to wait until then"),
    Column("at_most", Integer, comment="of retry: send with at most so many events in a request"),
    Column("payload_digest", Text),
    Column("trace_id", Text, comment="the platform's own request id"),
    Column("position", Integer, comment="index of the event in that request"),
    Column("run_id", Text),
    Index("deliveries_by_hour", "hour", "destination", "state"),
    Index(
        "deliveries_open",
        "state",
        "destination",
        "hour",
        postgresql_where=text("state in ('sending', 'pending', 'retry', 'held')"),
    ),
    Index(
        "deliveries_originals",
        "destination",
        "original_event_id",
        postgresql_where=text("original_event_id is not null"),
    ),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("trace_id", Text, primary_key=True),
    Column("hour", _time, nullable=False),
    Column("events", Integer, nullable=False),
    Column("submitted_at", _time, nullable=False),
    Column("ask_at", _time, nullable=False),
    Column("asked", Integer, nullable=False, server_default=text("0")),
)

tokens = Table(
    "tokens",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("configured_digest", Text, nullable=False, comment="of the refresh token in the environment"),
    Column("refresh_token", LargeBinary, nullable=False, comment="encrypted"),
    Column("previous_refresh_token", LargeBinary, comment="encrypted; kept until the new one has worked"),
    Column("access_token", LargeBinary, comment="encrypted"),
    Column("expires_at", _time),
    Column("updated_at", _time, nullable=False),
)

pruned = Table(
    "pruned",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("before", _time, nullable=False, comment="settled rows of hours and events before it may be deleted"),
)

suppressed = Table(
    "suppressed",
    metadata,
    Column(
        "token", Text, primary_key=True, comment="keyed digest of an identifier of a person who asked to be forgotten"
    ),
    Column("key", Text, nullable=False, comment="which key made it: a digest of the key"),
    Column("since", _time, nullable=False),
)
