"""Persons that may be the same by likeness. What needs Splink (the extra `fuzzy`) is skipped where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec

import pyarrow as pa
import pytest
from sqlalchemy import create_engine, text

from capi_pipeline import fuzzy
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.fuzzy import FIELDS, Candidate
from capi_pipeline.warehouse import Warehouse

with_splink = pytest.mark.skipif(not find_spec("splink"), reason="the extra `fuzzy` (Splink) is not installed")
without_splink = pytest.mark.skipif(bool(find_spec("splink")), reason="the extra `fuzzy` (Splink) is installed")

MADE = """
create schema identity; create schema staging; create schema intermediate;
create table identity.identity_ids (id_type text, id_key text, person_id text);
create table identity.identity_conversions (conversion_type text, conversion_id text, person_id text);
create table intermediate.int_erased_people (subject_type text, subject text);
create table staging.stg_customers (customer_id text, first_name text, last_name text, date_of_birth date, street_address text,
    postal_code text, email text, phone text, updated_at timestamptz);
create table staging.stg_orders (order_id text, customer_id text, first_name text, last_name text, street_address text,
    postal_code text, email text, phone text, created_at timestamptz);
create table staging.stg_leads (lead_id text, customer_id text, first_name text, last_name text, email text, phone text,
    changed_at timestamptz);
insert into identity.identity_ids values ('customer_id', 'C1', 'p1'), ('customer_id', 'C2', 'p2'), ('customer_id', 'C9', null);
insert into identity.identity_conversions values ('order', 'O1', 'p1'), ('lead', 'L1', 'p3'), ('lead', 'L2', 'p4');
insert into staging.stg_customers values
    ('C1', 'Dr. Ada', 'Lovelace', '1990-12-10', '1, St. James''s Sq', 'sw1y 4jh', 'Ada+shop@X.org', '+44 20 7946 0018',
        '2026-01-01'),
    ('C2', 'Erased', 'Erasmus', null, null, null, 'e@x.org', null, '2026-01-01'),
    ('C9', 'Shared', 'Account', null, null, null, 's@x.org', null, '2026-01-01');
insert into staging.stg_orders values ('O1', null, 'Ada', 'King', null, null, 'n/a', '123', '2026-01-02');
insert into staging.stg_leads values ('L1', null, null, 'Nobody', 'E@x.org', null, '2026-01-02'),
    ('L2', null, 'No', null, null, null, '2026-01-02');
insert into intermediate.int_erased_people values ('customer_id', 'C2'), ('email', 'e@x.org');
"""


@pytest.fixture
def warehouse(warehouse_url: str) -> Warehouse:
    engine = create_engine(warehouse_url, execution_options={"no_parameters": True})
    with engine.begin() as connection:
        connection.exec_driver_sql(MADE)
    engine.dispose()
    return Warehouse(warehouse_url, "marts.conversions")


def rows(*people: tuple[str | None, ...]) -> pa.Table:
    columns = ("person_id", *FIELDS)
    schema = pa.schema([(column, pa.string()) for column in columns])
    return pa.Table.from_pylist([dict(zip(columns, person, strict=True)) for person in people], schema=schema)


def stranger(number: int) -> tuple[str | None, ...]:
    """Somebody whose fields are nobody else's; names of unlike letters."""
    word = "".join(chr(97 + (number * step + step) % 26) for step in (3, 5, 7, 11, 17, 19))
    return (
        f"p{number:03}", word, word[::-1] + "son", f"19{50 + number % 50}-0{1 + number % 9}-{10 + number % 18}",
        f"{number} {word[2:]} road", f"{10000 + 37 * number}", f"{word}{number}", f"{number * 7919 % 10**9:09}",
    )  # fmt: skip


def test_a_person_is_what_was_said_last_of_each_field(warehouse: Warehouse) -> None:
    people, spellings = fuzzy.persons(warehouse)
    assert people.to_pylist() == [
        dict(
            zip(
                ("person_id", *FIELDS),
                ("p1", "ada", "king", "1990-12-10", "1 st james s sq", "SW1Y4JH", "ada", "079460018"),
                strict=True,
            )
        )
    ]
    assert {row["last_name"] for row in spellings.to_pylist()} == {"lovelace", "king"}


def test_pairs_replace_those_of_the_last_run(warehouse: Warehouse) -> None:
    one, other = Candidate("p1", "p2", 0.91, ("phone",)), Candidate("p1", "p3", 0.99, ())
    for found in ([one], [other], [other, one]):
        fuzzy.write(warehouse, found)
        with warehouse.engine.connect() as connection:
            read = "select person_id, other_person_id, probability, agreeing from identity.identity_candidates order by 2 desc"
            assert [Candidate(*row[:3], tuple(row[3])) for row in connection.execute(text(read))] == found
    fuzzy.write(warehouse, [])


def test_a_warehouse_without_the_models_is_said(warehouse_url: str) -> None:
    with pytest.raises(ConfigurationError, match="Persons cannot be read from") as raised:
        fuzzy.persons(Warehouse(warehouse_url, "marts.conversions"))
    assert "capi sync" in raised.value.remedy


@without_splink
def test_without_splink_it_says_how_to_install_it() -> None:
    with pytest.raises(ConfigurationError, match="no module `splink`") as raised:
        fuzzy.candidates(rows(), rows(), 0.9)
    assert "[fuzzy]" in raised.value.remedy


def test_strangers_are_no_pair_and_still_a_pair_is_thought_possible() -> None:
    strangers = [stranger(number) for number in range(100)]
    assert fuzzy.prior(rows(*strangers)) == pytest.approx(2 / 4950)
    again = [("again", *person[1:]) for person in strangers[:1]]
    assert fuzzy.prior(rows(*strangers, *again)) == pytest.approx(4 / 5050)


@with_splink
def test_a_handful_of_people_teaches_nothing() -> None:
    with pytest.raises(ConfigurationError, match="There are 1 persons"):
        fuzzy.candidates(rows(stranger(1)), rows(stranger(1)), 0.9)


@with_splink
@pytest.mark.filterwarnings("ignore")
def test_two_spellings_of_one_person_are_found_and_a_household_is_not() -> None:
    known = [stranger(number) for number in range(300)]
    told = known[:200]
    mistyped = [(person[0], person[1], f"{person[2]}e", *person[3:7], None) for person in told]
    moved = [(*person[:4], None, None, person[6], person[7]) for person in told]
    one = ("twin-1", "rosalind", "franklin", "1920-07-25", "7 kings road", "20001", "rosalind.f", None)
    again = ("twin-2", "rosalind", "franklyn", None, "7 kings road", "20001", None, "200000001")
    spouse = ("home-1", "geoffrey", "franklin", None, "7 kings road", "20001", "geoff", None)
    found = fuzzy.candidates(rows(*known, one, again, spouse), rows(*told, *mistyped, *moved), 0.5)
    assert [(pair.person_id, pair.other_person_id) for pair in found] == [("twin-1", "twin-2")]
    assert found[0].agreeing == ("first_name", "street", "postal_code")
    assert found[0].probability > 0.9
