"""What an evaluation reads of the warehouse: the truth, what the models made of the raw rows, and what explains losses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from capi_pipeline.errors import ConfigurationError, first_line
from capi_pipeline.evaluation.clicks import Facts, Right, Slot
from capi_pipeline.evaluation.islands import Key, islands
from capi_pipeline.evaluation.people import Id
from capi_pipeline.warehouse import Warehouse

TRUTH = {
    "truth.people": ("person", "id_type", "id_value"),
    "truth.attribution": ("conversion_type", "conversion_id", "parameter", "click_value", "clicked_at", "knowable"),
}
MODELS = {
    "identity.identity_ids": ("id_type", "id_key", "person_id", "quarantine"),
    "identity.identity_spellings": ("id_type", "spelling", "id_key"),
    "identity.identity_conversions": ("conversion_type", "conversion_id", "person_id"),
    "intermediate.int_clicks": ("anonymous_id", "parameter", "value"),
    "staging.stg_customers": ("customer_id", "email", "phone"),
    "staging.stg_orders": ("order_id", "customer_id", "anonymous_id", "email", "phone"),
    "staging.stg_leads": ("lead_id", "customer_id", "anonymous_id", "email", "phone"),
    "staging.stg_consents": ("subject_type", "subject", "ad_storage", "ad_user_data"),
    "staging.base_web_events": ("anonymous_id", "user_id", "session_id", "properties"),
}
MART = ("event_name", "transaction_id", "lead_id", "click_ids", "consent_ad_storage", "consent_ad_user_data")
_BLANKS = r"e' \t\r\n\u00a0'"  # what staging trims

_IDS = f"""
with owned as (
    select min(person) as person, id_type, btrim(id_value, {_BLANKS}) as value
    from truth.people group by 2, 3 having count(distinct person) = 1
),
given as (
    select spellings.id_type, spellings.spelling as value,
        case when count(distinct ids.person_id) = 1 then min(ids.person_id) end as person_id
    from identity.identity_spellings as spellings
    inner join identity.identity_ids as ids on ids.id_type = spellings.id_type and ids.id_key = spellings.id_key
    group by 1, 2
    union all
    select conversion_type || '_id', conversion_id, min(person_id) from identity.identity_conversions group by 1, 2
)
select owned.person, owned.id_type, owned.value, given.person_id
from owned left join given on given.id_type = owned.id_type and given.value = owned.value
"""
_SHARED = f"""
with shared as (
    select id_type, btrim(id_value, {_BLANKS}) as value from truth.people group by 1, 2 having count(distinct person) > 1
)
select count(*) as values, count(*) filter (where exists (
    select from identity.identity_spellings as spellings
    inner join identity.identity_ids as ids on ids.id_type = spellings.id_type and ids.id_key = spellings.id_key
    where spellings.id_type = shared.id_type and spellings.spelling = shared.value and ids.person_id is not null
)) as given_to_a_person
from shared
"""
_AMBIGUOUS = """
select count(*) from (
    select from identity.identity_spellings as spellings
    inner join identity.identity_ids as ids on ids.id_type = spellings.id_type and ids.id_key = spellings.id_key
    group by spellings.id_type, spellings.spelling having count(distinct ids.person_id) > 1
) as several
"""
_REFUSING = """
select distinct subject from staging.stg_consents
where subject_type = 'anonymous_id' and (ad_storage = 'denied' or ad_user_data = 'denied')
"""
_TOGETHER = (
    "select customer_id, email, phone from staging.stg_customers",
    "select order_id, customer_id, anonymous_id, email, phone from staging.stg_orders",
    "select lead_id, customer_id, anonymous_id, email, phone from staging.stg_leads",
    f"""
    select distinct session_id, anonymous_id, user_id as customer_id, properties ->> 'order_id' as order_id,
        properties ->> 'lead_id' as lead_id, btrim(properties ->> 'email', {_BLANKS}) as email,
        btrim(properties ->> 'phone', {_BLANKS}) as phone
    from staging.base_web_events
    """,
)
_MADE = """
create temp table made on commit drop as
select
    case event_name when 'purchase' then 'order' else 'lead' end as conversion_type,
    case event_name when 'purchase' then transaction_id else lead_id end as conversion_id,
    click_ids::text::jsonb as click_ids,
    coalesce(consent_ad_storage, '') = 'denied' or coalesce(consent_ad_user_data, '') = 'denied' as refused
from {mart} where event_name = 'purchase' and transaction_id is not null or event_name = 'generate_lead' and lead_id is not null;
create temp table attached on commit drop as
select conversion_type, conversion_id, entry.key as parameter, entry.value ->> 'value' as click_value
from made cross join lateral jsonb_each(click_ids) as entry where entry.value ->> 'value' is not null;
create temp table wanted on commit drop as
select parameter, click_value from attached union
select parameter, click_value from truth.attribution where (conversion_type, conversion_id) in (
    select conversion_type, conversion_id from made
);
analyze made; analyze attached; analyze wanted
"""
_RIGHT = """
select conversion_type, conversion_id, parameter, click_value, knowable from truth.attribution
where (conversion_type, conversion_id) in (select conversion_type, conversion_id from made)
"""
_DEVICES = """
select distinct clicks.parameter, clicks.value, clicks.anonymous_id
from intermediate.int_clicks as clicks
inner join wanted on wanted.parameter = clicks.parameter and wanted.click_value = clicks.value
where clicks.anonymous_id <> ''
"""


@dataclass(frozen=True)
class Found:
    """Everything that the figures are made of. `shared` values are several people's: no pair of ids counts them."""

    ids: list[Id]
    shared: int
    shared_given: int  # of these: to a person, instead of to nobody
    ambiguous: int  # spellings that are ids of several persons
    conversions: int
    truth: dict[Slot, Right]
    attached: dict[Slot, str]
    facts: Facts


def require(warehouse: Warehouse, tables: dict[str, tuple[str, ...]], remedy: str) -> None:
    """Raise ConfigurationError unless these tables are there with these columns."""
    if warehouse.url.get_backend_name() != "postgresql":
        raise ConfigurationError(
            f"Identity is evaluated in PostgreSQL, and CAPI_WAREHOUSE_URL names {warehouse.url.get_backend_name()}.",
            "Leave out --no-generate to evaluate a simulated shop in the embedded PostgreSQL.",
        )
    query = text(
        "select attname from pg_attribute where attrelid = to_regclass(:name) and attnum > 0 and not attisdropped"
    )
    try:
        with warehouse.engine.connect() as connection:
            for name, columns in tables.items():
                have: set[str] = set(connection.execute(query, {"name": name}).scalars())
                if missing := [column for column in columns if column not in have]:
                    what = f"has no table `{name}`" if not have else f"lacks {', '.join(missing)} in `{name}`"
                    raise ConfigurationError(f"The warehouse {what}, which an evaluation of identity reads.", remedy)
    except SQLAlchemyError as error:
        raise ConfigurationError(
            f"The warehouse cannot be read: {first_line(error)}", "Start it, or correct CAPI_WAREHOUSE_URL."
        ) from None


def read(warehouse: Warehouse) -> Found:
    """Read it all in one transaction; nothing is written."""
    with warehouse.engine.connect() as connection, connection.begin():
        connection.execute(text("set local work_mem = '128MB'"))
        for statement in _MADE.format(mart=warehouse.table).split(";"):
            connection.execute(text(statement))
        rows = _rows(connection, _IDS)
        owners: dict[Key, int] = {(kind, value): person for person, kind, value, _ in rows}
        connected = islands(owners, _together(connection))
        [(shared, given)], [(ambiguous,)] = _rows(connection, _SHARED), _rows(connection, _AMBIGUOUS)
        return Found(
            ids=[Id(person, kind, predicted, connected[kind, value]) for person, kind, value, predicted in rows],
            shared=shared,
            shared_given=given,
            ambiguous=ambiguous,
            conversions=_rows(connection, "select count(distinct (conversion_type, conversion_id)) from made")[0][0],
            truth={Slot(*row[:3]): Right(*row[3:]) for row in _rows(connection, _RIGHT)},
            attached={Slot(*row[:3]): row[3] for row in _rows(connection, "select * from attached")},
            facts=_facts(connection),
        )


def _together(connection: Connection) -> Iterator[list[tuple[str, str | None]]]:
    for query in _TOGETHER:
        for row in connection.execute(text(query)).mappings():
            yield [(str(kind), value) for kind, value in row.items()]


def _facts(connection: Connection) -> Facts:
    devices: dict[tuple[str, str], set[str]] = defaultdict(set)
    for parameter, value, device in _rows(connection, _DEVICES):
        devices[parameter, value].add(device)
    owners: dict[str, set[int]] = defaultdict(set)
    for device, person in _rows(connection, "select id_value, person from truth.people where id_type = 'anonymous_id'"):
        owners[device].add(person)
    made = _rows(
        connection, "select id_type, id_value, person from truth.people where id_type in ('order_id', 'lead_id')"
    )
    given = _rows(connection, "select conversion_type, conversion_id, person_id from identity.identity_conversions")
    ids = _rows(connection, "select id_key, person_id from identity.identity_ids where id_type = 'anonymous_id'")
    refused = _rows(connection, "select conversion_type, conversion_id from made where refused")
    refusing = _rows(connection, _REFUSING)
    return Facts(
        devices={click: frozenset(found) for click, found in devices.items()},
        owners={device: frozenset(people) for device, people in owners.items()},
        true_person={(kind.removesuffix("_id"), id_): person for kind, id_, person in made},
        person={(kind, id_): person for kind, id_, person in given if person},
        device_person=dict(map(tuple, ids)),
        refused=frozenset((kind, id_) for kind, id_ in refused),
        refusing=frozenset(device for (device,) in refusing),
    )


def _rows(connection: Connection, query: str) -> list[Any]:
    return list(connection.execute(text(query)))
