"""Snapchat: developer pages on the parameters, deduplication and the answers of the Conversions API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.snapchat import ACCESS_TOKEN, PIXEL_ID, SNAP_APP_ID

from .conftest import Client, Clock
from .payloads import ABSENT, AGENT, EMAIL, EMPTY, changed, seconds


def good(number: object = 1) -> dict[str, Any]:
    return {
        "event_name": "PURCHASE",
        "action_source": "WEB",
        "event_time": seconds(),
        "event_id": f"evt-{number}",
        "event_source_url": "https://shop.example.com/thank-you",
        "user_data": {
            "em": [EMAIL],
            "client_ip_address": "203.0.113.7",
            "client_user_agent": AGENT,
            "sc_click_id": "c",
        },
        "custom_data": {
            "value": 149.97,
            "currency": "USD",
            "order_id": f"ORD-{number}",
            "content_ids": ["SKU-1"],
            "contents": [{"id": "SKU-1", "quantity": "1", "item_price": "149.97"}],
            "num_items": 1,
        },
    }


APP = {
    **good(),
    "event_name": "APP_OPEN",
    "action_source": "MOBILE_APP",
    "app_data": {"app_id": "1", "advertiser_tracking_enabled": 1, "extinfo": ["i2", *[""] * 15]},
}


def send(
    sandbox: Client, *events: object, token: str = ACCESS_TOKEN, asset: str = PIXEL_ID, path: str = ""
) -> requests.Response:
    url = f"{sandbox.base}/snapchat/v3/{asset}/events{path}"
    return sandbox.http.post(url, json={"data": list(events)}, params={"access_token": token} if token else {})


def test_accepts_a_batch(sandbox: Client) -> None:
    answer = send(sandbox, good(1), good(2))
    assert (answer.status_code, answer.json()["status"]) == (200, "VALID")
    assert sandbox.counts("snapchat")["accepted"] == 2


@pytest.mark.parametrize(
    ("event", "asset"),
    [
        (APP, SNAP_APP_ID),
        (changed(APP, "user_data", {"madid": "ab-1"}), SNAP_APP_ID),
        (good() | {"action_source": "OFFLINE", "event_time": seconds(timedelta(days=27))}, PIXEL_ID),
        (good() | {"event_name": "CUSTOM_EVENT_5"}, PIXEL_ID),
        (good() | {"data_processing_options": ["LMU"]}, PIXEL_ID),
        (changed(good(), "user_data", {"ph": [EMAIL]}), PIXEL_ID),
        (changed(good(), "custom_data.num_items", "1"), PIXEL_ID),
    ],
)
def test_accepts_good_events(sandbox: Client, event: dict[str, Any], asset: str) -> None:
    assert send(sandbox, event, asset=asset).json()["status"] == "VALID"


BAD: list[tuple[str, object, str]] = [
    ("event_name", "Purchase", "EVENT_NAME"),
    ("event_name", "CUSTOM_EVENT_6", "EVENT_NAME"),
    ("action_source", "website", "ACTION_SOURCE"),
    ("action_source", "MOBILE_APP", "ACTION_SOURCE"),
    ("event_time", str(seconds()), "EVENT_TIME"),
    ("event_time", seconds() * 1000, "EVENT_TIME"),
    ("event_time", seconds(timedelta(seconds=-1)), "EVENT_TIME"),
    ("event_time", seconds(timedelta(days=7, seconds=1)), "EVENT_TIME"),
    ("event_id", 7, "EVENT_ID"),
    ("event_source_url", ABSENT, "EVENT_SOURCE_URL"),
    ("data_processing_options", ["LDU"], "DATA_PROCESSING_OPTIONS"),
    ("user_data", ABSENT, "EVENT"),
    ("user_data.em", EMAIL, "USER_DATA"),
    ("user_data.em", [EMPTY], "USER_DATA"),
    ("user_data.em", ["jane.doe@example.com"], "USER_DATA"),
    ("user_data.sc_click_id", EMAIL, "USER_DATA"),
    ("user_data.client_ip_address", "shop", "USER_DATA"),
    ("user_data", {"external_id": [EMAIL], "client_ip_address": "203.0.113.7"}, "USER_DATA"),
    ("user_data", {"madid": "ab-1"}, "USER_DATA"),
    ("custom_data", ABSENT, "VALUE"),
    ("custom_data.value", "149.97", "VALUE"),
    ("custom_data.currency", ABSENT, "VALUE"),
    ("custom_data.currency", "XPF", "CURRENCY"),
    ("custom_data.contents.0.quantity", 1, "CONTENTS"),
    ("custom_data.contents.0.item_price", 149.97, "CONTENTS"),
    ("custom_data.content_ids", "SKU-1", "CONTENTS"),
    ("custom_data.num_items", 1.5, "CUSTOM_DATA"),
]


@pytest.mark.parametrize(("path", "value", "code"), BAD)
def test_a_bad_event_is_marked_and_nothing_is_stored(sandbox: Client, path: str, value: object, code: str) -> None:
    answer = send(sandbox, good(1), changed(good(2), path, value))
    assert (answer.status_code, answer.json()["status"]) == (400, "INVALID")
    (marked,) = answer.json()["event_logs"]
    assert (marked["event"], marked["status"], marked["errors"]["codes"]) == (2, "INVALID", [code])
    counts = sandbox.counts("snapchat")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("app_data", ABSENT),
        ("app_data.extinfo", ["i2"]),
        ("app_data.extinfo.0", "w"),
        ("data_processing_options", ["LMU"]),
    ],
)
def test_app_events(sandbox: Client, path: str, value: object) -> None:
    assert send(sandbox, changed(APP, path, value), asset=SNAP_APP_ID).json()["status"] == "INVALID"


def test_envelope(sandbox: Client) -> None:
    assert send(sandbox).status_code == 400
    assert send(sandbox, *[good(number) for number in range(2001)]).status_code == 400
    assert send(sandbox, *[good(number) for number in range(2000)]).status_code == 200


@pytest.mark.parametrize(
    ("given", "status"), [({"token": ""}, 401), ({"token": "other"}, 401), ({"asset": "other"}, 403)]
)
def test_authentication(sandbox: Client, given: dict[str, str], status: int) -> None:
    answer = send(sandbox, good(), **given)
    assert (answer.status_code, answer.json()["reason"]) == (status, "Unauthorized resources")
    url = f"{sandbox.base}/snapchat/v3/{PIXEL_ID}/events/validate/stats"
    assert sandbox.http.get(url, params={"access_token": ACCESS_TOKEN}).status_code == 200
    assert sandbox.http.get(url).status_code == 401


def test_validation_and_test_events_are_not_counted(sandbox: Client) -> None:
    assert send(sandbox, good(), path="/validate").json()["test_event"] is True
    assert send(sandbox, good() | {"test_event_code": "TEST1"}).json()["status"] == "VALID"
    assert sandbox.outcomes("snapchat") == ["test"]


def test_a_copy_is_dropped_for_48_hours_and_an_order_for_30_days(sandbox: Client, clock: Clock) -> None:
    cart = good() | {"event_name": "ADD_CART"}
    send(sandbox, cart, cart, good(), good() | {"event_id": "another"})
    clock.forward(hours=48)
    send(sandbox, cart, good())
    assert sandbox.outcomes("snapchat") == ["first", "duplicate", "first", "duplicate", "again", "duplicate"]
