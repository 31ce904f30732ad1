"""Planted secrets and people, on every road on which they could leak: outputs at DEBUG, what rests, process arguments.

Each case checks what it sees; the tests at the end look at everything that all of them left behind.
"""

from __future__ import annotations

import base64
import json
import logging
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import create_engine, text

from capi_pipeline.conversions.contract import COLUMNS
from capi_pipeline.demo import FIVE
from capi_pipeline.sandbox import accounts
from capi_pipeline.warehouse import Warehouse
from tests import table
from tests.end_to_end.conftest import CAPI
from tests.secrets.conftest import ROOT, Planted, locked
from tests.secrets.planted import (
    DIGESTS,
    IDENTIFIERS,
    PASSWORDS,
    PERSON,
    REFUSED,
    REFUSED_REFRESH,
    REFUSED_SECRET,
    SECRETS,
    Search,
)
from tests.table import row

pytestmark = pytest.mark.timeout(300)
PLATFORMS = ("meta", "google_data_manager", "tiktok", "microsoft_offline", "outbrain")


@pytest.fixture(autouse=True)
def without_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "there" in request.fixturenames:
        request.getfixturevalue("there").clear()


# --- the search itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SECRETS, *IDENTIFIERS, *DIGESTS])
def test_the_search_finds_a_value_in_every_form(name: str) -> None:
    value = {**SECRETS, **IDENTIFIERS, **DIGESTS}[name]
    search = Search()
    for written in (
        value, value.upper(), quote(value, safe=""), json.dumps({"a": json.dumps({"b": value})}),
        *(base64.b64encode(f"{'x' * n}{value}:y".encode()).decode() for n in range(3)),
    ):  # fmt: skip
        assert name in search(f"words {written} words"), written
    assert not search("words 4711 words")


def test_an_hour_that_is_delivered_shows_nothing_and_the_search_would_find_it(there: Planted) -> None:
    said = there.sync(there.hour(), code=0)
    assert said.count('"accepted": 1') + said.count('"pending": 1') == 5
    assert there.found() == {}
    log = there.home / "logs" / "planted.log"
    log.write_text(f"GET /?access_token={quote(accounts.META_ACCESS_TOKEN, safe='')}")
    table.sql(there.database("ledger"), "update capi.deliveries set message = :m", {"m": "no person Plantedlast"})
    try:
        assert there.found() == {"logs/planted.log": {"Meta token"}, "ledger: capi.deliveries": {"last name"}}
    finally:
        log.unlink()
        table.sql(there.database("ledger"), "update capi.deliveries set message = null")


# --- roads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("html", [False, True], ids=["json", "html"])
def test_platforms_that_echo_the_request_in_their_errors(there: Planted, html: bool) -> None:
    for platform, status in zip(
        PLATFORMS, (503, 400, 401, 500, 503) if html else (400, 503, 400, 401, 500), strict=True
    ):
        there.fault("echo", platform, status=status, html=html)
    said = there.sync(there.hour())
    for name in FIVE:
        assert f'"destination": "{name}"' in said
    assert '"accepted": 1' not in said


def test_connections_that_break_and_a_redirect_with_the_token_in_its_location(there: Planted) -> None:
    token = quote(accounts.META_ACCESS_TOKEN)
    there.fault("redirect", "meta", location=f"/_sandbox/elsewhere?access_token={token}")
    there.fault("reset_before", "tiktok")
    there.fault("reset_after")
    said = there.sync(there.hour())
    assert "HTTP 302" in said
    assert "the connection broke" in said


def test_a_row_that_breaks_the_contract_is_named_without_its_values(there: Planted) -> None:
    hour = there.hour()
    query = f"update {table.TABLE} set emails = to_jsonb(first_name) where recorded_at >= :hour"
    table.sql(there.database("warehouse"), query, {"hour": hour})
    said = there.sync(hour, "-d", "meta")
    assert "Column `emails`" in said
    assert "event_id='order-" in said


def test_a_table_whose_query_fails_on_a_value(there: Planted) -> None:
    """The words of the database quote the value: of ADBC, and of the driver."""
    hour = there.hour()
    columns = ", ".join("first_name::date as date_of_birth" if c.name == "date_of_birth" else c.name for c in COLUMNS)
    table.sql(there.database("warehouse"), f"create view marts.broken as select {columns} from {table.TABLE}")
    said = there.sync(hour, "-d", "meta", CAPI_CONVERSIONS_TABLE="marts.broken")
    assert "invalid input syntax for type date: (value)" in said


def test_a_dbt_model_that_fails_on_a_value(there: Planted, tmp_path: Path) -> None:
    """dbt's own log, too, also when it is asked to say everything."""
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    (project / "dbt_project.yml").write_text(
        "name: planted\nversion: '1.0.0'\nprofile: capi_pipeline\nmodel-paths: [models]\n"
        "flags: {send_anonymous_usage_stats: false}\n"
    )
    (project / "profiles.yml").write_text((ROOT / "dbt_project" / "profiles.yml").read_text())
    (project / "models" / "conversions.sql").write_text(
        "{{ config(materialized='table') }} select first_name::date as first_name from marts.conversions"
    )
    (project / "models" / "leads.sql").write_text(
        "{{ config(materialized='table') }} select first_name, null::text as city from marts.conversions"
    )
    (project / "models" / "leads.yml").write_text(
        "models:\n  - name: leads\n    config: {contract: {enforced: true}}\n    columns:\n"
        "      - {name: first_name, data_type: text}\n"
        "      - {name: city, data_type: text, constraints: [{type: not_null}]}\n"
    )
    said = there.sync(
        there.hour(), "-d", "meta", CAPI_DBT_PROJECT=str(project), DBT_DEBUG="true", DBT_SEND_ANONYMOUS_USAGE_STATS="0"
    )
    assert "invalid input syntax for type date: (value)" in said
    assert "null value in column" in said


def test_a_database_that_cannot_be_reached(there: Planted, tmp_path: Path) -> None:
    """Also one whose password stands in the query, holds an @, or is wrong."""
    shutil.copytree(there.destinations / "meta", tmp_path / "meta")
    only = {"CAPI_DESTINATIONS": str(tmp_path)}
    nowhere = "127.0.0.1:1/nowhere"
    urls = {
        "refused": f"postgresql+psycopg2://capi:{PASSWORDS['unreachable']}@{nowhere}",
        "Connection refused": f"postgresql+psycopg2://capi@{nowhere}?password={PASSWORDS['query']}",
        "translate host name": f"postgresql+psycopg2://capi:half@{PASSWORDS['halved']}@{nowhere}",
        "authentication failed": locked(there.database("ledger").replace("capi@", "locked@"), PASSWORDS["wrong"]),
    }
    for words, url in urls.items():
        said = there.says("doctor", "--json", code=1, CAPI_WAREHOUSE_URL=url, CAPI_LEDGER_URL=url, **only)
        assert said.count(words) >= 3  # warehouse, ledger, destination
        assert words in there.says("status", code=1, CAPI_DAGSTER_URL=url, **only)
    broken = f"postgres//{PASSWORDS['wrong']}@"
    assert "not a URL" in there.says("status", code=1, CAPI_LEDGER_URL=broken, CAPI_WAREHOUSE_URL=broken, **only)
    hour = there.hour()
    there.sync(hour, "-d", "meta", CAPI_WAREHOUSE_URL=urls["Connection refused"])
    there.sync(hour, "-d", "meta", CAPI_LEDGER_URL=urls["Connection refused"])


def test_the_commands_that_look(there: Planted) -> None:
    for command in ("status", "destinations", "resolve", "doctor"):
        there.says(command)
    there.says("status", "--json")


def test_render_masks_the_secrets_of_its_configuration(there: Planted, tmp_path: Path) -> None:
    """The body is what a platform would get of the person: that is what it is asked for."""
    hour = there.hour()
    event = {**row(1, hour), "emails": PERSON["emails"]}
    config = {"pixel_id": "1", "access_token": accounts.META_ACCESS_TOKEN, "app_secret": accounts.META_APP_SECRET}
    for name, content in (
        ("config", config),
        ("events", [event | {k: str(event[k]) for k in ("event_time", "recorded_at")}]),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    given = ["--config", str(tmp_path / "config.json"), "--events", str(tmp_path / "events.json")]
    done = there.capi("render", "meta", *given)
    assert there.search(done.out + done.err) == {f"digest of {PERSON['emails'][0]}"}
    assert "Bearer ***" in done.out
    (tmp_path / "events.json").write_text(
        json.dumps([{**event, "date_of_birth": "Plantedlast", "event_time": 1, "recorded_at": 1}], default=str)
    )
    assert "not a" in there.says("render", "meta", *given, code=1)


def test_a_run_that_is_told_to_end_in_the_middle(there: Planted) -> None:
    hour = there.hour()
    debug = "import logging; logging.basicConfig(level=logging.DEBUG); from capi_pipeline.cli import main; main()"
    there.fault("latency", seconds=2)
    with subprocess.Popen(
        [CAPI[0], "-c", debug, "sync", "--hour", f"{hour:%Y-%m-%dT%H}", "-d", "meta"],
        env=there.environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 60
        query = text("select count(*) from capi.deliveries where state = 'sending' and hour = :hour")
        engine = create_engine(there.database("ledger"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not connection.execute(query, {"hour": hour}).scalar():
                assert time.monotonic() < deadline
                time.sleep(0.05)
        engine.dispose()
        process.send_signal(signal.SIGTERM)
        said = "".join(process.communicate(timeout=60))
    assert process.returncode != 0
    assert not there.search(said), there.search.shown(said)


def test_refused_tokens_and_a_token_endpoint_that_echoes_what_it_refuses(there: Planted) -> None:
    """After the others: a refresh token that was replaced by another one is no longer good at a platform that rotates."""
    refused = {
        "META_ACCESS_TOKEN": REFUSED, "TIKTOK_ACCESS_TOKEN": REFUSED,
        "GOOGLE_CLIENT_SECRET": REFUSED_SECRET, "GOOGLE_REFRESH_TOKEN": REFUSED_REFRESH,
        "MICROSOFT_CLIENT_SECRET": REFUSED_SECRET, "MICROSOFT_REFRESH_TOKEN": REFUSED_REFRESH,
    }  # fmt: skip
    there.fault("echo")
    there.fault("echo", path="token")
    said = there.sync(there.hour(), **refused)
    assert "Renew META_ACCESS_TOKEN" in said
    assert "the token endpoint refuses: invalid_client: POST http" in said
    there.clear()
    there.fault("echo", path="token", html=True)
    there.says("doctor", code=1, **refused)


def test_a_warehouses_rows_are_not_logged_at_debug(warehouse_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sqlalchemy.engine")
    for engine, logs in ((create_engine(warehouse_url), True), (Warehouse(warehouse_url, "a.b").engine, False)):
        caplog.clear()
        with engine.connect() as connection:
            connection.execute(text("select 'planted' || 'Row'")).all()
        engine.dispose()
        assert ("plantedRow" in caplog.text) == logs


# --- everything that they left ----------------------------------------------------------------------------------------


def test_nothing_planted_rests_outside_the_warehouse(there: Planted) -> None:
    there.know_granted()
    assert any(name.startswith("granted") for name in there.search.wanted)
    places = [place for place, words in there.kept() if words]
    for wanted in ("ledger: capi.deliveries", "ledger: capi.tokens", "dagster: public.event_logs", "logs/runs.log"):
        assert wanted in places
    assert any(place.endswith(".parquet") for place in places)
    found = {place: there.search.shown(words) for place, words in there.kept() if there.search(words)}
    assert not found, "\n".join(f"{place}: {shown}" for place, shown in found.items())


def test_nothing_planted_stood_in_the_arguments_of_a_process(there: Planted) -> None:
    lines = "\n".join(there.watch.lines)
    for program in ("sync", "dbt", "postgres"):
        assert program in lines
    assert not there.search(lines), there.search.shown(lines)
