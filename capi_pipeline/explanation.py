"""The whole story of one conversion: where it came from, whose it is, what was decided, what each platform said and would get.

Everything that leads to a person is shown as a digest. What a warehouse does not have (no dbt project, no raw tables) is left
out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import yaml
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from capi_pipeline.conversions.contract import COLUMNS, EVENT_NAMES
from capi_pipeline.conversions.conversion import Conversion, conversions
from capi_pipeline.conversions.match_quality import Tally
from capi_pipeline.conversions.transform import transform
from capi_pipeline.delivery.delivery import personal
from capi_pipeline.delivery.ledger import HELD_WORDS, Held, Ledger
from capi_pipeline.delivery.redaction import Redactor, example
from capi_pipeline.delivery.tables import SCHEMA
from capi_pipeline.destinations import DestinationConfig
from capi_pipeline.errors import ConfigurationError, DeliveryError, address, first_line
from capi_pipeline.platforms import all_recipes
from capi_pipeline.platforms.outcomes import Withhold
from capi_pipeline.platforms.ranking import signals
from capi_pipeline.settings import Settings
from capi_pipeline.steps import forgotten
from capi_pipeline.warehouse import Warehouse

Story = dict[str, Any]
DIGEST = 12  # characters of a digest that are shown
MOST = 20  # rows of one kind
CONSENT = (
    "consent_ad_storage", "consent_ad_user_data", "consent_ad_personalization", "opt_out_of_sale", "country", "region",
    "privacy_country", "privacy_region",
)  # fmt: skip
PLAIN = (
    "event_id", "event_name", "custom_event_name", "event_time", "recorded_at", "action_source", "transaction_id", "value",
    "currency", "customer_type", "original_event_id", "original_event_time", "remaining_value",
)  # fmt: skip
IDS = ("customer_id", "email_key", "phone_key", "anonymous_id")  # of a link between two ids of a person
# Where a conversion can come from: table, its key, the column of ours that holds the key, what else to show of the row.
RAW = (
    ("orders", "order_id", "transaction_id", "status"),
    ("order_items", "order_id", "transaction_id", "line"),
    ("refunds", "refund_id", "refund_id", "reason"),
    ("leads", "lead_id", "lead_id", "stage"),
    ("web_events", "event_id", "event_id", "event_name"),
    ("consents", "subject_id", "user_id", "subject_type"),
    ("consents", "subject_id", "anonymous_id", "subject_type"),
)


def explain(
    settings: Settings,
    configs: Sequence[DestinationConfig],
    event_id: str,
    environment: Mapping[str, str],
    now: datetime | None = None,
) -> list[Story]:
    """One story per event name under which the id is known. Raises ConfigurationError when nobody knows it."""
    warehouse = Warehouse(settings.require("warehouse_url"), settings.conversions_table)
    ledger = Ledger.open(settings.require("ledger_url"))
    rows = _ledger_rows(ledger, event_id)
    batch, extras = warehouse.event(event_id)
    stories: dict[str, Story] = {}
    if batch is not None:
        hashed = transform(batch, all_recipes(), settings.consent, forgotten(settings))
        try:
            with warehouse.engine.connect() as connection:
                for number, c in enumerate(conversions(hashed)):
                    raw = batch.slice(number, 1).to_pylist()[0] | extras[number]
                    stories[c.event_name] = _story(connection, settings, raw, c)
        except SQLAlchemyError as error:
            raise DeliveryError(
                f"The warehouse ({address(warehouse.url)}) cannot be read: {first_line(error)}", "Correct its rights."
            ) from None
        for c in conversions(hashed):
            stories[c.event_name]["destinations"] = [
                _destination(
                    config, c, rows.pop((config.name, c.event_name), None), environment, now or datetime.now(UTC)
                )
                for config in configs
            ]
    for (name, event_name), row in rows.items():  # known to the ledger only
        story = stories.setdefault(event_name, {"conversion": {"event_id": event_id, "event_name": event_name}})
        story.setdefault("destinations", []).append({"destination": name, "ledger": row})
    if not stories:
        raise ConfigurationError(
            f"No conversion has the id `{event_id}`: neither `{warehouse.table}` nor the ledger knows it.",
            "Ids are those of the column `event_id`; `capi status` and `capi resolve` show some.",
        )
    return list(stories.values())


def digest(value: Any, kind: str = "") -> str | None:
    """What is shown of an identifier: the first characters of the SHA-256 of its text in lower case (of a phone: of its digits),
    so that the same one can be found again. What is a digest already is shown as it begins."""
    text_ = str(value or "").strip().lower()
    if kind == "phone":
        text_ = "".join(c for c in text_ if c.isdigit())
    if not text_:
        return None
    known = len(text_) == 64 and set(text_) <= set("0123456789abcdef")
    return (text_ if known else hashlib.sha256(text_.encode()).hexdigest())[:DIGEST]


def _story(connection: Connection, settings: Settings, raw: Mapping[str, Any], c: Conversion) -> Story:
    enriched = orjson.loads(raw["enriched"]) if raw.get("enriched") else []
    return {
        "conversion": {name: raw[name] for name in PLAIN if raw[name] is not None},
        "identifiers": _identifiers(raw),
        "raw_rows": _raw_rows(connection, settings, raw),
        "identity": {
            "added": [name for name in enriched if name],
            "person_id": raw.get("person_id"),
            **_person(connection, raw.get("person_id")),
        },
        "consent": {
            "decision": c.withhold or "may be sent",
            **{name: raw[name] for name in CONSENT if raw[name] is not None},
            "strings": [name for name in ("tcf_string", "gpp_string") if raw[name]],
        },
    }


def _identifiers(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Every identifier of the row, as digests; of what could be guessed from its digest, that it is known."""
    found: dict[str, Any] = {}
    for column in COLUMNS:
        value = raw[column.name]
        if value in (None, "", "[]", "{}"):
            continue
        if column.name in ("emails", "phones"):
            found[column.name] = [digest(item, column.name[:-1]) for item in orjson.loads(value) if item]
        elif column.name == "click_ids":
            found[column.name] = {k: digest(click.get("value")) for k, click in orjson.loads(value).items() if click}
        elif column.name == "browser_ids":
            found[column.name] = {k: digest(cookie) for k, cookie in orjson.loads(value).items()}
        elif column.name in ("user_id", "anonymous_id"):
            found[column.name] = digest(value)
        elif column.personal or column.name in ("ip_address", "user_agent", "device"):
            found[column.name] = "known"
    return found


def _raw_rows(connection: Connection, settings: Settings, raw: Mapping[str, Any]) -> list[Story]:
    """The rows that tell of this conversion: table, key (a digest where it is a person's), when they landed."""
    inspector, names = inspect(connection), _names(settings.dbt_project)
    keys = dict(raw)
    if raw["event_name"] == "refund":
        keys["refund_id"] = str(raw["event_id"]).removeprefix("refund-")
    found: list[Story] = []
    for table, key, column, shown in RAW:
        schema, name = names["raw"], names.get(table, table)
        if not keys.get(column) or not inspector.has_table(name, schema):
            continue
        query = f"""select {key}, {shown}, _loaded_at from {schema}.{name}
            where {key} = :key order by _loaded_at, {shown} limit {MOST}"""
        for value, more, landed in connection.execute(text(query), {"key": str(keys[column])}):
            hidden = digest(value) if table == "consents" else value
            found.append({"table": f"{schema}.{name}", key: hidden, shown: more, "landed": landed})
    return found


def _names(project: Path | None) -> dict[str, str]:
    """Names of the raw schema and its tables, as the dbt project's vars say."""
    names = {"raw": "raw"}
    if project is None:
        return names
    known = yaml.safe_load((project / "dbt_project.yml").read_text("utf-8")).get("vars") or {}
    names["raw"] = known.get("raw_schema", "raw")
    return names | {k.removesuffix("_table"): v for k, v in known.items() if k.endswith("_table")}


def _person(connection: Connection, person_id: Any) -> Story:
    """The ids that count as this person's, and which of them were seen together (the links that made them one)."""
    inspector = inspect(connection)
    if not person_id or not inspector.has_table("identity_ids", "identity"):
        return {}
    query = f"""select id_type, id_key, first_seen_at, last_seen_at from identity.identity_ids where person_id = :person
        order by id_type, first_seen_at limit {MOST}"""
    ids: list[Any] = list(connection.execute(text(query), {"person": person_id}))
    if not inspector.has_table("identity_links", "identity"):
        return {"ids": [_id(*row) for row in ids]}
    links: dict[str, Story] = {}
    columns = dict(zip(("customer_id", "email", "phone", "anonymous_id"), IDS, strict=True))
    for id_type, key, *_ in ids:
        query = f"""select link_id, {", ".join(IDS)}, first_seen_at, last_seen_at from identity.identity_links
            where {columns[id_type]} = :key order by first_seen_at limit {MOST}"""
        found: list[Any] = list(connection.execute(text(query), {"key": key}))
        for link_id, *keys, first, last in found:
            together = {kind: digest(value, kind) for kind, value in zip(columns, keys, strict=True) if value}
            if len(together) > 1:
                links[link_id] = {"together": together, "first_seen": _utc(first), "last_seen": _utc(last)}
    return {"ids": [_id(*row) for row in ids], "links": list(links.values())[:MOST]}


def _id(kind: str, key: str, first: datetime, last: datetime) -> Story:
    return {"type": kind, "digest": digest(key, kind), "first_seen": _utc(first), "last_seen": _utc(last)}


def _ledger_rows(ledger: Ledger, event_id: str) -> dict[tuple[str, str], Story]:
    """What the ledger says, by (destination, event name)."""
    # By the key, destination for destination: a ledger has many rows, and no index on the id alone.
    query = f"""with recursive names as (
            select min(destination) as name from {SCHEMA}.deliveries
            union all select (select min(destination) from {SCHEMA}.deliveries where destination > name)
            from names where name is not null)
        select destination, event_name, hour, state, reason, code, message, attempts, claimed_at, settled_at, not_before,
            unknown_since, trace_id, run_id
        from names cross join lateral (select * from {SCHEMA}.deliveries d
            where d.destination = names.name and d.event_name = any(:events) and d.event_id = :id) as d"""
    found: dict[tuple[str, str], Story] = {}
    for row in ledger.query(query, events=list(EVENT_NAMES), id=event_id):
        story: Story = {name: _utc(value) for name, value in row._mapping.items() if value is not None}
        if story["state"] == "held":
            story["why"] = HELD_WORDS[Held(story["reason"])]
        found[(story.pop("destination"), story.pop("event_name"))] = story
    return found


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _destination(
    config: DestinationConfig, c: Conversion, row: Story | None, environment: Mapping[str, str], now: datetime
) -> Story:
    """One destination: what the ledger says, and what it would get now."""
    story: Story = {"destination": config.name, "platform": config.platform, "ledger": row}
    if reason := config.select(c):
        return story | {"now": {"withheld": reason.value}}
    try:
        platform = config.resolve(environment)
    except ConfigurationError as error:
        return story | {"now": {"not_rendered": error.message}}
    tally = Tally(signals(platform), platform.limits.oldest)
    tally.add([c])
    story["match_quality"] = {
        "score": round(tally.quality.score() or 0.0, 1),
        "before": round(tally.quality.score(before=True) or 0.0, 1),
        "identifiers": [one.signal.name for one in tally.quality.coverage() if one.after],
        "missing": [one.signal.name for one in tally.quality.missing()],
    }
    try:
        payload = platform.prepare(c, now)
    except Withhold as no:
        return story | {"now": {"withheld": no.reason.value, "detail": Redactor()(no.detail)}}
    except Exception as error:  # as a delivery does: one event must not hide the others
        return story | {"now": {"not_rendered": f"it cannot be encoded ({type(error).__name__})"}}
    return story | {"now": {"payload": example(payload, personal(c))}}
