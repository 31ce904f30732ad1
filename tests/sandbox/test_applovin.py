"""Axon by AppLovin: support pages on the Conversion API, its events and objects, and deduplication."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from .conftest import Client, Clock
from .payloads import ABSENT, EMAIL, EMPTY, PHONE, changed, seconds

KEY = "11111111-2222-4333-8444-555555555555"


def purchase(number: object = 1) -> dict[str, Any]:
    return {
        "name": "purchase", "event_time": seconds() * 1000, "event_source_url": "https://shop.example.com/thanks",
        "dedupe_id": f"evt-{number}",
        "user_data": {"client_ip_address": "203.0.113.7", "client_user_agent": "Mozilla/5.0", "esi": "web", "email": EMAIL,
                      "phone": PHONE, "user_id": "cust-42", "country_code": "US", "os": "ios"},
        "data": {"currency": "USD", "value": 149.97, "transaction_id": f"ORD-{number}", "tax": 0, "shipping": 5,
                 "items": [{"item_id": "SKU-1", "item_name": "Shoe", "price": 149.97, "quantity": 1}]},
    }  # fmt: skip


def send(sandbox: Client, *events: object, key: str = "sandbox-axon-key", pixel: str = KEY) -> requests.Response:
    return sandbox.http.post(
        f"{sandbox.base}/applovin/v1/event", json={"events": list(events)}, params={"pixel_id": pixel},
        headers={"Authorization": key},
    )  # fmt: skip


def other(name: str, data: object) -> dict[str, Any]:
    return purchase() | {"name": name, "data": data}


@pytest.mark.parametrize(
    "event",
    [
        purchase(),
        other("page_view", None),
        other("view_item", {"items": [{"item_id": "a"}]}),
        other("add_to_cart", {"items": [{"item_id": "a", "quantity": 2}]}),
        other("add_payment_info", {}),
        other("generate_lead", {"currency": "USD", "value": 0}),
        other("search", {"search_term": "shoe", "results": [{"item_id": "a"}]}),
        changed(other("app_open", None), "user_data.esi", "app"),
    ],
)
def test_accepts(sandbox: Client, event: dict[str, Any]) -> None:
    assert send(sandbox, event).status_code == 200
    assert sandbox.counts("applovin")["accepted"] == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "Purchase"),
        ("name", "add_to_wishlist"),
        ("event_time", seconds()),
        ("event_source_url", ABSENT),
        ("event_source_url", "/thanks"),
        ("dedupe_id", 7),
        ("user_data", ABSENT),
        ("user_data.client_ip_address", ABSENT),
        ("user_data.client_ip_address", "nowhere"),
        ("user_data.client_user_agent", ""),
        ("user_data.esi", "server"),
        ("user_data.email", "jane.doe@example.com"),
        ("user_data.phone", EMPTY),
        ("user_data.user_id", "12345"),
        ("user_data.user_id", EMAIL),
        ("user_data.country_code", "us"),
        ("user_data.os", "iOS"),
        ("user_data.first_name", "Jane"),
        ("user_data", {"client_ip_address": "203.0.113.7", "client_user_agent": "UA", "esi": "web"}),
        ("data", ABSENT),
        ("data", None),
        ("data.currency", "usd"),
        ("data.value", "149.97"),
        ("data.tax", ABSENT),
        ("data.shipping", ABSENT),
        ("data.transaction_id", ABSENT),
        ("data.items", []),
        ("data.items.0.item_id", 7),
        ("data.items.0.quantity", ABSENT),
        ("data.items.0.price", "149.97"),
    ],
)
def test_one_invalid_event_refuses_the_request(sandbox: Client, path: str, value: object) -> None:
    assert send(sandbox, purchase(1), changed(purchase(2), path, value)).status_code == 400
    counts = sandbox.counts("applovin")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_an_opened_app_is_no_web_event_and_a_lead_has_a_value(sandbox: Client) -> None:
    assert send(sandbox, other("app_open", None)).status_code == 400
    assert send(sandbox, other("generate_lead", {})).status_code == 400


def test_envelope_and_authentication(sandbox: Client) -> None:
    assert send(sandbox, purchase(), key="other").status_code == 401
    assert send(sandbox, purchase(), key="Bearer sandbox-axon-key").status_code == 401
    assert send(sandbox, purchase(), pixel="other").status_code == 401
    assert send(sandbox).status_code == send(sandbox, "event").status_code == 400
    assert send(sandbox, *[purchase(number) for number in range(101)]).status_code == 400
    assert send(sandbox, *[purchase(number) for number in range(100)]).status_code == 200


def test_a_copy_is_merged_then_dropped(sandbox: Client, clock: Clock) -> None:
    for wait in (0, 4, 2):
        clock.forward(minutes=wait)
        send(sandbox, purchase())
    assert sandbox.outcomes("applovin") == ["first", "merged", "duplicate"]
    assert sandbox.counts("applovin")["accepted"] == 1
