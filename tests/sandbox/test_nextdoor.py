"""Nextdoor: reference pages on tracking, user matching and restricted data usage."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.nextdoor import ACCESS_TOKEN, DATA_SOURCE_ID

from .conftest import Client, Clock
from .payloads import ABSENT, AGENT, EMAIL, EMPTY, NAME, PHONE, changed, seconds

APP = {"app_id": "com.acme", "app_version": "1.0", "platform": "iOS", "app_tracking_enabled": True}


def nextdoor_event(number: object = 1) -> dict[str, Any]:
    return {
        "event_name": "purchase",
        "event_id": f"evt-{number}",
        "event_time_epoch": seconds(),
        "action_source": "website",
        "action_source_url": "https://shop.example.com/thank-you",
        "data_source_id": DATA_SOURCE_ID,
        "delivery_optimization": True,
        "customer": {
            "email": EMAIL, "phone_number": PHONE, "first_name": NAME, "external_id": "cust-42", "click_id": "clk-1",
            "client_ip_address": "203.0.113.7", "client_user_agent": AGENT,
        },
        "custom": {
            "order_value": "USD149.97", "order_id": "ORD-1",
            "product_context": [{"id": "SKU-1", "content_name": "Shoe", "quantity": 1, "item_price": 149.97}],
        },
    }  # fmt: skip


def send(sandbox: Client, event: object, token: str = ACCESS_TOKEN) -> requests.Response:
    return sandbox.http.post(
        f"{sandbox.base}/nextdoor/v2/api/conversions/track",
        json=event,
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event_name", "custom_conversion_10"),
        ("action_source", "other"),
        ("custom.order_value", "JPY12000"),
        ("customer.client_ip_address", "2001:db8::1"),
        ("customer", {"click_id": "c"}),
        ("restricted_data_usage", 1),
        ("restricted_data_usage_state", 1015),
        ("delivery_optimization", ABSENT),
        ("anything", "is ignored"),
    ],
)
def test_accepts(sandbox: Client, path: str, value: object) -> None:
    assert send(sandbox, changed(nextdoor_event(), path, value)).status_code == 200
    assert sandbox.counts("nextdoor")["accepted"] == 1


def test_an_event_of_an_app_or_a_store(sandbox: Client) -> None:
    app = changed(changed(nextdoor_event(1), "action_source", "app"), "app", APP)
    store = changed(nextdoor_event(2), "action_source", "physical_store")
    assert [send(sandbox, event).status_code for event in (app, store)] == [200, 200]
    for broken in (
        changed(app, "app.app_version", ABSENT),
        changed(app, "app", ABSENT),
        changed(app, "app.platform", "web"),
    ):
        assert "app" in send(sandbox, broken).json()["message"]
    assert "order_id" in send(sandbox, changed(store, "custom.order_id", ABSENT)).json()["message"]


BAD: list[tuple[str, object]] = [
    ("event_name", "Purchase"),
    ("event_name", "custom_conversion_11"),
    ("event_id", ABSENT),
    ("event_id", 7),
    ("event_time_epoch", ABSENT),
    ("event_time_epoch", seconds() * 1000),
    ("event_time_epoch", str(seconds())),
    ("action_source", "web"),
    ("action_source_url", ABSENT),
    ("action_source_url", "shop.example.com"),
    ("data_source_id", ABSENT),
    ("customer", ABSENT),
    ("customer", {"client_ip_address": "203.0.113.7", "first_name": NAME}),
    ("customer.email", "jane@example.com"),
    ("customer.email", [EMAIL]),
    ("customer.phone_number", EMPTY),
    ("customer.external_id", EMAIL),
    ("customer.client_ip_address", "localhost"),
    ("custom.order_value", ABSENT),
    ("custom.order_value", 149.97),
    ("custom.order_value", "149.97USD"),
    ("custom.order_value", "USD1,149.97"),
    ("custom.order_value", "USD149.975"),
    ("custom.delivery_category", "drone"),
    ("custom.product_context", "[]"),
    ("custom.product_context.0.quantity", "1"),
    ("delivery_optimization", "true"),
    ("restricted_data_usage", True),
    ("restricted_data_usage_country", 2),
    ("test_event", True),
]


@pytest.mark.parametrize(("path", "value"), BAD)
def test_refuses_and_names_the_field(sandbox: Client, path: str, value: object) -> None:
    answer = send(sandbox, changed(nextdoor_event(), path, value))
    assert answer.status_code == 400
    assert path.split(".")[0] in answer.json()["message"]
    counts = sandbox.counts("nextdoor")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_authentication(sandbox: Client) -> None:
    for token in ("", "other"):
        assert send(sandbox, nextdoor_event(), token).status_code == 401
    assert send(sandbox, changed(nextdoor_event(), "data_source_id", "other")).status_code == 404
    me = f"{sandbox.base}/nextdoor/v2/api/me"
    assert sandbox.http.get(me, headers={"Authorization": f"Bearer {ACCESS_TOKEN}"}).status_code == 200
    assert sandbox.http.get(me).status_code == 401


def test_test_events_are_not_counted(sandbox: Client) -> None:
    send(sandbox, changed(nextdoor_event(), "test_event", "true"))
    send(sandbox, nextdoor_event())
    assert sandbox.outcomes("nextdoor") == ["test", "first"]


def test_a_copy_is_dropped_for_two_days(sandbox: Client, clock: Clock) -> None:
    for _ in range(2):
        send(sandbox, nextdoor_event())
    send(sandbox, changed(nextdoor_event(), "event_name", "lead"))
    clock.forward(hours=48)
    send(sandbox, nextdoor_event())
    assert sandbox.outcomes("nextdoor") == ["first", "duplicate", "first", "again"]
