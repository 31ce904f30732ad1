"""The indexes on the raw tables by which dbt builds an hour at the cost of that hour.

They are what `dbt run-operation index_raw_tables` makes on a shop's own tables (dbt_project/macros/indexes.sql); a test
holds the two together. An index on an expression serves only the very same expression, so these are the models' own.
"""

from __future__ import annotations


def _text(column: str) -> str:
    return rf"nullif(btrim({column}, e' \t\r\n\u00a0'), '')"


def _id(column: str) -> str:
    words = (
        "undefined|null|none|nil|nan|n/a|unknown|anonymous|guest|false|[(](not set|none|null)[)]|[[]object object[]]"
    )
    return f"case when not ({column} ~* '^[[:space:]]*(|[0-]+|{words})[[:space:]]*$') then {column} end"


def _email_key(text: str) -> str:
    address = r"'^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$'"
    return f"case when {text} ~ {address} or {text} ~ '^[0-9a-fA-F]{{64}}$' then lower({text}) end"


def _json_key(key: str) -> str:
    pair, half = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}", r"\\u(0000|[dD][89a-fA-F])"
    valid = f"properties::text is json object and regexp_replace(properties::text, '{pair}', '', 'g') !~ '{half}'"
    value = _text(f"(properties::text::json ->> '{key}')")
    return f"case when {valid} then {value} end"


_BUSINESS_KEY = f"""case event_name
    when 'purchase' then {_json_key("order_id")} when 'generate_lead' then {_json_key("lead_id")}
end"""
_SUBJECT = f"case when subject_type = 'email' then {_email_key(_text('subject_id'))} else subject_id end"

INDEXES: dict[str, dict[str, str]] = {
    "customers": {"customer": "(customer_id)"},
    "orders": {
        "landed": "(_loaded_at)",
        "order": "(order_id)",
        "customer_id": f"(({_id('customer_id')}))",
        "email": f"(({_email_key(_text('email'))}))",
    },
    "order_items": {"order": "(order_id)"},
    "refunds": {"landed": "(_loaded_at)", "refund": "(refund_id)", "order": "(order_id)"},
    "leads": {"landed": "(_loaded_at)", "lead": "(lead_id)"},
    "web_events": {
        "landed": "(_loaded_at)",
        "event": "(event_id)",
        "device": "(anonymous_id)",
        "business_key": f"(({_BUSINESS_KEY})) where event_name in ('purchase', 'generate_lead')",
    },
    "consents": {"landed": "(_loaded_at)", "subject": f"(({_SUBJECT}))"},
}
