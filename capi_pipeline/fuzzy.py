"""Persons that may be the same by likeness: pairs with a probability, by Splink's model of record linkage. Nothing is merged.

The model is Fellegi and Sunter's (https://moj-analytical-services.github.io/splink/theory/fellegi_sunter.html). How often a
person writes a field in two ways is learnt from the rows that stitching gave to one person, how often strangers write it alike
from random pairs. Everything happens in memory, in DuckDB, without a network: names and addresses rest only in the warehouse.
"""

from __future__ import annotations

import logging
import warnings
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from capi_pipeline.errors import ConfigurationError, address, first_line
from capi_pipeline.warehouse import Warehouse

FIELDS = ("first_name", "last_name", "birth_date", "street", "postal_code", "email_name", "phone")
LEAST = 20  # persons, and rows that tell of known ones again: with fewer, a model is a guess
SAMPLE = 1_000_000  # random pairs

_TOLD = r"""
with erased as materialized (select subject_type, subject from intermediate.int_erased_people),
rows as (
    select ids.person_id, told.first_name, told.last_name, told.date_of_birth, told.street_address, told.postal_code, told.email,
        told.phone, told.customer_id, told.updated_at as seen_at
    from staging.stg_customers as told
    inner join identity.identity_ids as ids on ids.id_type = 'customer_id' and ids.id_key = told.customer_id
    union all
    select ids.person_id, told.first_name, told.last_name, null, told.street_address, told.postal_code, told.email, told.phone,
        told.customer_id, told.created_at
    from staging.stg_orders as told
    inner join identity.identity_conversions as ids on ids.conversion_type = 'order' and ids.conversion_id = told.order_id
    union all
    select ids.person_id, told.first_name, told.last_name, null, null, null, told.email, told.phone,
        told.customer_id, told.changed_at
    from staging.stg_leads as told
    inner join identity.identity_conversions as ids on ids.conversion_type = 'lead' and ids.conversion_id = told.lead_id
),
told as (
    select person_id, seen_at,
        regexp_replace(lower(first_name), '^(dr|mr|mrs|ms|prof)[.]? +', '') as first_name,
        lower(last_name) as last_name,
        cast(date_of_birth as text) as birth_date,
        lower(regexp_replace(street_address, '[^[:alnum:]]+', ' ', 'g')) as street,
        upper(regexp_replace(postal_code, '[^[:alnum:]]', '', 'g')) as postal_code,
        case when email ~ '^[^@[:space:]]+@[^@[:space:]]+$'
            then split_part(split_part(lower(email), '@', 1), '+', 1) end as email_name,
        case when length(regexp_replace(phone, '[^0-9]', '', 'g')) >= 7
            then right(regexp_replace(phone, '[^0-9]', '', 'g'), 9) end as phone,
        coalesce(customer_id in (select subject from erased where subject_type = 'customer_id'), false)
            or coalesce(lower(email) in (select subject from erased where subject_type = 'email'), false) as erased
    from rows
    where person_id is not null and last_name is not null
)
"""
# One row per person: of each field what was said last.
_PERSONS = f"""{_TOLD} select person_id,
    {", ".join(f"(array_agg({f} order by seen_at desc, {f}) filter (where {f} <> ''))[1] as {f}" for f in FIELDS)}
from told group by person_id having not bool_or(erased)"""
# Each way in which persons were told, for those who were told in several.
_SPELLINGS = f"""{_TOLD},
different as (select distinct person_id, {", ".join(FIELDS)} from told where not erased)
select * from different
where person_id in (select person_id from different group by person_id having count(*) between 2 and 50)"""
_TABLE = """
create table if not exists identity.identity_candidates (
    person_id text not null, other_person_id text not null, probability double precision not null, agreeing text[] not null,
    estimated_at timestamptz not null, primary key (person_id, other_person_id)
)
"""
_INSERT = """
insert into identity.identity_candidates values (:person_id, :other_person_id, :probability, :agreeing, current_timestamp)
"""


@dataclass(frozen=True)
class Candidate:
    """Two persons that may be one, `person_id` < `other_person_id`, and the fields in which they agree to the letter."""

    person_id: str
    other_person_id: str
    probability: float
    agreeing: tuple[str, ...]


def persons(warehouse: Warehouse) -> tuple[pa.Table, pa.Table]:
    """Persons with a last name (person_id and FIELDS, as text), and the ways in which they were told (the same columns).

    People who asked to be erased are in neither. Raises ConfigurationError.
    """
    if warehouse.url.get_backend_name() != "postgresql":
        raise ConfigurationError(
            f"Candidates are read from PostgreSQL, and CAPI_WAREHOUSE_URL names {warehouse.url.get_backend_name()}.",
            "Nothing was written.",
        )
    try:
        with warehouse.engine.connect() as connection:
            return _table(connection, _PERSONS), _table(connection, _SPELLINGS)
    except SQLAlchemyError as error:
        raise ConfigurationError(
            f"Persons cannot be read from {address(warehouse.url)}: {first_line(error)}",
            "Build the dbt models of this project (`capi sync`), or correct CAPI_WAREHOUSE_URL.",
        ) from None


def write(warehouse: Warehouse, candidates: list[Candidate]) -> None:
    """Replace the table identity.identity_candidates by these. Raises ConfigurationError."""
    rows = [{**vars(found), "agreeing": list(found.agreeing)} for found in candidates]
    try:
        with warehouse.engine.begin() as connection:
            connection.execute(text(_TABLE))
            connection.execute(text("delete from identity.identity_candidates"))
            if rows:
                connection.execute(text(_INSERT), rows)
    except SQLAlchemyError as error:
        raise ConfigurationError(
            f"The table identity.identity_candidates cannot be written: {first_line(error)}",
            "Give the user of CAPI_WAREHOUSE_URL the right to create tables in the schema `identity`.",
        ) from None


def require() -> None:
    """Raise ConfigurationError unless Splink is installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its SQL parser, about another package's dependency
            import splink  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"Candidates are found by Splink, which is not installed (no module `{error.name}`).",
            "Install the extra: pip install 'capi-pipeline[fuzzy]', or in a checkout: pip install '.[fuzzy]'.",
        ) from None


def candidates(people: pa.Table, spellings: pa.Table, threshold: float) -> list[Candidate]:
    """The pairs of `people` of at least this probability, best first. `spellings` teach how one person's rows differ.

    Raises ConfigurationError without Splink, or with too few of either.
    """
    require()
    if people.num_rows < LEAST or spellings.num_rows < LEAST:
        raise ConfigurationError(
            f"There are {people.num_rows} persons with a name, and {spellings.num_rows} rows that tell of one in several ways.",
            f"At least {LEAST} of each are needed to learn from. Nothing was written.",
        )
    import duckdb
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    logging.getLogger("splink").setLevel(logging.ERROR)
    connection = duckdb.connect(":memory:", config={"temp_directory": "", "autoinstall_known_extensions": "false"})
    likely = [
        block_on("last_name", "first_name"),
        block_on("last_name", "postal_code"),
        block_on("last_name", "birth_date"),
        block_on("email_name"),
        block_on("phone"),
        block_on("street", "first_name"),
    ]
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="row_id",
        comparisons=_comparisons(),
        blocking_rules_to_generate_predictions=likely,
        retain_matching_columns=False,
    )
    backend = DuckDBAPI(connection=connection)
    taught = Linker(backend.register(_numbered(spellings), table_name="spellings"), settings, log_level=None)
    taught.training.estimate_m_from_label_column("person_id")
    model = taught.misc.save_model_to_json() | {"probability_two_random_records_match": prior(people)}
    linker = Linker(backend.register(_numbered(people), table_name="people"), model, log_level=None)
    linker.training.estimate_u_using_random_sampling(max_pairs=SAMPLE, seed=1)
    found = linker.inference.predict(threshold_match_probability=threshold, warning_mode="never").as_pyarrow_table()
    rows = people.to_pylist()
    pairs = zip(*(found[name].to_pylist() for name in ("row_id_l", "row_id_r", "match_probability")), strict=True)
    made = [_candidate(rows[left], rows[right], probability) for left, right, probability in pairs]
    return sorted(made, key=lambda c: (-c.probability, c.person_id, c.other_person_id))


def prior(people: pa.Table) -> float:
    """The probability that two persons drawn at random are one: by the pairs that agree in both names and one field more, taken
    for half of all. One more is counted than was found, for that none was found does not mean that there is none."""
    certain: set[tuple[str, str]] = set()
    for other in ("birth_date", "postal_code", "email_name", "phone"):
        groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for row in people.select(["person_id", "first_name", "last_name", other]).to_pylist():
            person, *key = row.values()
            if all(key):
                groups[tuple(key)].append(person)
        for group in groups.values():
            certain.update(combinations(sorted(group)[:50], 2))
    return min(0.5, 2 * (len(certain) + 1) / comb(people.num_rows, 2))


def _comparisons() -> list[Any]:
    """What is compared, and how alike counts as nearly the same."""
    import splink.comparison_library as cl

    def rare(comparison: Any) -> Any:
        """To share a rare value says more than to share a frequent one."""
        return comparison.configure(term_frequency_adjustments=True)

    return [
        rare(cl.JaroWinklerAtThresholds("first_name", [0.9])),
        rare(cl.JaroWinklerAtThresholds("last_name", [0.9])),
        cl.LevenshteinAtThresholds("birth_date", [1]),
        rare(
            cl.JaroWinklerAtThresholds("street", [0.95])
        ),  # stands for the postal code as well, or a household would count twice
        rare(cl.JaroWinklerAtThresholds("email_name", [0.95])),
        rare(cl.LevenshteinAtThresholds("phone", [1])),
    ]


def _candidate(one: dict[str, Any], other: dict[str, Any], probability: float) -> Candidate:
    first, second = sorted((one["person_id"], other["person_id"]))
    agreeing = tuple(field for field in FIELDS if one[field] is not None and one[field] == other[field])
    return Candidate(first, second, round(probability, 6), agreeing)


def _numbered(rows: pa.Table) -> pa.Table:
    return rows.append_column("row_id", pa.array(range(rows.num_rows), pa.int64()))


def _table(connection: Connection, query: str) -> pa.Table:
    schema = pa.schema([(name, pa.string()) for name in ("person_id", *FIELDS)])
    return pa.Table.from_pylist([dict(row) for row in connection.execute(text(query)).mappings()], schema=schema)
