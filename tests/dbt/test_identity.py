"""People are the same whether the warehouse is stitched hour by hour or from nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.dbt.built_warehouse import Dbt, Warehouse, connection_variables

HERE = Path(__file__).parent
BEGIN = datetime(2026, 3, 1, 8, tzinfo=UTC)
HOURS = 4
SELECTED = ("identity_links", "identity_area", "identity_ids", "identity_merges")


@pytest.fixture(scope="module")
def empty(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    engine = create_engine(module_database_url, execution_options={"no_parameters": True})
    warehouse = Warehouse(engine, Dbt(connection_variables(module_database_url), tmp_path_factory.mktemp("dbt")))
    try:
        warehouse.run((HERE / "raw_tables.sql").read_text())
        yield warehouse
    finally:
        engine.dispose()


def orders(dice: random.Random) -> list[str]:
    """Orders of 120 people who share devices, phones and addresses at random; a few share far too much."""
    rows = []
    for number in range(900):
        who = dice.randrange(120)
        near = dice.choice((who, who, who, who - who % 2, 0 if dice.random() < 0.1 else who))
        landed = BEGIN + timedelta(minutes=dice.randrange(60 * HOURS))
        customer = f"'c{who}'" if dice.random() < 0.5 else "null"
        device = f"'d{near}-{dice.randrange(3)}'" if dice.random() < 0.7 else "null"
        email = f"'p{dice.choice((who, who, near))}.{dice.randrange(2)}@example.com'" if dice.random() < 0.8 else "null"
        phone = f"'+1415555{dice.choice((who, near)):04d}'" if dice.random() < 0.6 else "null"
        name = f"'Ada', 'Name{who}'" if dice.random() < 0.8 else "null, null"
        at = f"'{landed.isoformat()}'"
        rows.append(
            f"('o{number}', {customer}, {device}, 'web', 'paid', {email}, {phone}, {name}, 'US', 10, 'USD', {at}, {at})"
        )
    return rows


def people(warehouse: Warehouse) -> set[tuple[object, ...]]:
    return set(warehouse.rows("select id_type, id_key, person_id, quarantine from identity.identity_ids"))


def build(warehouse: Warehouse, *selected: str, refresh: bool = False, **hours: str) -> None:
    options = ["--full-refresh"] if refresh else []
    done = warehouse.dbt("run", "--select", *selected, *options, environment=hours)
    assert done.returncode == 0, done.stdout


def test_hour_by_hour_and_from_nothing_give_the_same_people(empty: Warehouse) -> None:
    columns = (
        "order_id, customer_id, anonymous_id, channel, status, email, phone, first_name, last_name, country, total"
    )
    rows = ", ".join(orders(random.Random(5)))
    empty.run(f"insert into raw.orders ({columns}, currency, created_at, _loaded_at) values {rows}")
    for hour in range(HOURS):
        start, end = (BEGIN + timedelta(hours=hour + n) for n in (0, 1))
        environment = {"CAPI_DBT_START": start.isoformat(), "CAPI_DBT_END": end.isoformat()}
        build(empty, *(SELECTED if hour else ("+identity_merges",)), **environment)
    stitched = people(empty)
    persons = {person for _, _, person, _ in stitched}
    assert 60 < len(persons) < 200
    assert {reason for *_, reason in stitched} >= {None, "shared_device", "several_people"}
    merges = empty.rows("select count(*) from identity.identity_merges where from_person_id <> to_person_id")
    assert merges > [(0,)]
    build(empty, *SELECTED, refresh=True)
    assert people(empty) == stitched


def test_ten_thousand_accounts_on_one_address_stay_apart_and_are_named(empty: Warehouse) -> None:
    before = people(empty)
    empty.run(
        "insert into raw.customers (customer_id, email, first_name, last_name, country, updated_at, _loaded_at) "
        "select 'many' || n, 'crowd@example.com', 'Ada', 'Crowd' || n, 'US', at, at "
        f"from (select n, timestamptz '{BEGIN + timedelta(hours=HOURS)}' as at from generate_series(1, 10000) as n) as many"
    )
    build(empty, *SELECTED)
    assert people(empty) > before
    guards = "select quarantine, customers from identity.identity_ids where id_type = 'email' and customers > 100"
    assert empty.rows(guards) == [("many_customers", 10000)]
    apart = "select count(distinct person_id) from identity.identity_ids where id_key like 'many%'"
    assert empty.rows(apart) == [(10000,)]


NO_IDS = ("0", "undefined", "NULL", "None", "nan", "n/a", "(not set)", "00000000-0000-0000-0000-000000000000", " ", "")


def test_what_a_shop_writes_for_no_id_makes_nobody_one_person(empty: Warehouse) -> None:
    """Shop systems write 0 for the customer number of a guest, broken scripts `undefined` for a device."""
    before = people(empty)
    landed = BEGIN + timedelta(hours=HOURS + 1)
    rows = ", ".join(
        f"('no-{column}-{number}-{guest}', {customer}, {device}, 'web', 'paid', '{column}{number}.{guest}@example.net', "
        f"'Ada', 'Guest{guest}', 'US', 10, 'USD', '{landed.isoformat()}', '{landed.isoformat()}')"
        for column in ("customer", "device")
        for number, word in enumerate(NO_IDS)
        for guest in (1, 2)
        for customer, device in [(f"'{word}'", "null") if column == "customer" else ("null", f"'{word}'")]
    )
    columns = (
        "order_id, customer_id, anonymous_id, channel, status, email, first_name, last_name, country, total, currency"
    )
    empty.run(f"insert into raw.orders ({columns}, created_at, _loaded_at) values {rows}")
    empty.run(
        "insert into raw.web_events (event_id, event_name, anonymous_id, user_id, occurred_at, _loaded_at) values "
        f"('w1', 'page_view', 'undefined', 'c1', '{landed}', '{landed}'), "
        f"('w2', 'page_view', 'real', 'null', '{landed}', '{landed}')"
    )
    empty.run(
        f"insert into raw.customers (customer_id, email, last_name, updated_at, _loaded_at) "
        f"select '0', 'p' || n || '.0@example.com', 'Name' || n, timestamptz '{landed}' + n * interval '1 second', "
        f"timestamptz '{landed}' + n * interval '1 second' from generate_series(0, 2) as n"
    )
    build(empty, *SELECTED)
    known = people(empty)
    assert known > before
    assert {kind for kind, *_ in known - before} == {"email"}
    new = [person for _, _, person, _ in known - before]
    assert len(set(new)) == len(new) == 4 * len(NO_IDS)
