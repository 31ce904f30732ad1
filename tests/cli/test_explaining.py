"""`explain` and `report`, on a real warehouse, a real ledger and the sandbox."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.explanation import digest
from tests import table
from tests.cli.command import Capi

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
SECRETS = ("person1@example.com", "click1", "192.0.2.7", "Mozilla", "anon-42", "1980-02-29")


def delivered(capi: Capi) -> None:
    rows = [
        table.row(1, HOUR, anonymous_id="anon-42", enriched=["click_ids.fbclid"], transaction_id="A-1"),
        table.row(2, HOUR, consent_ad_user_data="denied"),
    ]
    table.create(capi.environment["CAPI_WAREHOUSE_URL"], rows)
    capi.environment["CAPI_START"] = f"{HOUR:%Y-%m-%d-%H:00}"
    capi("sync", "--hour", f"{HOUR:%Y-%m-%dT%H}")


def test_the_story_of_a_conversion_and_the_page_of_a_week(delivering: Capi, tmp_path: Path) -> None:
    delivered(delivering)
    (story,) = delivering("explain", "order-000001", "--json").json
    assert story["conversion"]["event_name"] == "purchase"
    assert story["identifiers"]["emails"] == [digest("person1@example.com")]
    assert story["identifiers"]["ip_address"] == "known"
    assert story["raw_rows"] == []  # this warehouse has none
    assert story["identity"]["added"] == ["click_ids.fbclid"]
    assert story["consent"]["decision"] == "may be sent"
    (meta,) = story["destinations"]
    assert (meta["ledger"]["state"], meta["ledger"]["attempts"]) == ("accepted", 1)
    assert meta["ledger"]["trace_id"]
    assert meta["match_quality"]["before"] < meta["match_quality"]["score"]
    assert meta["now"]["payload"]["event_name"] == "Purchase"
    assert re.fullmatch("[0-9a-f]{6}…", meta["now"]["payload"]["user_data"]["em"][0])

    said = delivering("explain", "order-000001").out
    (refused,) = delivering("explain", "order-000002", "--json").json
    assert refused["consent"]["decision"] == "consent_denied"
    assert refused["destinations"][0]["ledger"]["reason"] == "consent_denied"
    assert refused["destinations"][0]["now"] == {"withheld": "consent_denied", "detail": ""}

    path = tmp_path / "week.html"
    assert delivering("report", "--days", "1", "--out", str(path), "--json").json["path"] == str(path)
    page = path.read_text()
    assert "1 of 1 destinations" in page
    assert "consent denied" in page
    assert "Match quality" in page
    for secret in SECRETS:
        assert secret not in said, secret
        assert secret not in page, secret
        assert secret not in str(story), secret


def test_rows_of_the_raw_tables_and_the_person_are_told_where_the_warehouse_has_them(own: Capi) -> None:
    url = own.environment["CAPI_WAREHOUSE_URL"]
    person = {"user_id": "c-1", "transaction_id": "A-1"}
    table.create(url, [table.row(1, HOUR, **person)])
    table.sql(url, "alter table marts.conversions add person_id text; update marts.conversions set person_id = 'p-9'")
    table.sql(url, "create schema raw; create table raw.orders (order_id text, status text, _loaded_at timestamptz)")
    table.sql(
        url,
        "insert into raw.orders values ('A-1', 'placed', '2026-10-01'), ('A-1', 'paid', '2026-10-02'), ('B', 'paid', now())",
    )
    table.sql(
        url,
        """create schema identity; create table identity.identity_ids (id_type text, id_key text, person_id text,
            first_seen_at timestamptz, last_seen_at timestamptz);
        insert into identity.identity_ids values ('customer_id', 'c-1', 'p-9', now(), now()),
            ('phone', '491511', 'p-9', now(), now());
        create table identity.identity_links (link_id text, customer_id text, email_key text, phone_key text, anonymous_id text,
            first_seen_at timestamptz, last_seen_at timestamptz);
        insert into identity.identity_links values ('l1', 'c-1', null, '491511', null, now(), now()),
            ('l2', 'c-1', null, null, null, now(), now())""",
    )
    (story,) = own("explain", "order-000001", "--json", META_TOKEN="x").json
    assert [(row["table"], row["status"]) for row in story["raw_rows"]] == [
        ("raw.orders", "placed"),
        ("raw.orders", "paid"),
    ]
    assert story["identity"]["person_id"] == "p-9"
    assert {one["digest"] for one in story["identity"]["ids"]} == {digest("c-1"), digest("491511")}
    (link,) = story["identity"]["links"]
    assert link["together"] == {"customer_id": digest("c-1"), "phone": digest("+49 1511", "phone")}
    assert story["destinations"][0]["ledger"] is None


def test_a_destination_whose_secret_is_not_set_is_told_of_without_its_payload(own: Capi) -> None:
    table.create(own.environment["CAPI_WAREHOUSE_URL"], [table.row(1, HOUR)])
    (story,) = own("explain", "order-000001", "--json").json
    assert "META_TOKEN" in story["destinations"][0]["now"]["not_rendered"]
    assert "META_TOKEN" in own("explain", "order-000001").out


def test_what_only_the_ledger_knows_is_told_and_what_nobody_knows_is_a_mistake(own: Capi) -> None:
    url = own.environment["CAPI_LEDGER_URL"]
    table.create(own.environment["CAPI_WAREHOUSE_URL"], [])
    own.mistake("explain", "order-000009", names=["order-000009", "marts.conversions"])
    Ledger.open(url).engine.dispose()
    table.sql(
        url,
        """insert into capi.deliveries (destination, event_name, event_id, hour, state, reason, event_time, recorded_at)
        values ('gone', 'purchase', 'order-000009', now(), 'held', 'no_verdict', now(), now())""",
    )
    (story,) = own("explain", "order-000009", "--json").json
    (one,) = story["destinations"]
    assert (one["destination"], one["ledger"]["state"]) == ("gone", "held")
    assert "never said" in own("explain", "order-000009").out


def test_a_report_that_cannot_be_written_is_a_mistake(own: Capi, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    own.mistake("report", "--out", str(tmp_path / "file" / "x.html"), names=["x.html"])


def test_a_report_of_an_installation_that_has_done_nothing_says_so(own: Capi, tmp_path: Path) -> None:
    own("report", "--out", str(tmp_path / "x.html"))
    assert "Nothing was delivered" in (tmp_path / "x.html").read_text()
