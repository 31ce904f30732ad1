"""Reading an hour of conversions: whole, in order, in even batches, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg2
import pyarrow as pa
import pytest

from capi_pipeline import embedded, warehouse
from capi_pipeline.conversions.contract import COLUMNS, SCHEMA, Kind, Window
from capi_pipeline.errors import CapiError, ConfigurationError, ContractError, DeliveryError
from capi_pipeline.warehouse import EVERY, ROWS, Warehouse
from tests import table
from tests.table import HOUR, TABLE, row

WINDOW = Window(HOUR, HOUR + timedelta(hours=1))


def read(url: str, window: Window = WINDOW) -> list[pa.RecordBatch]:
    return list(Warehouse(url, TABLE).hour(window))


def by_rows(url: str) -> list[pa.RecordBatch]:
    """As from a warehouse without ADBC."""
    return list(warehouse._sized(Warehouse(url, TABLE)._rows(WINDOW)))


def values(batches: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    """Rows, JSON as values: each warehouse spaces its JSON text in its own way."""
    json = [column.name for column in COLUMNS if column.kind in (Kind.OBJECT, Kind.ARRAY)]
    found = [row for batch in batches for row in batch.to_pylist()]
    return [row | {name: row[name] and orjson.loads(row[name]) for name in json} for row in found]


def digest(batches: list[pa.RecordBatch]) -> str:
    out = hashlib.sha256()
    for batch in batches:
        out.update(batch.serialize())
    return out.hexdigest()


VARIED = [
    row(0),
    row(1, value=None, currency=None, emails=None, click_ids=None, date_of_birth=None, opt_out_of_sale=None),
    row(2, value="0", emails=[], properties={"Größe": "ü", "n": [1, 2.5, None]}, tax="0.0001", shipping="-3"),
    row(3, event_name="custom", custom_event_name="Démo \"booked\"\n", value="99999999999999.9999", currency="JPY"),
    row(4, event_name="refund", original_event_id="order-000000", original_event_time=HOUR, remaining_value="0.10"),
    row(5, event_time=HOUR - timedelta(days=40, microseconds=1), opt_out_of_sale=True, device={"os": "iOS"}),
    row(6, contents=[{"id": "a", "quantity": 2, "price": 9.95}], browser_ids={"fbp": "fb.1.2.3"}),
]  # fmt: skip


def test_both_ways_of_reading_give_the_same_batches(warehouse_url: str) -> None:
    table.create(warehouse_url, VARIED)
    batches = read(warehouse_url)
    assert batches[0].num_rows == len(VARIED)
    assert batches[0].schema == SCHEMA
    assert values(batches) == values(by_rows(warehouse_url))
    assert [b.schema for b in by_rows(warehouse_url)] == [SCHEMA]


def test_json_may_be_text_and_amounts_may_be_other_numbers(warehouse_url: str) -> None:
    plain = [row(n, properties=None) for n in range(3)]
    table.create(warehouse_url, plain)
    as_json = read(warehouse_url)
    table.create(
        warehouse_url, plain, emails="text", click_ids="json", contents="text", value="double precision",
        tax="integer", event_id="varchar(40)", currency="char(3)",
    )  # fmt: skip
    again = read(warehouse_url)
    for name in ("event_id", "value", "currency"):
        assert again[0][name].to_pylist() == as_json[0][name].to_pylist()
    assert again[0]["emails"].to_pylist() == [
        '["person0@example.com"]',
        '["person1@example.com"]',
        '["person2@example.com"]',
    ]


@pytest.mark.parametrize("count", [0, 1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS, 2 * ROWS + 17])
def test_batches_hold_exactly_rows_rows_however_they_arrive(count: int) -> None:
    whole = pa.RecordBatch.from_pydict({"n": pa.array(range(count), pa.int64())})
    for size in (999, ROWS, 5 * ROWS):
        parts: Iterator[pa.RecordBatch] = (whole.slice(start, size) for start in range(0, count, size))
        out = list(warehouse._sized(parts))
        assert [b.num_rows for b in out] == [ROWS] * (count // ROWS) + [count % ROWS] * bool(count % ROWS)
        assert [n for b in out for n in b["n"].to_pylist()] == list(range(count))


def test_a_large_hour_is_streamed_in_order_and_reads_the_same_each_time(warehouse_url: str) -> None:
    table.create(warehouse_url, [row(0)])
    count = 2 * ROWS + 100
    columns = "event_name, event_time, recorded_at, action_source, value, currency, emails, country, user_agent"
    table.sql(
        warehouse_url,
        f"""insert into {TABLE} (event_id, {columns})
            select 'more-' || md5(n::text), event_name, event_time - n % 50 * interval '1 minute', {columns.split(", ", 2)[2]}
            from {TABLE}, generate_series(2, {count}) n""",
    )
    stream = Warehouse(warehouse_url, TABLE).hour(WINDOW)
    first = next(stream)
    assert first.num_rows == ROWS
    batches = [first, *stream]
    assert [b.num_rows for b in batches] == [ROWS, ROWS, 100]
    keys = [key for b in batches for key in zip(b["event_time"].to_pylist(), b["event_id"].to_pylist(), strict=True)]
    assert keys == sorted(keys)
    table.sql(warehouse_url, f"create table other as select * from {TABLE} order by md5(event_id); "
              f"truncate {TABLE}; insert into {TABLE} select * from other")  # fmt: skip
    assert digest(read(warehouse_url)) == digest(batches)
    others = by_rows(warehouse_url)
    assert [b.num_rows for b in others] == [ROWS, ROWS, 100]
    assert values(others) == values(batches)


def test_an_hour_is_cut_on_recorded_at_with_its_start_and_without_its_end(warehouse_url: str) -> None:
    times = [HOUR - timedelta(microseconds=1), HOUR, WINDOW.end - timedelta(microseconds=1), WINDOW.end]
    table.create(warehouse_url, [row(n, recorded_at=time) for n, time in enumerate(times)])
    (batch,) = read(warehouse_url)
    assert batch["event_id"].to_pylist() == ["order-000001", "order-000002"]
    assert read(warehouse_url, Window(HOUR + timedelta(days=1), HOUR + timedelta(days=1, hours=1))) == []


def test_a_sessions_time_zone_changes_nothing(warehouse_url: str) -> None:
    table.create(warehouse_url, VARIED)
    before = digest(read(warehouse_url))
    name = warehouse_url.split("/")[-1].split("?")[0]
    table.sql(warehouse_url, f"alter database {name} set timezone = 'Asia/Kathmandu'")
    assert digest(read(warehouse_url)) == before
    assert values(by_rows(warehouse_url)) == values(read(warehouse_url))


# --- mistakes ---------------------------------------------------------------------------------------------------------


def mistake(url: str, *words: str, kind: type[CapiError] = ContractError, name: str = TABLE) -> None:
    with pytest.raises(kind) as error:
        list(Warehouse(url, name).hour(WINDOW))
    assert type(error.value) is kind
    assert error.value.remedy
    for word in words:
        assert word in error.value.message, error.value.message


def test_a_table_that_is_not_there(warehouse_url: str) -> None:
    mistake(warehouse_url, "no table `marts.conversions`")
    mistake(warehouse_url, "no table `conversions`", name="conversions")


def test_columns_that_are_missing_are_all_named(warehouse_url: str) -> None:
    table.create(warehouse_url, without=["gpp_sid", "currency"])
    mistake(warehouse_url, "marts.conversions", "columns currency, gpp_sid")


@pytest.mark.parametrize(
    ("column", "type_", "contract"),
    [
        ("recorded_at", "timestamp", "timestamp with time zone"),
        ("event_time", "timestamp", "timestamp with time zone"),
        ("event_time", "text", "timestamp with time zone"),
        ("original_event_time", "date", "timestamp with time zone"),
        ("date_of_birth", "text", "date"),
        ("opt_out_of_sale", "integer", "boolean"),
    ],
)
def test_a_column_of_another_type_is_named_with_both_types(
    warehouse_url: str, column: str, type_: str, contract: str
) -> None:
    table.create(warehouse_url, **{column: type_})
    mistake(warehouse_url, f"Column `{column}`", f"not {contract}", type_.upper())


def test_text_that_is_no_amount(warehouse_url: str) -> None:
    table.create(warehouse_url, [row(1, value="19,90")], value="text")
    mistake(warehouse_url, "Column `value`", "numeric(18,4)")


def test_an_amount_with_more_digits_than_the_contract_is_not_rounded(warehouse_url: str) -> None:
    table.create(warehouse_url, [row(1, value="0.00001")], value="numeric")
    mistake(warehouse_url, "Column `value`", "numeric(18,4)")


def test_times_without_a_zone_are_refused_from_any_warehouse() -> None:
    naive = warehouse._plain([HOUR.replace(tzinfo=None)], COLUMNS[3])
    arrays = [naive if c.name == "event_time" else pa.nulls(1) for c in COLUMNS]
    with pytest.raises(ContractError, match="Column `event_time`"):
        warehouse._cast(arrays)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"event_id": None}, ["Column `event_id`", "required", "event_id=None"]),
        ({"event_name": "buy"}, ["Column `event_name`", "event_name='buy'", "event_id='order-000001'"]),
        ({"currency": None}, ["Column `currency`", "come together", "order-000001"]),
        ({"country": "UK"}, ["Column `country`", "GB", "order-000001"]),
        ({"emails": {"not": "a list"}}, ["Column `emails`", "JSON array of text", "order-000001"]),
        ({"event_name": "refund"}, ["Column `original_event_id`", "order-000001"]),
    ],
)
def test_a_row_that_breaks_the_contract_is_named_with_column_and_rule(
    warehouse_url: str, changes: dict[str, Any], words: list[str]
) -> None:
    table.create(warehouse_url, [row(0), row(1, **changes), row(2)])
    mistake(warehouse_url, *words)


def test_an_id_that_stands_twice(warehouse_url: str) -> None:
    table.create(warehouse_url, [row(0), row(1), row(1, value="1")])
    mistake(warehouse_url, "Column `event_id`", "unique with `event_name`", "'order-000001'", "2 times")


def test_two_rows_without_an_id_lack_an_id(warehouse_url: str) -> None:
    table.create(warehouse_url, [row(0, event_id=None), row(1, event_id=None)])
    mistake(warehouse_url, "Column `event_id`", "required")


@pytest.mark.parametrize("name", ["a b", "x; drop table y", "a.b.c.d", "", "marts.conversions--"])
def test_what_is_no_table_name_never_reaches_sql(name: str) -> None:
    with pytest.raises(ConfigurationError, match="CAPI_CONVERSIONS_TABLE"):
        Warehouse("postgresql+psycopg2://h/d", name)


@pytest.mark.parametrize("url", ["nonsense", "postgresql://h:port/d", "://"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CAPI_WAREHOUSE_URL"):
        Warehouse(url, TABLE)


def test_a_warehouse_without_its_driver_is_named() -> None:
    mistake("snowflake://me@account/db", "snowflake", kind=ConfigurationError)


def test_a_warehouse_that_does_not_answer_is_worth_another_try_and_its_password_stays_hidden() -> None:
    url = "postgresql+psycopg2://me:geheim@127.0.0.1:1/db?password=auchgeheim"
    with pytest.raises(DeliveryError) as error:
        Warehouse(url, TABLE).check_table()
    assert "127.0.0.1:1/db" in error.value.message
    assert "geheim" not in str(error.value)
    assert "CAPI_WAREHOUSE_URL" in error.value.remedy


def test_a_table_that_may_not_be_read(warehouse_url: str) -> None:
    table.create(warehouse_url, [row(0)])
    name = warehouse_url.split("/")[-1].split("?")[0]
    table.sql(warehouse_url, f"create role stranger_{name} login")
    try:
        stranger = warehouse_url.replace("capi@", f"stranger_{name}@")
        mistake(stranger, "permission denied", kind=ConfigurationError)
    finally:
        table.sql(warehouse_url, f"drop role stranger_{name}")


def test_a_connection_that_is_cut_in_the_middle_fails_the_hour(warehouse_url: str, postgres_sockets: Path) -> None:
    table.create(warehouse_url, [row(0, user_agent="x" * 900)])
    table.sql(warehouse_url, f"""insert into {TABLE} select (jsonb_populate_record(c, jsonb_build_object('event_id',
        'n' || n))).* from {TABLE} c, generate_series(1, 25000) n""")  # fmt: skip
    stream = Warehouse(warehouse_url, TABLE).hour(WINDOW)
    assert next(stream).num_rows == ROWS
    name = warehouse_url.split("/")[-1].split("?")[0]
    admin = psycopg2.connect(host=str(postgres_sockets), user=embedded.USER, dbname="postgres")
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
        assert cursor.rowcount == 1
    admin.close()
    with pytest.raises(DeliveryError, match="cannot be read"):
        list(stream)


def test_no_connection_is_left_open(warehouse_url: str, postgres_sockets: Path) -> None:
    table.create(warehouse_url, VARIED)
    reader = Warehouse(warehouse_url, TABLE)
    list(reader.hour(WINDOW))
    name = warehouse_url.split("/")[-1].split("?")[0]
    admin = psycopg2.connect(host=str(postgres_sockets), user=embedded.USER, dbname="postgres")
    with admin.cursor() as cursor:
        cursor.execute("select count(*) from pg_stat_activity where datname = %s", [name])
        assert cursor.fetchone() == (0,)
    admin.close()


def test_what_identity_resolution_added_is_read_where_the_table_says_it(warehouse_url: str) -> None:
    table.create(warehouse_url, [row(1, enriched=["emails", "click_ids.gclid"]), row(2)])
    (batch,) = read(warehouse_url)
    assert batch["enriched"].to_pylist() == ['["emails", "click_ids.gclid"]', None]
    table.create(warehouse_url, [row(1), row(2)], without=["enriched"])
    other = Warehouse(warehouse_url, TABLE)._rows(WINDOW, EVERY - {"enriched"})
    for batches in (read(warehouse_url), list(warehouse._sized(other))):
        assert [batch["enriched"].null_count for batch in batches] == [2]
