"""The reference pages of docs/, made from the code: `python -m capi_pipeline.reference docs`. A test fails when one is stale."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from capi_pipeline.conversions.contract import ACTION_SOURCES, COLUMNS, EVENT_NAMES, Column
from capi_pipeline.destinations import DestinationConfig, Filter, is_secret
from capi_pipeline.platforms import NAMES
from capi_pipeline.platforms import platform as platform_class
from capi_pipeline.platforms.base import Platform
from capi_pipeline.settings import Settings

MADE = "<!-- Made from the code by `python -m capi_pipeline.reference docs`. -->\n"


def contract() -> str:
    """The canonical conversion, column by column."""
    rows = [(f"`{c.name}`", c.kind.value, "yes" if c.required else "", _rule(c)) for c in COLUMNS]
    return f"""# The canonical conversion

{MADE}
One row of the table `marts.conversions` (or of the one that `CAPI_CONVERSIONS_TABLE` names) is one conversion. Every column
must exist; those that are not required may be null. JSON columns may be `json`, `jsonb` or text.

{_table(("column", "type", "required", "rule"), rows)}
Beyond single columns: `event_id` is unique with `event_name`; `value` and `currency` come together; a `refund` names
`original_event_id` and `original_event_time`, its `value` is the amount given back and `remaining_value` what is left of the
original; a `custom` event has a `custom_event_name`; `recorded_at` is when the row landed in the warehouse, and decides its
partition.

Event names: {", ".join(f"`{name}`" for name in EVENT_NAMES)}.

Action sources: {", ".join(f"`{name}`" for name in ACTION_SOURCES)}.

`contents` is `[{{"id", "name", "category", "brand", "variant", "quantity", "price"}}]` with the price per unit. `click_ids` is
`{{"gclid": {{"value": "…", "clicked_at": "…"}}}}`, keyed by the URL parameter. `browser_ids` holds first-party cookies (`fbp`,
`fbc`, `ttp`, …), `device` is `os`, `os_version`, `model`, `app_id`, `app_version`, `advertising_id`, `vendor_id`,
`att_status`, `language`, `screen_width`, `screen_height`.
"""


def _rule(column: Column) -> str:
    parts = []
    if column.allowed and column.name not in ("event_name", "action_source"):
        parts.append(" or ".join(f"`{word}`" for word in column.allowed))
    if column.pattern:
        parts.append(f"`{column.pattern}`")
    if column.personal:
        parts.append("identifier: hashed, never stored")
    return "; ".join(parts)


def settings() -> str:
    """Every environment variable."""
    rows = [
        (f"`CAPI_{name.upper()}`", _default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return f"""# Settings

{MADE}
Environment variables of `capi` and of Dagster's processes. None is needed for the demo.

{_table(("variable", "default", "meaning"), rows)}
`DAGSTER_HOME`: your own Dagster instance; without it `capi` keeps one in `CAPI_HOME`. Its storage must name the driver:
`postgresql+psycopg2://…`.
"""


def destinations() -> str:
    """Keys of a destination's document, and each platform's account."""
    common = [
        (f"`{name}`", _default(field), field.description or "")
        for name, field in DestinationConfig.model_fields.items()
    ]
    filters = [(f"`{name}`", field.description or "") for name, field in Filter.model_fields.items()]
    return f"""# Destinations

{MADE}
One YAML document each: `<name>/defs.yaml` in the folder that `CAPI_DESTINATIONS` names. Values stay as they are written (an
id such as `0123` keeps its zero). A secret is named, never written: `access_token: {{env: META_ACCESS_TOKEN}}`; any other key
of an account may be named that way too (names with values as a JSON object). Variables are read in the run.

{_table(("key", "default", "meaning"), common)}
`filter` keeps only conversions that match every given line:

{_table(("key", "meaning"), filters)}
{"".join(map(_platform, (platform_class(name) for name in NAMES)))}"""


def _platform(kind: type[Platform]) -> str:
    window, oldest = kind.deduplication.window, kind.limits.oldest
    keys = ", ".join(f"`{key}`" for key in kind.deduplication.keys)
    facts = [
        f"{kind.limits.events} events a request" + (", one bad event refuses all" if kind.limits.atomic else ""),
        f"repeated events ({keys}) are dropped for {window.total_seconds() / 3600:g} h"
        if window
        else "no deduplication",
        f"events of the last {oldest.total_seconds() / 86400:g} days" if oldest else "no age limit",
        "refunds as new totals" if kind.restates else "no refunds",
        "a limited-data flag for people who opted out of sale"
        if kind.limited_data
        else "people who opted out are withheld",
    ]
    if kind.verdicts:
        facts.append("verdicts come later")
    rows = [
        (f"`{name}`", "secret" if is_secret(field) else "", _default(field), field.description or "")
        for name, field in kind.Config.model_fields.items()
        if name != "base_url"
    ]
    return f"""
## {kind.title} (`{kind.name}`)

{"; ".join(facts)}. <{kind.documentation}>

{_table(("account key", "", "default", "meaning"), rows)}"""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value == [] or value == {}:
        return ""
    if isinstance(value, Path):
        return f"`{value.name}`" if value.is_absolute() else f"`{value}`"
    return f"`{getattr(value, 'value', value)}`"


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(columns)
    lines = [heads, ["---"] * len(heads), *[[cell.replace("|", "\\|") for cell in row] for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


PAGES: dict[str, Callable[[], str]] = {
    "contract.md": contract,
    "settings.md": settings,
    "destinations.md": destinations,
}

if __name__ == "__main__":
    for page, make in PAGES.items():
        (Path(sys.argv[1]) / page).write_text(make(), "utf-8")
