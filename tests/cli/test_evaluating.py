"""`capi evaluate-identity`: what it says when it cannot measure."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import create_engine, text

from capi_pipeline.evaluation import tables
from tests.cli.command import Capi


def run(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def create(table: str, columns: Sequence[str]) -> str:
    return f"create table {table} ({', '.join(f'{column} text' for column in columns)})"


TRUTH = ["create schema truth", *(create(table, columns) for table, columns in tables.TRUTH.items())]


def test_its_help_has_an_example(capi: Capi) -> None:
    said = " ".join(capi("evaluate-identity", "--help").out.split())
    assert "capi evaluate-identity --seed 2 --out report" in said
    assert "--no-generate" in said


def test_without_the_truth_it_says_what_is_needed(own: Capi) -> None:
    own.mistake("evaluate-identity", "--no-generate", names=["no table `truth.people`", "leave out --no-generate"])


def test_a_truth_without_a_column_is_named(own: Capi, warehouse_url: str) -> None:
    run(warehouse_url, *TRUTH, "alter table truth.attribution drop column knowable")
    own.mistake("evaluate-identity", "--no-generate", names=["lacks knowable in `truth.attribution`"])


def test_without_the_models_it_says_what_to_build(own: Capi, warehouse_url: str) -> None:
    run(warehouse_url, *TRUTH)
    own.mistake(
        "evaluate-identity", "--no-generate", names=["no table `identity.identity_ids`", "Build the dbt models"]
    )


def test_models_that_cannot_be_built_end_with_the_words_of_dbt(own: Capi, warehouse_url: str) -> None:
    run(warehouse_url, *TRUTH)
    done = own("evaluate-identity", "--no-generate", code=1, CAPI_DBT_PROJECT="", DBT_THREADS="1")
    assert "The dbt models could not be built" in done.err


def test_a_warehouse_that_does_not_answer_is_named(own: Capi) -> None:
    url = "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"
    own.mistake(
        "evaluate-identity", "--no-generate", names=["cannot be read", "CAPI_WAREHOUSE_URL"], CAPI_WAREHOUSE_URL=url
    )


def test_another_kind_of_warehouse_is_refused(own: Capi) -> None:
    own.mistake("evaluate-identity", "--no-generate", names=["PostgreSQL"], CAPI_WAREHOUSE_URL="sqlite:///shop.db")
