"""The raw and truth tables, and the fastest way into them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

TABLES: dict[str, tuple[str, str]] = {
    "customers": ("raw", "customer_id text, email text, phone text, first_name text, last_name text, gender text, "
                  "birth_date date, street text, city text, region text, postal_code text, country text, "
                  "created_at timestamptz, updated_at timestamptz"),
    "orders": ("raw", "order_id text, customer_id text, anonymous_id text, channel text, status text, email text, phone text, "
               "first_name text, last_name text, street text, city text, region text, postal_code text, country text, "
               "total numeric(18,4), tax numeric(18,4), shipping numeric(18,4), currency text, coupon text, page_url text, "
               "referrer_url text, ip_address text, user_agent text, created_at timestamptz"),
    "order_items": ("raw", "order_id text, line int, product_id text, product_name text, category text, brand text, "
                    "variant text, quantity int, unit_price numeric(18,4)"),
    "refunds": ("raw", "refund_id text, order_id text, amount numeric(18,4), currency text, reason text, items json, "
                "created_at timestamptz"),
    "leads": ("raw", "lead_id text, stage text, customer_id text, anonymous_id text, email text, phone text, first_name text, "
              "last_name text, company text, country text, value numeric(18,4), currency text, source text, click_ids json, "
              "changed_at timestamptz"),
    "web_events": ("raw", "event_id text, event_name text, anonymous_id text, user_id text, session_id text, page_url text, "
                   "referrer_url text, ip_address text, user_agent text, cookies json, properties json, device json, "
                   "pixels json, occurred_at timestamptz"),
    "consents": ("raw", "subject_type text, subject_id text, ad_storage text, ad_user_data text, ad_personalization text, "
                 "analytics_storage text, gpc boolean, opt_out_of_sale boolean, tcf_string text, gpp_string text, gpp_sid text, "
                 "country text, region text, given_at timestamptz"),
    "erasures": ("raw", "request_id text, customer_id text, email text, phone text, requested_at timestamptz"),
    "people": ("truth", "person bigint, id_type text, id_value text"),
    "attribution": ("truth", "conversion_type text, conversion_id text, parameter text, click_value text, "
                    "clicked_at timestamptz, knowable boolean"),
}  # fmt: skip
COLUMNS = {name: [part.split()[0] for part in definition.split(", ")] for name, (_, definition) in TABLES.items()}
COLUMNS = {  # `numeric(18,4)` holds a comma, and its second half is no column
    name: [column for column in columns if not column[0].isdigit()] for name, columns in COLUMNS.items()
}
INDEXES = (
    "orders (_loaded_at)", "orders (order_id)", "orders (anonymous_id)", "orders (customer_id)", "order_items (order_id)",
    "order_items (_loaded_at)", "refunds (_loaded_at)", "refunds (order_id)", "leads (_loaded_at)", "leads (lead_id)",
    "leads (anonymous_id)", "web_events (_loaded_at)", "web_events (anonymous_id, occurred_at)", "web_events (event_id)",
    "customers (customer_id)", "consents (subject_id)", "consents (_loaded_at)", "erasures (customer_id)",
)  # fmt: skip


def schema_sql() -> list[str]:
    """Statements that make the empty tables anew."""
    out = [
        "drop schema if exists raw cascade",
        "drop schema if exists truth cascade",
        "create schema raw",
        "create schema truth",
    ]
    for name, (schema, definition) in TABLES.items():
        loaded = ", _loaded_at timestamptz not null" if schema == "raw" else ""
        out.append(f"create table {schema}.{name} ({definition}{loaded})")
    out.append(
        "create table raw._shop (seed bigint, visits double precision, people int, hours int, until timestamptz)"
    )
    return out


def copy(cursor: Any, table: str, rows: Iterable[tuple[datetime, Mapping[str, Any]]]) -> int:
    """COPY rows (lands at, row) into a table; returns how many."""
    schema, _ = TABLES[table]
    columns = COLUMNS[table]
    buffer, count = io.StringIO(), 0
    for lands, row in rows:
        values = [_text(row.get(column)) for column in columns]
        if schema == "raw":
            values.append(_text(lands))
        buffer.write("\t".join(values) + "\n")
        count += 1
    if count:
        buffer.seek(0)
        names = [*columns, "_loaded_at"] if schema == "raw" else columns
        cursor.copy_expert(f"copy {schema}.{table} ({', '.join(names)}) from stdin", buffer)
    return count


def _text(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bool):
        return "t" if value else "f"
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
