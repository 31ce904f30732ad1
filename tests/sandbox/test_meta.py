"""Meta: conversions-api pages using-the-api, parameters, deduplicate-pixel-and-server-events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from capi_pipeline.sandbox import accounts
from capi_pipeline.sandbox.platforms.meta import proof_of

from .conftest import Client, Clock
from .payloads import ABSENT, AGENT, EMAIL, EMPTY, NAME, changed, meta_event, seconds

APP = {
    "event_name": "MobileAppInstall",
    "event_time": seconds(),
    "event_id": "install-1",
    "action_source": "app",
    "user_data": {"madid": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"},
    "app_data": {
        "advertiser_tracking_enabled": 1,
        "application_tracking_enabled": 0,
        "extinfo": ["i2", "com.example", "", "", "18.5", *[""] * 11],
    },
}
LDU: dict[str, Any] = {
    "data_processing_options": ["LDU"],
    "data_processing_options_country": 1,
    "data_processing_options_state": 1000,
}
LEAD = {
    "event_name": "Lead",
    "event_time": seconds(),
    "event_id": "lead-1",
    "action_source": "system_generated",
    "user_data": {"ph": [EMAIL], "country": [NAME]},
}
STORE = meta_event() | {"action_source": "physical_store", "event_time": seconds(timedelta(days=61))}


def test_accepts_a_batch(sandbox: Client) -> None:
    answer = sandbox.meta(meta_event(1), meta_event(2))
    assert answer.status_code == 200
    body = answer.json()
    assert (body["events_received"], body["messages"]) == (2, [])
    assert body["fbtrace_id"]
    stored = sandbox.get("events", platform="meta", event_id="evt-1")
    assert [(event["event_name"], event["value"], event["currency"]) for event in stored] == [
        ("Purchase", 149.97, "USD")
    ]
    assert stored[0]["payload"] == meta_event(1)


@pytest.mark.parametrize(
    "event",
    [
        APP,
        LEAD,
        STORE,
        meta_event() | LDU,
        meta_event() | LDU | {"data_processing_options_country": 0, "data_processing_options_state": 0},
        meta_event() | {"data_processing_options": []},
        meta_event() | {"opt_out": True, "event_time": seconds(timedelta(0))},
        meta_event() | {"event_time": seconds(timedelta(days=7))},
        changed(meta_event(), "custom_data.value", 12000),
        changed(meta_event(), "user_data.em", EMAIL),
        changed(meta_event(), "user_data.em", [EMAIL + ".AQ"]),
        changed(meta_event(), "user_data.external_id", "plain-text-id"),
        changed(meta_event(), "user_data.client_ip_address", "2001:db8::ff00:42:8329"),
        changed(meta_event(), "user_data.lead_id", 123456789012345),
        changed(meta_event(), "user_data.unknown_field", "is ignored"),
        meta_event() | {"user_data": {"fbp": "fb.1.1790000000000.1", "client_user_agent": AGENT}},
    ],
)
def test_accepts_good_events(sandbox: Client, event: dict[str, Any]) -> None:
    answer = sandbox.meta(event)
    assert answer.status_code == 200, answer.text
    assert sandbox.counts("meta")["accepted"] == 1


BAD: list[tuple[str, object, int]] = [
    ("event_name", ABSENT, 2804019),
    ("event_name", 7, 2804019),
    ("event_time", str(seconds()), 2804019),
    ("event_time", seconds() + 0.5, 2804019),
    ("event_time", True, 2804019),
    ("event_time", seconds() * 1000, 2804019),
    ("event_time", seconds(timedelta(seconds=-1)), 2804019),
    ("event_time", seconds(timedelta(days=7, seconds=1)), 2804003),
    ("event_id", 1001, 2804019),
    ("event_id", "", 2804019),
    ("action_source", ABSENT, 2804019),
    ("action_source", "web", 2804019),
    ("event_source_url", ABSENT, 2804019),
    ("event_source_url", "shop", 2804019),
    ("opt_out", "true", 2804019),
    ("user_data", ABSENT, 2804050),
    ("user_data", {}, 2804050),
    ("user_data", {"client_user_agent": AGENT, "ct": [NAME], "country": [NAME], "st": [NAME], "zp": [NAME]}, 2804050),
    ("user_data", {"db": [NAME], "client_user_agent": AGENT}, 2804050),
    ("user_data", {"fn": [NAME], "ge": [NAME]}, 2804050),
    ("user_data", {"ln": [NAME], "ge": [NAME]}, 2804050),
    ("user_data.client_user_agent", ABSENT, 2804019),
    ("user_data.client_user_agent", EMAIL, 2804019),
    ("user_data.client_ip_address", EMAIL, 2804019),
    ("user_data.client_ip_address", 7, 2804019),
    ("user_data.em", ["jane.doe@example.com"], 2804016),
    ("user_data.em", [EMAIL.upper()], 2804016),
    ("user_data.em", [""], 2804016),
    ("user_data.em", [], 2804016),
    ("user_data.em", None, 2804016),
    ("user_data.em", [EMAIL, EMPTY], 2804016),
    ("user_data.ph", ["+14155552671"], 2804016),
    ("user_data.external_id", [EMPTY], 2804016),
    ("user_data.fbc", "clk-fbclid-0001", 2804001),
    ("user_data.fbc", EMAIL, 2804001),
    ("user_data.fbp", EMAIL, 2804019),
    ("user_data.lead_id", 12, 2804019),
    ("custom_data", [], 2804019),
    ("custom_data.value", ABSENT, 2804009),
    ("custom_data.currency", ABSENT, 2804009),
    ("custom_data.value", "149.97", 2804009),
    ("custom_data.value", -1, 2804009),
    ("custom_data.value", True, 2804009),
    ("custom_data.currency", "usd", 2804009),
    ("custom_data.currency", "US$", 2804009),
    ("custom_data.order_id", 7, 2804019),
    ("custom_data.num_items", 1.5, 2804019),
    ("custom_data.content_ids", "SKU-1", 2804019),
    ("custom_data.contents", [{"id": "SKU-1", "quantity": "1"}], 2804019),
    ("custom_data.contents", [{"id": "SKU-1", "quantity": 1, "item_price": None}], 2804019),
    ("data_processing_options", "LDU", 2804019),
    ("data_processing_options", ["LDU"], 2804019),
]


@pytest.mark.parametrize(("path", "value", "subcode"), BAD)
def test_one_bad_event_refuses_the_request(sandbox: Client, path: str, value: object, subcode: int) -> None:
    answer = sandbox.meta(meta_event(1), changed(meta_event(2), path, value))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["error_subcode"], error["is_transient"]) == (100, subcode, False)
    assert "data[1]" in error["error_user_msg"]
    assert error["fbtrace_id"]
    counts = sandbox.counts("meta")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


@pytest.mark.parametrize(
    "event",
    [
        changed(APP, "app_data", ABSENT),
        changed(APP, "app_data.advertiser_tracking_enabled", 2),
        changed(APP, "app_data.application_tracking_enabled", True),
        changed(APP, "app_data.extinfo", ["i2"]),
        changed(APP, "app_data.extinfo.0", "iOS"),
        changed(APP, "app_data.extinfo.4", ""),
        meta_event() | LDU | {"data_processing_options_state": 9},
        meta_event() | LDU | {"data_processing_options_country": "1"},
        meta_event() | LDU | {"data_processing_options_country": 0},
        changed(meta_event() | LDU | {"data_processing_options_state": 0}, "user_data.client_ip_address", ABSENT),
        STORE | {"event_time": seconds(timedelta(days=63))},
        ["not an object"],
    ],
)
def test_refuses_bad_app_store_and_privacy_fields(sandbox: Client, event: object) -> None:
    answer = sandbox.meta(event)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)


def test_batch_size(sandbox: Client) -> None:
    assert sandbox.meta(*[meta_event(number) for number in range(1000)]).json()["events_received"] == 1000
    assert sandbox.meta(*[meta_event(number) for number in range(1001)]).json()["error"]["code"] == 100
    assert sandbox.meta().json()["error"]["code"] == 100
    assert sandbox.counts("meta")["accepted"] == 1000


def test_authentication(sandbox: Client) -> None:
    assert sandbox.meta(meta_event(), token="").json()["error"]["code"] == 104
    wrong = sandbox.meta(meta_event(), token="other")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, 190)
    unknown = sandbox.meta(meta_event(), pixel="999").json()["error"]
    assert (unknown["code"], unknown["error_subcode"], unknown["type"]) == (100, 33, "GraphMethodException")
    query = {"access_token": accounts.META_ACCESS_TOKEN}
    assert sandbox.meta(meta_event(1), token="", query=query).status_code == 200
    assert sandbox.meta(meta_event(2), token="", access_token=accounts.META_ACCESS_TOKEN).status_code == 200


def test_app_secret_proof(sandbox: Client) -> None:
    right = proof_of(accounts.META_ACCESS_TOKEN)
    assert sandbox.meta(meta_event(), query={"appsecret_proof": right}).status_code == 200
    assert sandbox.meta(meta_event(), query={"appsecret_proof": "0" * 64}).json()["error"]["code"] == 100


def test_versions(sandbox: Client) -> None:
    assert sandbox.meta(meta_event(), version="v99.0").status_code == 404
    assert sandbox.meta(meta_event(), version="latest").status_code == 404
    old = sandbox.meta(meta_event(), version="v20.0")
    assert old.status_code == 200
    assert "X-Ad-Api-Version-Warning" in old.headers
    assert "X-Ad-Api-Version-Warning" not in sandbox.meta(meta_event(), version="v25.0").headers


def test_root_fields(sandbox: Client) -> None:
    assert sandbox.meta(meta_event(), partner_agent="x" * 23).json()["error"]["code"] == 100
    assert sandbox.meta(meta_event(), partner_agent="capi-pipeline").status_code == 200
    assert sandbox.meta(meta_event("test"), test_event_code="TEST12345").status_code == 200
    assert sandbox.counts("meta")["accepted"] == 2  # a test code keeps nothing out of the reports


def test_not_json(sandbox: Client) -> None:
    answer = sandbox.http.post(
        f"{sandbox.base}/meta/v26.0/{accounts.META_PIXEL_ID}/events",
        data=b"{",
        headers={"Authorization": f"Bearer {accounts.META_ACCESS_TOKEN}"},
    )
    assert answer.json()["error"]["code"] == 100


def test_a_copy_within_48_hours_is_dropped_and_counts_again_afterwards(sandbox: Client, clock: Clock) -> None:
    event = meta_event()
    assert sandbox.meta(event, event).json()["events_received"] == 2
    clock.forward(hours=47, minutes=59)
    sandbox.meta(event)
    assert sandbox.outcomes("meta") == ["first", "duplicate", "duplicate"]
    clock.forward(minutes=2)
    sandbox.meta(event)
    assert sandbox.outcomes("meta")[-1] == "again"
    clock.forward(hours=47)
    sandbox.meta(event)
    assert sandbox.outcomes("meta")[-1] == "duplicate"
    counts = sandbox.counts("meta")
    assert (counts["accepted"], counts["duplicates"], counts["double_counted"]) == (2, 3, 1)


def test_the_key_is_event_name_and_event_id(sandbox: Client) -> None:
    sandbox.meta(meta_event(1), meta_event(1) | {"event_name": "Lead"}, meta_event(2))
    assert sandbox.outcomes("meta") == ["first"] * 3


def test_without_event_id_every_copy_counts(sandbox: Client) -> None:
    event = changed(meta_event(), "event_id", ABSENT)
    sandbox.meta(event, event)
    assert sandbox.outcomes("meta") == ["first", "again"]
    assert sandbox.counts("meta")["double_counted"] == 1


def test_store_events_without_event_id_are_known_by_their_order(sandbox: Client) -> None:
    event = changed(STORE, "event_id", ABSENT)
    sandbox.meta(event, event, changed(event, "custom_data.order_id", "ORD-2"))
    assert sandbox.outcomes("meta") == ["first", "duplicate", "first"]


def test_app_installs_are_known_for_90_days(sandbox: Client, clock: Clock) -> None:
    sandbox.meta(APP)
    clock.forward(days=89)
    sandbox.meta(APP | {"event_time": int(clock.now.timestamp())})
    assert sandbox.outcomes("meta") == ["first", "duplicate"]
