"""The reference pages of docs/, made from the code: `python -m capi_pipeline.reference docs`. A test fails when one is stale."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from capi_pipeline import supports
from capi_pipeline.conversions.contract import ACTION_SOURCES, COLUMNS, EVENT_NAMES, Column
from capi_pipeline.destinations import DestinationConfig, Filter
from capi_pipeline.platforms import NAMES, platform
from capi_pipeline.reference import consent, exposures, match_quality, normalisation, platforms
from capi_pipeline.reference.tables import MADE, default, table
from capi_pipeline.settings import Settings


def contract() -> str:
    """The canonical conversion, column by column."""
    rows = [(f"`{c.name}`", c.kind.value, "yes" if c.required else "", _rule(c)) for c in COLUMNS]
    return f"""# The canonical conversion

{MADE}
One row of the table `marts.conversions` (or of the one that `CAPI_CONVERSIONS_TABLE` names) is one conversion. Every column
must exist, but for the optional ones; those that are not required may be null. JSON columns may be `json`, `jsonb` or text.

{table(("column", "type", "required", "rule"), rows)}
Beyond single columns: `event_id` is unique with `event_name`; `value` and `currency` come together; a `refund` names
`original_event_id` and `original_event_time`, its `value` is the amount given back and `remaining_value` what is left of the
original; a `custom` event has a `custom_event_name`; `recorded_at` is when the row landed in the warehouse, and decides its
partition.

Event names: {", ".join(f"`{name}`" for name in EVENT_NAMES)}.

Action sources: {", ".join(f"`{name}`" for name in ACTION_SOURCES)}.

`contents` is `[{{"id", "name", "category", "brand", "variant", "quantity", "price"}}]` with the price per unit. `click_ids` is
`{{"gclid": {{"value": "…", "clicked_at": "…"}}}}`, keyed by the URL parameter. `browser_ids` holds first-party cookies (`fbp`,
`fbc`, `ttp`, …), `device` is `os`, `os_version`, `model`, `app_id`, `app_version`, `advertising_id`, `vendor_id`,
`att_status`, `language`, `screen_width`, `screen_height`. `enriched` names the columns that would be empty without identity
resolution, click ids by parameter (`["emails", "click_ids.gclid"]`): match quality is shown with and without them.
"""


def _rule(column: Column) -> str:
    parts = ["optional: the table may lack it"] if column.optional else []
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
        (f"`CAPI_{name.upper()}`", default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return f"""# Settings

{MADE}
Environment variables of `capi` and of Dagster's processes. None is needed for the demo.

{table(("variable", "default", "meaning"), rows)}
`DAGSTER_HOME`: your own Dagster instance; without it `capi` keeps one in `CAPI_HOME`. Its storage must name the driver:
`postgresql+psycopg2://…`.
"""


def destinations() -> str:
    """Keys of a destination's document, and each platform's account."""
    common = [
        (f"`{name}`", default(field), field.description or "") for name, field in DestinationConfig.model_fields.items()
    ]
    filters = [(f"`{name}`", field.description or "") for name, field in Filter.model_fields.items()]
    return f"""# Destinations

{MADE}
One YAML document each: `<name>/defs.yaml` in the folder that `CAPI_DESTINATIONS` names. Values stay as they are written (an
id such as `0123` keeps its zero). A secret is named, never written: `access_token: {{env: META_ACCESS_TOKEN}}`; any other key
of an account may be named that way too (names with values as a JSON object). Variables are read in the run.

{table(("key", "default", "meaning"), common)}
`filter` keeps only conversions that match every given line:

{table(("key", "meaning"), filters)}
## Platforms

{_matrix("destinations/")}
Each has a page of its own: account keys, limits, events, identifiers, and how to get the credentials. By which rule an
identifier is normalised for which platform: [normalisation.md](normalisation.md).
"""


def _matrix(folder: str) -> str:
    rows = supports.matrix()
    linked = [
        [f"[{platform(row['platform']).title}]({folder}{row['platform']}.md)", *list(row.values())] for row in rows
    ]
    return table(("", *rows[0]), linked)


PAGES: dict[str, Callable[[], str]] = {
    "contract.md": contract,
    "settings.md": settings,
    "destinations.md": destinations,
    "normalisation.md": normalisation.page,
    "match_quality.md": match_quality.page,
}
EXPOSURES = "dbt_project/models/delivery/exposures.yml"
README = re.compile("(?<=<!-- matrix -->\n).*?(?=<!-- /matrix -->)", re.DOTALL)


def pages(docs: Path) -> dict[Path, str]:
    """Every generated page of this folder, and the README beside it: path -> what it should hold."""
    made = {docs / name: make() for name, make in PAGES.items()}
    for name in NAMES:
        path = docs / "destinations" / f"{name}.md"
        made[path] = platforms.page(platform(name), path.read_text("utf-8") if path.exists() else "")
    decided = docs / "consent.md"
    made[decided] = consent.page(decided.read_text("utf-8") if decided.exists() else "")
    made[docs.parent / consent.MACRO] = consent.macro()
    made[docs.parent / consent.UNIT_TESTS] = consent.unit_tests()
    made[docs.parent / EXPOSURES] = exposures.page()
    readme = docs.parent / "README.md"
    made[readme] = README.sub(lambda _: _matrix("docs/destinations/"), readme.read_text("utf-8"))
    return made


def write(docs: Path) -> None:
    for path, text in pages(docs).items():
        path.write_text(text, "utf-8")
