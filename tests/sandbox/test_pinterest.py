"""Pinterest: the OpenAPI of events/create, and the pages on deduplication and test requests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.pinterest import AD_ACCOUNT_ID, CONVERSION_TOKEN, FOREIGN_AD_ACCOUNT_ID

from .conftest import Client, Clock
from .payloads import ABSENT, AGENT, EMAIL, EMPTY, changed, seconds


def good(number: object = 1) -> dict[str, Any]:
    return {
        "event_name": "checkout",
        "action_source": "web",
        "event_time": seconds(),
        "event_id": f"evt-{number}",
        "event_source_url": "https://shop.example.com/thank-you",
        "user_data": {"em": [EMAIL], "client_ip_address": "203.0.113.7", "client_user_agent": AGENT, "click_id": "c"},
        "custom_data": {
            "value": "149.97",
            "currency": "USD",
            "order_id": f"ORD-{number}",
            "content_ids": ["SKU-1"],
            "contents": [{"id": "SKU-1", "quantity": 1, "item_price": "149.97"}],
            "num_items": 1,
        },
    }


def send(
    sandbox: Client, *events: object, token: str = CONVERSION_TOKEN, account: str = AD_ACCOUNT_ID, test: bool = False,
    **root: object,
) -> requests.Response:  # fmt: skip
    return sandbox.http.post(
        f"{sandbox.base}/pinterest/v5/ad_accounts/{account}/events",
        json={"data": list(events), **root},
        headers={"Authorization": f"Bearer {token}"} if token else {},
        params={"test": "true"} if test else None,
    )


@pytest.mark.parametrize(
    "event",
    [
        good(),
        good() | {"action_source": "offline", "event_time": seconds(timedelta(days=80))},
        good() | {"action_source": "app_ios", "app_info": {"app_id": "1"}, "device_info": {"os_family": "ios"}},
        good() | {"event_name": "demo-booked_1", "opt_out": True, "language": "en", "partner_name": "ss-acme"},
        changed(good(), "user_data", {"hashed_maids": [EMAIL]}),
        changed(good(), "user_data", {"client_ip_address": "2001:db8::1", "client_user_agent": AGENT}),
        changed(good(), "custom_data.opt_out_type", "LDP"),
        changed(good(), "custom_data", ABSENT),
    ],
)
def test_accepts_good_events(sandbox: Client, event: dict[str, Any]) -> None:
    answer = send(sandbox, event)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-pinterest-rid"]
    row = {"status": "processed", "error_message": "", "warning_message": ""}
    assert answer.json() == {"num_events_received": 1, "num_events_processed": 1, "events": [row]}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event_name", ABSENT), ("event_id", ABSENT), ("event_id", 7), ("user_data", ABSENT), ("action_source", "app"),
        ("event_time", str(seconds())), ("event_time", 1.5), ("opt_out", "true"), ("language", "en-US"), ("extra", 1),
        ("user_data.em", EMAIL), ("user_data.em", []), ("user_data.date_of_birth", [EMAIL]), ("custom_data.value", 149.97),
        ("custom_data.value", "1e3"), ("custom_data.currency", "usd"), ("custom_data.num_items", "1"), ("custom_data.tax", "1"),
        ("custom_data.contents.0.item_price", 149.97), ("custom_data.contents.0.quantity", "1"),
        ("custom_data.contents.0.variant", "blue"), ("app_info.os", "ios"), ("device_info.os_family", "symbian"),
    ],
)  # fmt: skip
def test_a_broken_schema_fails_whole(sandbox: Client, path: str, value: object) -> None:
    answer = send(sandbox, good(1), changed(good(2), path, value))
    assert (answer.status_code, answer.json()["code"]) == (400, 4196)
    assert answer.json()["message"].startswith("data[1]: ")
    assert sandbox.counts("pinterest")["accepted"] == 0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event_name", "Demo Booked"), ("event_name", "x" * 101), ("event_id", ""), ("event_time", seconds() * 1000),
        ("event_time", seconds(timedelta(seconds=-1))), ("user_data.em", ["jane.doe@example.com"]), ("user_data.em", [EMPTY]),
        ("user_data.client_ip_address", "shop"), ("user_data", {"ph": [EMAIL], "external_id": [EMAIL]}),
        ("user_data", {"client_ip_address": "203.0.113.7"}),
    ],
)  # fmt: skip
def test_a_bad_event_fails_alone(sandbox: Client, path: str, value: object) -> None:
    answer = send(sandbox, good(1), changed(good(2), path, value), good(3))
    assert answer.status_code == 422
    assert answer.json()["message"] == "Not all events were successfully processed."
    details = answer.json()["details"]
    assert [row["status"] for row in details["events"]] == ["processed", "failed", "processed"]
    assert details["num_events_processed"] == 2
    assert sandbox.counts("pinterest")["accepted"] == 2


def test_envelope(sandbox: Client) -> None:
    assert send(sandbox).status_code == 400
    assert send(sandbox, good(), partner="x").status_code == 400
    assert send(sandbox, *[good(number) for number in range(1001)]).status_code == 400
    assert send(sandbox, *[good(number) for number in range(1000)]).status_code == 200


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"token": ""}, 401, 2),
        ({"token": "other"}, 401, 2),
        ({"account": FOREIGN_AD_ACCOUNT_ID}, 403, 29),
        ({"account": "1"}, 404, 50),
    ],
)
def test_authentication(sandbox: Client, given: dict[str, str], status: int, code: int) -> None:
    answer = send(sandbox, good(), **given)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_test_records_nothing_and_looks_at_20_events(sandbox: Client) -> None:
    body = send(sandbox, *[good(number) for number in range(21)], test=True).json()
    assert (body["num_events_received"], body["num_events_processed"], len(body["events"])) == (21, 20, 20)
    assert sandbox.outcomes("pinterest") == []


def test_a_copy_is_dropped_for_48_hours_and_offline_never(sandbox: Client, clock: Clock) -> None:
    store = good(2) | {"action_source": "offline"}
    send(sandbox, good(), good(), good() | {"event_name": "lead"}, store, store)
    clock.forward(hours=48)
    send(sandbox, good())
    assert sandbox.outcomes("pinterest") == ["first", "duplicate", "first", "first", "again", "again"]
