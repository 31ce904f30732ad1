"""Real dbt against a real PostgreSQL: what an hour's build does to the mart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from capi_pipeline.conversions.contract import COLUMNS, Kind
from capi_pipeline.demo.indexes import INDEXES
from capi_pipeline.demo.rows import RAW
from tests.dbt.built_warehouse import PROJECT, Dbt, Warehouse

EIGHT, NINE, TEN, ELEVEN, TWELVE, THIRTEEN, FOURTEEN, FIFTEEN, SIXTEEN, SEVENTEEN, EIGHTEEN = (
    f"2026-03-01T{hour:02}:00:00Z" for hour in range(8, 19)
)
YEARS_OF_HISTORY = """
create temporary table h on commit drop as
select 'h' || i as id, timestamptz '2025-01-01 00:00+00' + i * interval '1 minute' as at from generate_series(1, 100000) as i;
insert into raw.customers (customer_id, updated_at, _loaded_at) select id, at, at from h;
insert into raw.orders (order_id, customer_id, status, email, created_at, _loaded_at)
select id, id, 'paid', id || '@example.com', at, at from h;
insert into raw.order_items (order_id, line, _loaded_at) select id, 1, at from h;
insert into raw.refunds (refund_id, order_id, amount, created_at, _loaded_at) select id, id, 1, at, at from h;
insert into raw.leads (lead_id, stage, changed_at, _loaded_at) select id, 'new', at, at from h;
insert into raw.web_events (event_id, event_name, anonymous_id, properties, occurred_at, _loaded_at)
select id, 'purchase', id, json_build_object('order_id', id), at, at from h;
insert into raw.consents (subject_type, subject_id, given_at, _loaded_at) select 'anonymous_id', id, at, at from h;
analyze raw.customers, raw.orders, raw.order_items, raw.refunds, raw.leads, raw.web_events, raw.consents;
"""
TYPES = {
    Kind.TEXT: "text",
    Kind.TIME: "timestamp with time zone",
    Kind.AMOUNT: "numeric(18,4)",
    Kind.FLAG: "boolean",
    Kind.DATE: "date",
    Kind.OBJECT: "jsonb",
    Kind.ARRAY: "jsonb",
}


def hour(start: str, end: str) -> str:
    return f"recorded_at >= '{start}' and recorded_at < '{end}'"


def test_the_project_parses_without_a_database_and_without_warnings(offline_dbt: Dbt) -> None:
    done = offline_dbt("parse")
    assert done.returncode == 0, done.stdout
    assert (offline_dbt.folder / "target" / "manifest.json").exists()


def test_the_mart_has_the_columns_of_the_contract(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        "select attname::text, format_type(atttypid, atttypmod), attnotnull from pg_attribute "
        "where attrelid = 'marts.conversions'::regclass and attnum > 0 order by attnum"
    )
    contract = [(column.name, TYPES[column.kind], column.required) for column in COLUMNS if not column.optional]
    assert found[: len(contract)] == contract
    assert [name for name, *_ in found[len(contract) :]] == [
        "lead_id",
        "person_id",
        "enriched",
    ]  # for whoever looks into it


def test_the_unit_tests_of_the_rules_pass(warehouse: Warehouse) -> None:
    done = warehouse.dbt("test", "--select", "test_type:unit")
    assert done.returncode == 0, done.stdout
    assert " ERROR=0 " in done.stdout


def test_the_first_build_tells_every_kind_of_conversion(warehouse: Warehouse) -> None:
    assert warehouse.rows("select event_name, count(*) from marts.conversions group by 1 order by 1") == [
        ("add_to_cart", 120),
        ("generate_lead", 24),
        ("purchase", 240),
        ("qualify_lead", 24),
        ("refund", 12),
    ]
    pixel = warehouse.rows(
        "select event_id, click_ids -> 'gclid' ->> 'value', browser_ids ->> 'fbp', emails, country, currency, "
        "jsonb_array_length(contents), consent_ad_user_data, customer_type, device "
        "from marts.conversions where transaction_id = 'o1' and event_name = 'purchase'"
    )
    emails = ["person1@example.com", "Person1@Example.com"]
    assert pixel == [("w1-3", "Cj01_aB", "fb.1.1", emails, "GB", "USD", 2, "granted", "new", {"os": "iOS"})]


def test_an_hour_built_again_is_the_same_and_touches_no_other(warehouse: Warehouse) -> None:
    inside, outside = hour(NINE, TEN), f"not ({hour(NINE, TEN)})"
    before = warehouse.digest()
    versions = f"select event_id, xmin::text from marts.conversions where {outside} order by 1, 2"
    untouched, size = warehouse.rows(versions), warehouse.rows(f"select count(*) from marts.conversions where {inside}")
    warehouse.dbt.build_hours(NINE, TEN)
    assert warehouse.digest() == before
    assert warehouse.rows(versions) == untouched
    assert warehouse.rows(f"select count(*) from marts.conversions where {inside}") == size
    assert size[0][0]


def test_an_hour_is_looked_up_by_the_indexes_of_the_project(warehouse: Warehouse) -> None:
    """The demo shop's indexes are those of `index_raw_tables`, and with them no part of an hour's build reads a whole table."""
    made = "select indexname::text, indexdef from pg_indexes where schemaname = 'raw' order by 1"
    for table, indexes in INDEXES.items():
        for name, on in indexes.items():
            warehouse.run(f"create index capi_{table}_by_{name} on raw.{table} {on}")
    of_the_demo = warehouse.rows(made)
    warehouse.run("; ".join(f"drop index raw.{name}" for name, _ in of_the_demo))
    done = warehouse.dbt("run-operation", "index_raw_tables")
    assert done.returncode == 0, done.stdout
    assert warehouse.rows(made) == of_the_demo

    hours = (warehouse.dbt.folder / "target/compiled/capi_warehouse/models/marts/conversions.sql").read_text()
    with warehouse.engine.connect() as connection:  # rolled back
        connection.exec_driver_sql(YEARS_OF_HISTORY)
        connection.exec_driver_sql("set local random_page_cost = 1.1; set local enable_mergejoin = off")
        plan = connection.exec_driver_sql(f"explain (format json) {hours}").scalar()
    scans = [node for node in nodes(plan[0]["Plan"]) if node.get("Relation Name") in INDEXES]
    assert {node["Relation Name"] for node in scans} == set(INDEXES)
    whole = [node for node in scans if "Index Cond" not in node and node["Node Type"] != "Bitmap Heap Scan"]
    assert [(node["Node Type"], node["Relation Name"], node["Alias"]) for node in whole] == []


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def test_rows_that_land_late_twice_or_incomplete_lose_and_move_nothing(warehouse: Warehouse) -> None:
    before = warehouse.digest()
    columns = "order_id, channel, status, total, currency, created_at, _loaded_at"
    warehouse.run(
        f"""
        -- an order and a pixel event again, a copy of the order within one load, and a new order twice in one load
        insert into raw.orders select * from raw.orders where order_id = 'o7';
        insert into raw.orders ({columns})
        select order_id, channel, 'placed', 1, 'USD', created_at, '{THIRTEEN}' from raw.orders where order_id = 'o8';
        insert into raw.orders ({columns})
        select 'late', 'web', 'paid', 5, 'USD', '2026-02-01T00:00:00Z', '{THIRTEEN}' from generate_series(1, 2);
        insert into raw.web_events (event_id, event_name, anonymous_id, occurred_at, _loaded_at)
        select event_id, event_name, anonymous_id, occurred_at, '{THIRTEEN}' from raw.web_events where event_id = 'w4-2';
        -- an order that an hour later is complete, and two orders of a tag that always sends the same id
        insert into raw.orders ({columns}) values
            ('patchy', 'web', 'paid', 7, 'USD', null, '{THIRTEEN}'),
            ('patchy', 'web', 'paid', 7, 'USD', '{THIRTEEN}', '{FOURTEEN}'),
            ('fixed-1', 'web', 'paid', 8, 'USD', '{THIRTEEN}', '{THIRTEEN}'),
            ('fixed-2', 'web', 'paid', 9, 'USD', '{FOURTEEN}', '{FOURTEEN}');
        insert into raw.web_events (event_id, event_name, properties, occurred_at, _loaded_at) values
            ('fixed', 'purchase', '{{"order_id": "fixed-1"}}', '{THIRTEEN}', '{THIRTEEN}'),
            ('fixed', 'purchase', '{{"order_id": "fixed-2"}}', '{FOURTEEN}', '{FOURTEEN}'),
            -- the pixel tells of an order of an hour long built
            ('too-late', 'purchase', '{{"order_id": "o2"}}', '2026-03-01T08:02:00Z', '{THIRTEEN}');
        """
    )
    warehouse.dbt.build_hours(THIRTEEN, FOURTEEN)
    warehouse.dbt.build_hours(FOURTEEN, FIFTEEN)
    told = (
        f"select event_id, event_time < recorded_at from marts.conversions where recorded_at >= '{THIRTEEN}' order by 1"
    )
    first = [("fixed", False), ("order-fixed-2", False), ("order-late", True), ("order-patchy", True)]
    assert warehouse.rows(told) == first
    assert warehouse.digest(f"recorded_at < '{THIRTEEN}'") == before

    after = warehouse.digest()
    warehouse.dbt.build_hours(EIGHT, FOURTEEN)
    assert warehouse.digest() == after


def test_without_hours_the_build_goes_on_from_the_newest(warehouse: Warehouse) -> None:
    newest = warehouse.rows("select date_trunc('hour', max(recorded_at)) from marts.conversions")[0][0]
    before = warehouse.digest(f"recorded_at < '{newest}'")
    warehouse.run(
        f"""
        insert into raw.orders (order_id, channel, status, total, currency, created_at, _loaded_at)
        select order_id, 'web', 'paid', 5, 'USD', landed, landed
        from (values
            ('early', timestamptz '{ELEVEN}'),
            ('newest', timestamptz '{newest}' + interval '10 minutes'),
            ('next', timestamptz '{newest}' + interval '90 minutes')
        ) as orders (order_id, landed)
        """
    )
    new = "select transaction_id from marts.conversions where transaction_id in ('early', 'next', 'newest') order by 1"
    warehouse.dbt.build_hours()
    assert warehouse.rows(new) == [("newest",), ("next",)]
    assert warehouse.digest(f"recorded_at < '{newest}'") == before

    warehouse.dbt.build_hours(ELEVEN, TWELVE)
    assert warehouse.rows(new) == [("early",), ("newest",), ("next",)]


def test_a_model_that_breaks_the_contract_is_refused(
    warehouse: Warehouse, changed_project: Callable[[str, str, str], Path]
) -> None:
    before = warehouse.digest()
    project = changed_project("models/marts/conversions.sql", "events.coupon,", "42 as coupon,")
    dbt = Dbt(warehouse.dbt.environment, project.parent)
    done = dbt(
        "run", "--select", "conversions", project=project, environment={"CAPI_DBT_START": NINE, "CAPI_DBT_END": TEN}
    )
    assert done.returncode == 1
    assert "This model has an enforced contract that failed." in done.stdout
    assert "coupon" in done.stdout
    assert warehouse.digest() == before


def test_a_full_refresh_of_some_hours_is_refused(warehouse: Warehouse) -> None:
    before = warehouse.digest()
    done = warehouse.dbt("run", "--select", "conversions", "--full-refresh", environment={"CAPI_DBT_START": NINE})
    assert done.returncode != 0
    assert "leave out start and end" in done.stdout
    assert warehouse.digest() == before


def test_a_row_that_became_visible_after_its_hour_was_built_is_reported(warehouse: Warehouse) -> None:
    warehouse.run(
        f"""
        insert into raw.orders (order_id, channel, status, total, currency, created_at, _loaded_at)
        values ('behind', 'web', 'paid', 5, 'USD', '{TEN}', '{TEN}')
        """
    )
    hours = {"CAPI_DBT_START": SIXTEEN, "CAPI_DBT_END": SEVENTEEN}
    done = warehouse.dbt("test", "--select", "nothing_landed_behind_its_hour", environment=hours)
    assert done.returncode == 1
    assert "Got 1 result" in done.stdout
    warehouse.run("delete from raw.orders where order_id = 'behind'")


def test_every_column_of_every_table_is_described(warehouse: Warehouse) -> None:
    done = warehouse.dbt("docs", "generate")
    assert done.returncode == 0, done.stdout
    target = warehouse.dbt.folder / "target"
    catalog, manifest = (json.loads((target / f"{name}.json").read_text()) for name in ("catalog", "manifest"))
    found = 0
    for kind in ("nodes", "sources"):
        for name, table in catalog[kind].items():
            assert manifest[kind][name]["description"], name
            said = {key for key, column in manifest[kind][name]["columns"].items() if column["description"]}
            assert said == set(table["columns"]), name
            found += 1
    assert found == len(list((PROJECT / "models").rglob("*.sql"))) + len(RAW) + len(("outcomes", "measures"))


def test_a_broken_json_text_spoils_its_row_and_not_the_hour(warehouse: Warehouse) -> None:
    """Where a table keeps JSON as text, anything may stand there; what can be read still is."""
    warehouse.run("drop schema staging cascade; alter table raw.web_events alter column properties type text")
    warehouse.run(
        rf"""
        insert into raw.orders (order_id, channel, status, total, currency, created_at, _loaded_at)
        select id, 'web', 'paid', 5, 'USD', '{SEVENTEEN}', '{SEVENTEEN}' from unnest(array['2026/1', 'cut', 'nul', 'half']) as id;
        insert into raw.web_events (event_id, event_name, properties, occurred_at, _loaded_at) values
            ('slash', 'purchase', '{{"note": "\ud83c\udf3b", "order_id": " 2026\/1 "}}', '{SEVENTEEN}', '{SEVENTEEN}'),
            ('broken', 'purchase', '{{"order_id": "cut', '{SEVENTEEN}', '{SEVENTEEN}'),
            ('nul', 'purchase', '{{"order_id": "nul", "note": "\u0000"}}', '{SEVENTEEN}', '{SEVENTEEN}'),
            ('half', 'purchase', '{{"order_id": "half", "note": "\ud83c"}}', '{SEVENTEEN}', '{SEVENTEEN}'),
            ('number', 'add_to_cart', '{{"value": 1e999999, "currency": "USD"}}', '{SEVENTEEN}', '{SEVENTEEN}'),
            ('cart', 'add_to_cart', '{{"value": "12,50", "currency": "USD"}}', '{SEVENTEEN}', '{SEVENTEEN}')
        """
    )
    hours = {"CAPI_DBT_START": SEVENTEEN, "CAPI_DBT_END": EIGHTEEN}
    done = warehouse.dbt("build", "--exclude-resource-type", "unit_test", environment=hours)
    assert done.returncode == 0, done.stdout
    told = warehouse.rows(f"select event_id, value from marts.conversions where {hour(SEVENTEEN, EIGHTEEN)} order by 1")
    five = Decimal(5)
    assert told == [
        ("cart", None), ("number", None), ("order-cut", five), ("order-half", five), ("order-nul", five), ("slash", five),
    ]  # fmt: skip
