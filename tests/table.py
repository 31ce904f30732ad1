"""A conversions table in a test's warehouse, made from the contract."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import create_engine, text

from capi_pipeline.conversions.contract import COLUMNS, Kind

TABLE = "marts.conversions"
HOUR = datetime(2026, 10, 1, 14, tzinfo=UTC)
TYPES = {Kind.OBJECT: "jsonb", Kind.ARRAY: "jsonb"}


def row(number: int = 0, hour: datetime = HOUR, **changes: Any) -> dict[str, Any]:
    """A purchase with everything that Meta needs."""
    return {
        "event_id": f"order-{number:06d}",
        "event_name": "purchase",
        "event_time": hour + timedelta(seconds=number % 3600),
        "recorded_at": hour + timedelta(minutes=20),
        "action_source": "website",
        "source_url": "https://shop.example/thanks",
        "transaction_id": f"{number}",
        "value": "19.90",
        "currency": "EUR",
        "emails": [f"person{number}@example.com"],
        "country": "DE",
        "ip_address": "192.0.2.7",
        "user_agent": "Mozilla/5.0",
        "click_ids": {"fbclid": {"value": f"click{number}", "clicked_at": "2026-10-01T13:00:00Z"}},
        "date_of_birth": "1980-02-29",
        "opt_out_of_sale": False,
        "consent_ad_storage": "granted",
        "consent_ad_user_data": "granted",
        **changes,
    }


def create(url: str, rows: Sequence[dict[str, Any]] = (), *, without: Sequence[str] = (), **types: str) -> None:
    """The table with its contract's columns (but for `without`; `types`: other types for some) and these rows."""
    columns = [column for column in COLUMNS if column.name not in without]
    fields = ", ".join(f"{c.name} {types.get(c.name) or TYPES.get(c.kind, c.kind.value)}" for c in columns)
    sql(url, f"create schema if not exists marts; drop table if exists {TABLE}; create table {TABLE} ({fields})")
    insert(url, rows)


def insert(url: str, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        names = sorted({name for row in rows for name in row})
        values = [
            {name: orjson.dumps(v).decode() if isinstance(v := row.get(name), dict | list) else v for name in names}
            for row in rows
        ]
        query = f"insert into {TABLE} ({', '.join(names)}) values ({', '.join(f':{name}' for name in names)})"
        sql(url, query, values)


def sql(url: str, query: str, values: Any = None) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(query), values)
    engine.dispose()
