"""The canonical conversion: the columns of the mart `conversions`, their types, and the rules that every row keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from capi_pipeline.errors import ContractError

EVENT_NAMES = (
    "page_view", "view_item", "view_item_list", "search", "add_to_wishlist", "add_to_cart", "begin_checkout",
    "add_payment_info", "purchase", "refund", "generate_lead", "qualify_lead", "close_convert_lead", "sign_up",
    "start_trial", "subscribe", "contact", "schedule", "submit_application", "find_location", "customize_product",
    "donate", "download", "app_install", "app_open", "custom",
)  # fmt: skip
ACTION_SOURCES = (
    "website", "app", "physical_store", "phone_call", "chat", "email", "system_generated", "other",
)  # fmt: skip

# ISO 3166-1 alpha-2, and XK (Kosovo), which everyone uses.
COUNTRIES = (
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", "BA", "BB", "BD",
    "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV", "BW", "BY", "BZ", "CA",
    "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN", "CO", "CR", "CU", "CV", "CW", "CX", "CY", "CZ", "DE",
    "DJ", "DK", "DM", "DO", "DZ", "EC", "EE", "EG", "EH", "ER", "ES", "ET", "FI", "FJ", "FK", "FM", "FO", "FR", "GA",
    "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY", "HK",
    "HM", "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM", "JO", "JP",
    "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC", "LI", "LK", "LR", "LS", "LT",
    "LU", "LV", "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK", "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS",
    "MT", "MU", "MV", "MW", "MX", "MY", "MZ", "NA", "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU", "NZ",
    "OM", "PA", "PE", "PF", "PG", "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO", "RS",
    "RU", "RW", "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS", "ST",
    "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO", "TR", "TT", "TV", "TW",
    "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI", "VN", "VU", "WF", "WS", "XK", "YE", "YT",
    "ZA", "ZM", "ZW",
)  # fmt: skip


class Kind(StrEnum):
    """What a column holds, as the warehouse is asked for it."""

    TEXT = "text"
    TIME = "timestamp with time zone"
    AMOUNT = "numeric(18,4)"
    FLAG = "boolean"
    DATE = "date"
    OBJECT = "JSON object"
    ARRAY = "JSON array"


ARROW = {
    Kind.TEXT: pa.string(),
    Kind.TIME: pa.timestamp("us", "UTC"),
    Kind.AMOUNT: pa.decimal128(18, 4),
    Kind.FLAG: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.OBJECT: pa.string(),  # JSON travels as text and is read where it is used
    Kind.ARRAY: pa.string(),
}


@dataclass(frozen=True)
class Column:
    """One column; `personal` ones are read by the transform and never leave it raw. A table may lack an `optional` one."""

    name: str
    kind: Kind = Kind.TEXT
    required: bool = False
    personal: bool = False
    optional: bool = False
    allowed: tuple[str, ...] = ()
    pattern: str = ""


CONSENT = ("granted", "denied")
IDENTIFIER = r"^[^\x00-\x1f\x7f]{1,512}$"  # what a key of the ledger can hold
COLUMNS = (
    Column("event_id", required=True, pattern=IDENTIFIER),
    Column("event_name", required=True, allowed=EVENT_NAMES),
    Column("custom_event_name"),
    Column("event_time", Kind.TIME, required=True),
    Column("recorded_at", Kind.TIME, required=True),
    Column("action_source", required=True, allowed=ACTION_SOURCES),
    Column("source_url"),
    Column("referrer_url"),
    Column("transaction_id"),
    Column("value", Kind.AMOUNT),
    Column("currency", pattern="^[A-Z]{3}$"),
    Column("tax", Kind.AMOUNT),
    Column("shipping", Kind.AMOUNT),
    Column("coupon"),
    Column("contents", Kind.ARRAY),
    Column("search_term"),
    Column("customer_type", allowed=("new", "returning")),
    Column("original_event_id", pattern=IDENTIFIER),
    Column("original_event_time", Kind.TIME),
    Column("remaining_value", Kind.AMOUNT),
    Column("properties", Kind.OBJECT),
    Column("user_id", personal=True),
    Column("anonymous_id", personal=True),
    Column("emails", Kind.ARRAY, personal=True),
    Column("phones", Kind.ARRAY, personal=True),
    Column("first_name", personal=True),
    Column("last_name", personal=True),
    Column("gender", personal=True, allowed=("female", "male")),
    Column("date_of_birth", Kind.DATE, personal=True),
    Column("street_address", personal=True),
    Column("city", personal=True),
    Column("region"),
    Column("postal_code", personal=True),
    Column("country", pattern="^[A-Z]{2}$"),
    Column("ip_address"),
    Column("user_agent"),
    Column("click_ids", Kind.OBJECT),
    Column("browser_ids", Kind.OBJECT),
    Column("device", Kind.OBJECT),
    Column("consent_ad_storage", allowed=CONSENT),
    Column("consent_ad_user_data", allowed=CONSENT),
    Column("consent_ad_personalization", allowed=CONSENT),
    Column("opt_out_of_sale", Kind.FLAG),
    Column("privacy_country", pattern="^[A-Z]{2}$"),
    Column("privacy_region"),
    Column("tcf_string"),
    Column("gpp_string"),
    Column("gpp_sid"),
    Column(
        "enriched", Kind.ARRAY, optional=True
    ),  # what would be missing without identity resolution: names, no values
)
SCHEMA = pa.schema([pa.field(column.name, ARROW[column.kind]) for column in COLUMNS])
KEPT = tuple(column for column in COLUMNS if not column.personal)


@dataclass(frozen=True)
class Window:
    """One partition: the hour [start, end) of `recorded_at`, UTC."""

    start: datetime
    end: datetime


def check(batch: pa.RecordBatch, window: Window) -> None:
    """Raise ContractError for the first rule that a row of `batch` (of SCHEMA) breaks, naming column, row key and rule."""
    for column, rule, broken in _rules(batch, window):
        rows = pc.indices_nonzero(pc.fill_null(broken, False))
        if len(rows):
            row = rows[0].as_py()
            key = f"event_name={batch['event_name'][row].as_py()!r}, event_id={batch['event_id'][row].as_py()!r:.120}"
            raise ContractError(
                f"Column `{column}` of the conversions table breaks the contract: {rule}. First row: {key}; "
                f"{len(rows)} of the {batch.num_rows} rows just read.",
                "Correct the model (or the raw rows), rebuild this hour and rerun the partition. Nothing of this hour was sent.",
            )


_EMPTY = (None, "{}", "[]")


def _fits(text: str, fits: Callable[[Any], bool]) -> bool:
    try:
        return fits(orjson.loads(text))
    except orjson.JSONDecodeError:
        return False


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(item is None or isinstance(item, str) for item in value)


def _is_items(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_clicks(value: Any) -> bool:
    return isinstance(value, dict) and all(
        click is None or (isinstance(click, dict) and _is_time(click.get("clicked_at"))) for click in value.values()
    )


def _is_time(value: Any) -> bool:
    if not isinstance(value, str):
        return value is None
    try:
        return bool(datetime.fromisoformat(value))
    except ValueError:
        return False


_SHAPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "contents": (" of objects", _is_items),
    "emails": (" of text", _is_texts),
    "phones": (" of text", _is_texts),
    "enriched": (" of text", _is_texts),
    "click_ids": (" of objects with `value` and `clicked_at` (ISO 8601)", _is_clicks),
}


def _rules(batch: pa.RecordBatch, window: Window) -> Iterator[tuple[str, str, pa.Array]]:
    """Each rule as (column, the rule in words, which rows break it)."""

    def empty(name: str) -> pa.Array:
        column = batch[name]
        blank = pc.equal(column, "") if pa.types.is_string(column.type) else pa.scalar(False)
        return pc.or_kleene(pc.is_null(column), blank)

    for column in COLUMNS:
        values = batch[column.name]
        if column.required:
            yield column.name, "it is required and may not be null or empty", empty(column.name)
        if column.allowed:
            yield (
                column.name,
                f"it is one of {', '.join(column.allowed)}, or null",
                pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, pa.array(column.allowed)))),
            )
        if column.pattern:
            yield (
                column.name,
                f"it matches {column.pattern}, or is null",
                pc.and_(pc.is_valid(values), pc.invert(pc.match_substring_regex(values, column.pattern))),
            )
        if column.kind in (Kind.OBJECT, Kind.ARRAY):
            words, fits = _SHAPES.get(column.name, ("", _is_object))
            documents = values.to_pylist()
            misfits = [text not in _EMPTY and not _fits(text, fits) for text in documents]
            yield column.name, f"it is a {column.kind}{words}, or null", pa.array(misfits, pa.bool_())
    for country in (
        "country",
        "privacy_country",
    ):  # another spelling would slip through consent and spoil phone numbers
        unknown = pc.invert(pc.is_in(batch[country], pa.array(COUNTRIES)))
        yield (
            country,
            "it is an ISO 3166-1 alpha-2 code (the United Kingdom is GB), or null",
            pc.and_(pc.is_valid(batch[country]), unknown),
        )
    name = batch["event_name"]
    yield "custom_event_name", "`custom` needs it", pc.and_(pc.equal(name, "custom"), empty("custom_event_name"))
    for needed in ("original_event_id", "original_event_time"):
        yield (
            needed,
            "a `refund` names the conversion that it adjusts",
            pc.and_(pc.equal(name, "refund"), empty(needed)),
        )
    yield (
        "currency",
        "`value` and `currency` come together",
        pc.xor(pc.is_null(batch["value"]), pc.is_null(batch["currency"])),
    )
    when = batch["recorded_at"]
    outside = pc.or_(
        pc.less(when, pa.scalar(window.start, when.type)), pc.greater_equal(when, pa.scalar(window.end, when.type))
    )
    yield "recorded_at", f"it lies in the partition [{window.start:%Y-%m-%d %H:%M}, {window.end:%H:%M})", outside
