"""TikTok: portal pages on the event payload, deduplication and return codes; help page on custom events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from capi_pipeline.sandbox import accounts

from .conftest import Client, Clock
from .payloads import ABSENT, EMAIL, EMPTY, NAME, changed, seconds, tiktok_event

OFFLINE = {"source": "offline", "source_id": accounts.TIKTOK_OFFLINE_EVENT_SET_ID}
APP = {"source": "app", "source_id": accounts.TIKTOK_APP_ID}
CRM = {"source": "crm", "source_id": accounts.TIKTOK_CRM_EVENT_SET_ID}
LEAD = {"event": "Lead", "event_time": seconds(), "event_id": "lead-1", "user": {"phone": [EMAIL]}}


def test_accepts_a_batch(sandbox: Client) -> None:
    answer = sandbox.tiktok(tiktok_event(1), tiktok_event(2))
    assert answer.status_code == 200
    body = answer.json()
    assert (body["code"], body["message"], body["data"]) == (0, "OK", {})
    assert body["request_id"]
    assert sandbox.counts("tiktok")["accepted"] == 2


@pytest.mark.parametrize(
    ("event", "source"),
    [
        (LEAD, OFFLINE),
        (LEAD | {"user": {"external_id": EMAIL}}, OFFLINE),
        (LEAD | {"lead": {"lead_id": "123"}}, CRM),
        (LEAD | {"event": "Checkout", "app": {"app_id": "com.example"}, "user": {"idfa": NAME}}, APP),
        (tiktok_event() | {"event": "CompletePayment"}, {}),
        (tiktok_event() | {"event": "Demo_Booked"}, {}),
        (tiktok_event() | {"event_time": seconds(timedelta(days=40))}, {}),
        (tiktok_event() | {"limited_data_use": True}, {}),
        (changed(tiktok_event(), "user.e_mail", "is ignored"), {}),
        (changed(tiktok_event(), "properties", ABSENT), {}),
    ],
)
def test_accepts_good_events(sandbox: Client, event: dict[str, Any], source: dict[str, Any]) -> None:
    assert sandbox.tiktok(event, **source).json()["code"] == 0


BAD: list[tuple[str, object, str]] = [
    ("event", ABSENT, "event: "),
    ("event", "Demo Booked", "event: "),
    ("event", "1st", "event: "),
    ("event", "x" * 51, "event: "),
    ("event", "Checkout", "event: "),
    ("event_time", str(seconds()), "event_time: "),
    ("event_time", seconds() * 1000, "event_time: "),
    ("event_time", seconds(timedelta(seconds=-1)), "event_time: "),
    ("event_id", 1001, "event_id: Not a valid string"),
    ("user", ABSENT, "user: "),
    ("user", [], "user: "),
    ("page", ABSENT, "page.url: "),
    ("page.url", "shop", "page.url: "),
    ("user.email", "jane.doe@example.com", "user.email: "),
    ("user.email", [EMPTY], "user.email: "),
    ("user.email", [EMAIL.upper()], "user.email: "),
    ("user.email", [], "user.email: "),
    ("user.external_id", ["cust-42"], "user.external_id: "),
    ("user.first_name", "Jane", "user.first_name: "),
    ("user.first_name", [NAME], "user.first_name: "),
    ("user.zip_code", EMPTY, "user.zip_code: "),
    ("user.city", EMAIL, "user.city: "),
    ("user.ttclid", EMAIL, "user.ttclid: "),
    ("user.ttclid", "x" * 1001, "user.ttclid: "),
    ("user.ip", "not an address", "user.ip: "),
    ("user.user_agent", None, "user.user_agent: "),
    ("user.att_status", "authorized", "user.att_status: "),
    ("properties.value", "149.97", "properties.value: "),
    ("properties.currency", "usd", "properties.currency: "),
    ("properties.num_items", "1", "properties.num_items: "),
    ("properties.order_id", 7, "properties.order_id: "),
    ("properties.content_type", "thing", "properties.content_type: "),
    ("properties.content_type", ABSENT, "properties.content_type: "),
    ("properties.delivery_category", [], "properties.delivery_category: "),
    ("properties.contents", {}, "properties.contents: "),
    ("properties.contents", [None], "properties.contents.0.content: "),
    ("properties.contents.0.price", None, "properties.contents.0.price: "),
    ("properties.contents.0.quantity", 1.5, "properties.contents.0.quantity: "),
    ("properties.contents.0.content_id", 5, "properties.contents.0.content_id: "),
    ("limited_data_use", "true", "limited_data_use: "),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD)
def test_one_bad_event_refuses_the_request(sandbox: Client, path: str, value: object, message: str) -> None:
    answer = sandbox.tiktok(tiktok_event(1), changed(tiktok_event(2), path, value))
    assert answer.status_code == 200  # errors, too
    assert answer.json()["code"] == 40002
    assert answer.json()["message"].startswith(f"Batch.1.{message}")
    counts = sandbox.counts("tiktok")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


@pytest.mark.parametrize(
    ("event", "source", "message"),
    [
        (LEAD | {"user": {"first_name": NAME}}, OFFLINE, "user: "),
        (LEAD, APP, "app.app_id: "),
        (LEAD, CRM, "lead.lead_id: "),
    ],
)
def test_what_each_source_needs(sandbox: Client, event: object, source: dict[str, Any], message: str) -> None:
    body = sandbox.tiktok(event, **source).json()
    assert body["code"] == 40002
    assert body["message"].startswith(f"Batch.0.{message}")


def test_envelope(sandbox: Client) -> None:
    assert sandbox.tiktok(tiktok_event(), source="website").json()["code"] == 40002
    assert sandbox.tiktok(tiktok_event(), source=["web"]).json()["code"] == 40002
    assert sandbox.tiktok(tiktok_event(), source_id=7).json()["code"] == 40002
    assert sandbox.tiktok(tiktok_event(), source_id="C000").json()["code"] == 40001
    assert sandbox.tiktok(tiktok_event(), source="offline").json()["code"] == 40001
    assert sandbox.tiktok().json()["code"] == 40002
    assert sandbox.tiktok(*[tiktok_event(number) for number in range(1001)]).json()["code"] == 40002
    assert sandbox.tiktok(*[tiktok_event(number) for number in range(1000)]).json()["code"] == 0


def test_authentication(sandbox: Client) -> None:
    assert sandbox.tiktok(tiktok_event(), token="").json()["code"] == 40104
    assert sandbox.tiktok(tiktok_event(), token="other").json()["code"] == 40105


def test_test_events_are_not_counted(sandbox: Client) -> None:
    assert sandbox.tiktok(tiktok_event(), test_event_code="TEST1").json()["code"] == 0
    assert sandbox.outcomes("tiktok") == ["test"]
    sandbox.tiktok(tiktok_event())
    assert sandbox.counts("tiktok")["accepted"] == 1


def test_a_copy_is_merged_then_dropped_then_counted_again(sandbox: Client, clock: Clock) -> None:
    sandbox.tiktok(changed(tiktok_event(), "user.ttp", ABSENT))
    clock.forward(minutes=4)
    sandbox.tiktok(changed(tiktok_event(), "properties.value", 1))
    first = sandbox.get("events", platform="tiktok")[0]["payload"]
    assert (first["user"]["ttp"], first["properties"]["value"]) == ("ttp-abc", 149.97)
    clock.forward(minutes=2)
    sandbox.tiktok(tiktok_event())
    clock.forward(hours=48)
    sandbox.tiktok(tiktok_event())
    assert sandbox.outcomes("tiktok") == ["first", "merged", "duplicate", "again"]
    counts = sandbox.counts("tiktok")
    assert (counts["accepted"], counts["duplicates"], counts["double_counted"]) == (2, 2, 1)


def test_the_key_holds_the_source(sandbox: Client) -> None:
    event = tiktok_event()
    sandbox.tiktok(event)
    sandbox.tiktok(event, **OFFLINE)
    assert sandbox.outcomes("tiktok") == ["first", "first"]


def test_without_event_id_only_five_minutes_of_ttp_are_left(sandbox: Client, clock: Clock) -> None:
    event = changed(tiktok_event(), "event_id", ABSENT)
    sandbox.tiktok(event, event)
    clock.forward(minutes=6)
    sandbox.tiktok(event)
    bare = changed(event, "user.ttp", ABSENT)
    sandbox.tiktok(bare, bare)
    assert sandbox.outcomes("tiktok") == ["first", "merged", "again", "first", "again"]
