"""The tables that the shop writes, and rows on their way into them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import orjson

HOUR = 3600
Cell = str | None

_TYPES = {
    "timestamptz": "created_at updated_at changed_at occurred_at given_at requested_at clicked_at landed_at at",
    "numeric(18,4)": "total tax shipping unit_price amount value",
    "integer": "line quantity",
    "bigint": "person",
    "boolean": "gpc opt_out_of_sale knowable recorded",
    "json": "items click_ids cookies properties device pixels",
    "date": "birth_date",
}
_TYPE = {column: kind for kind, columns in _TYPES.items() for column in columns.split()}

RAW: dict[str, tuple[str, ...]] = {
    table: tuple(columns.split())
    for table, columns in {
        "customers": "customer_id email phone first_name last_name gender birth_date street city region postal_code country "
        "created_at updated_at",
        "orders": "order_id customer_id anonymous_id channel status email phone first_name last_name street city region "
        "postal_code country total tax shipping currency coupon page_url referrer_url ip_address user_agent created_at",
        "order_items": "order_id line product_id product_name category brand variant quantity unit_price",
        "refunds": "refund_id order_id amount currency reason items created_at",
        "leads": "lead_id stage customer_id anonymous_id email phone first_name last_name company country value currency "
        "source click_ids changed_at",
        "web_events": "event_id event_name anonymous_id user_id session_id page_url referrer_url ip_address user_agent "
        "cookies properties device pixels occurred_at",
        "consents": "subject_type subject_id ad_storage ad_user_data ad_personalization analytics_storage gpc opt_out_of_sale "
        "tcf_string gpp_string gpp_sid country region given_at",
        "erasures": "request_id customer_id email phone requested_at",
    }.items()
}
# What `attribution` is made of: every click and every order or lead of each person, and which ids stand in one row.
TRUTH: dict[str, tuple[str, ...]] = {
    table: tuple(columns.split())
    for table, columns in {
        "people": "person id_type id_value",
        "attribution": "conversion_type conversion_id parameter click_value clicked_at knowable",
        "_clicks": "person anonymous_id session_id parameter click_value clicked_at landed_at recorded",
        "_conversions": "person conversion_type conversion_id anonymous_id customer_id click_ids at landed_at",
        "_links": "left_id right_id landed_at",
    }.items()
}


class Landed(NamedTuple):
    """A row of a raw table, or of `people`, `_conversions` and `_links` of the truth, the second in which it lands, and whether a
    conversion lands with it."""

    at: float
    table: str
    cells: tuple[Cell, ...]
    conversion: bool = False


def definition(table: str, columns: tuple[str, ...]) -> str:
    """`create table` of one table; raw tables know when a row landed."""
    body = [f"{column} {_TYPE.get(column, 'text')}" for column in columns]
    if table.startswith("raw."):
        body.append("_loaded_at timestamptz not null")
    return f"create table {table} ({', '.join(body)})"


def stamp(at: float) -> str:
    """Seconds since 1970 as an ISO time."""
    minute, rest = divmod(int(at * 1000), 60_000)
    return f"{_minute(minute)}:{rest // 1000:02}.{rest % 1000:03}+00:00"


@lru_cache(maxsize=20_000)
def _minute(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M")


def document(value: object) -> str:
    """A JSON document."""
    return orjson.dumps(value).decode()
