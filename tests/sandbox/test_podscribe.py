"""Podscribe: help pages on the pixel and S2S, and the tags of other integrations."""

from __future__ import annotations

import pytest
import requests

from .conftest import Client
from .payloads import AGENT, EMAIL, EMPTY


def podscribe_query(number: object = 1) -> dict[str, str]:
    return {
        "action": "purchase",
        "advertiser": "acmeshoes",
        "user_id": "5f0c3f6e-2c77-4e0a-9d0b-1c2d3e4f5a6b",
        "timestamp": "2026-10-01T14:23:05.000Z",
        "device_id": "anon-9f2c",
        "ip": "203.0.113.7",
        "user_agent": AGENT,
        "url": "https://shop.example.com/thank-you",
        "order_value": "149.97",
        "order_number": f"ORD-{number}",
        "currency": "USD",
        "num_items_purchased": "3",
        "is_new_customer": "true",
        "hashed_email": EMAIL,
    }


def send(sandbox: Client, query: dict[str, str]) -> requests.Response:
    return sandbox.http.get(f"{sandbox.base}/podscribe/tag", params=query)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"action": "Démo Booked"},
        {"ip": "2001:db8::1"},
        {"order_value": "12000", "currency": "JPY"},
        {"is_new_customer": "false"},
    ],
)
def test_answers_with_an_image(sandbox: Client, change: dict[str, str]) -> None:
    answer = send(sandbox, podscribe_query() | change)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/gif")
    event = sandbox.get("events", platform="podscribe")[0]
    assert (event["event_id"], event["counted"]) == ("ORD-1", True)


def test_four_parameters_are_enough(sandbox: Client) -> None:
    query = podscribe_query()
    assert send(sandbox, {name: query[name] for name in ("action", "advertiser", "timestamp", "ip")}).status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, None) for field in ("action", "advertiser", "timestamp", "ip")),
        ("timestamp", "1790864585000"),
        ("timestamp", "2026-10-01T14:23:05Z"),
        ("ip", "localhost"),
        ("order_value", "149,97"),
        ("order_value", "-1"),
        ("currency", None),
        ("currency", "usd"),
        ("num_items_purchased", "3.0"),
        ("is_new_customer", "1"),
        ("hashed_email", "jane.doe@example.com"),
        ("hashed_email", EMPTY),
    ],
)
def test_refuses(sandbox: Client, field: str, value: str | None) -> None:
    query = {name: text for name, text in (podscribe_query() | {field: value}).items() if text is not None}
    assert send(sandbox, query).status_code == 400
    counts = sandbox.counts("podscribe")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_an_address_can_be_too_long(sandbox: Client) -> None:
    assert send(sandbox, podscribe_query() | {"url": "x" * 8200}).status_code == 414


def test_what_is_sent_twice_counts_twice(sandbox: Client) -> None:
    for number in (1, 1, 2):
        send(sandbox, podscribe_query(number))
    assert sandbox.outcomes("podscribe") == ["first", "again", "first"]
    assert sandbox.counts("podscribe")["double_counted"] == 1


def test_an_unknown_advertiser_is_swallowed(sandbox: Client) -> None:
    assert send(sandbox, podscribe_query() | {"advertiser": "other"}).status_code == 200
    assert sandbox.outcomes("podscribe") == ["unknown_advertiser"]
