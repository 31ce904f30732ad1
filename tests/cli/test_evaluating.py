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


MADE = [
    "create schema truth; create schema identity; create schema intermediate; create schema staging; create schema marts",
    "create table truth.people (person bigint, id_type text, id_value text)",
    "create table truth.attribution (conversion_type text, conversion_id text, parameter text, click_value text,"
    " clicked_at timestamptz, knowable boolean)",
    *(
        create(table, columns)
        for table, columns in {**tables.MODELS, "marts.conversions": tables.MART}.items()
        if table != "staging.base_web_events"
    ),
    "create table staging.base_web_events (anonymous_id text, user_id text, session_id text, properties jsonb)",
    # person 1: a customer with a phone on which they log in and a laptop that nobody knows; person 2: a guest; both use info@
    """insert into truth.people values (1, 'customer_id', 'C1'), (1, 'email', ' Me@x.org'), (1, 'email', 'me@x.org'),
    (1, 'anonymous_id', 'phone'), (1, 'anonymous_id', 'laptop'), (1, 'order_id', 'O1'), (1, 'email', 'info@x.org'),
    (2, 'email', 'you@x.org'), (2, 'order_id', 'O2'), (2, 'lead_id', 'L1'), (2, 'email', 'info@x.org')""",
    """insert into truth.attribution values ('order', 'O1', 'gclid', 'g1', now(), true),
    ('order', 'O2', 'gclid', 'g2', now(), true), ('lead', 'L1', 'fbclid', 'f1', now(), false),
    ('order', 'of another day', 'gclid', 'g3', now(), true)""",
    """insert into staging.stg_customers values ('C1', 'Me@x.org', null);
    insert into staging.stg_orders values ('O1', 'C1', 'phone', 'me@x.org', null), ('O2', null, null, 'you@x.org', null);
    insert into staging.stg_leads values ('L1', null, null, 'you@x.org', null);
    insert into staging.base_web_events values ('phone', 'C1', 's1', '{"email": "me@x.org"}')""",
    """insert into identity.identity_ids values ('customer_id', 'C1', 'p1', null), ('email', 'me@x.org', 'p1', null),
    ('anonymous_id', 'phone', 'p1', null), ('email', 'you@x.org', 'p2', null), ('email', 'info@x.org', null, 'role_address');
    insert into identity.identity_spellings values ('customer_id', 'C1', 'C1'), ('anonymous_id', 'phone', 'phone'),
    ('email', 'Me@x.org', 'me@x.org'), ('email', 'me@x.org', 'me@x.org'), ('email', 'you@x.org', 'you@x.org'),
    ('email', 'info@x.org', 'info@x.org');
    insert into identity.identity_conversions values ('order', 'O1', 'p1'), ('order', 'O2', 'p2'), ('lead', 'L1', 'p2')""",
    """insert into intermediate.int_clicks values ('phone', 'gclid', 'g1'), ('phone', 'gclid', 'g2');
    insert into marts.conversions values
    ('purchase', 'O1', null, '{"gclid": {"value": "g1", "clicked_at": "2026-01-01T00:00:00Z"}}', 'granted', 'granted'),
    ('purchase', 'O2', null, null, 'denied', null),
    ('generate_lead', null, 'L1', '{"fbclid": {"value": "f0", "clicked_at": "2026-01-01T00:00:00Z"}}', null, null),
    ('refund', 'O1', null, null, null, null)""",
]


def test_a_warehouse_of_a_few_rows_has_the_figures_of_a_hand(own: Capi, warehouse_url: str) -> None:
    run(warehouse_url, *MADE)
    figures = own("evaluate-identity", "--no-generate", "--out", str(own.folder / "report"), "--json").json
    assert figures["seed"] is None
    by_parameter = figures["clicks"].pop("by_parameter")
    assert figures["clicks"] == {
        "precision": 0.5, "precision_where_seen": 1.0, "recall": 0.5, "recall_of_consented": 1.0,
        "attached": 2, "right": 1, "knowable": 2, "all": 3, "conversions": 3,
    }  # fmt: skip
    assert by_parameter["fbclid"] == {
        "precision": 0.0, "recall": None, "attached": 1, "right": 0, "knowable": 0, "all": 1,
    }  # fmt: skip
    # person 1: C1, the address in two spellings, phone, laptop, O1; person 2: the address, O2, L1; info@ is several people's
    assert figures["people"] == {
        "precision": 1.0, "recall": 13 / 18, "pairs_true": 18, "pairs_predicted": 13, "pairs_right": 13,
        "recall_of_connected": 1.0, "people": 2, "ids": 9, "ids_without_a_person": 1,
        "shared_values": 1, "shared_values_given_to_a_person": 0, "ambiguous_spellings": 0,
    }  # fmt: skip
    assert figures["oracle"]["clicks_knowable_share"] == 2 / 3
    assert figures["losses"] == {
        "clicks, missed: the person refused": 1,
        "clicks, wrong: an older click, for the right one was not recorded or is not connected": 1,
        "people, not connected by rows: a cookie that never met a login, an order or a form": 5,
    }


def test_the_report_is_a_page_with_two_plots(own: Capi, warehouse_url: str) -> None:
    run(warehouse_url, *MADE)
    folder = own.folder / "report"
    done = own("evaluate-identity", "--no-generate", "--out", str(folder))
    assert str(folder / "identity.md") in done.out
    assert "| `gclid` | 100.00% | 50.00% | 1 | 1 | 2 | 2 |" in (folder / "identity.md").read_text()
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in ("clicks.png", "losses.png"))


def test_a_folder_that_cannot_be_written_is_named(own: Capi, warehouse_url: str) -> None:
    run(warehouse_url, *MADE)
    taken = own.folder / "taken"
    taken.write_text("a file")
    own.mistake("evaluate-identity", "--no-generate", "--out", str(taken), names=["cannot be written to", "--out"])


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
