"""Roku: help page on the Conversions API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from .conftest import Client, Clock
from .payloads import ABSENT, EMAIL, EMPTY, PHONE, changed, seconds


def conversion(number: object = 1) -> dict[str, Any]:
    return {
        "event_name": "PURCHASE", "event_type": "conversion", "event_time": seconds(), "event_id": f"evt-{number}",
        "event_source": "website", "event_source_url": "https://shop.example.com/thanks", "opt_out": "false",
        "user_data": {"is_hashed": True, "em": EMAIL, "ph": PHONE, "ct": "San Francisco", "client_ip_address": "203.0.113.7"},
        "custom_data": {"value": 149.97, "currency": "USD", "order_id": f"ORD-{number}", "content_ids": ["SKU-1"],
                        "content_type": "product", "num_items": 1, "purchase_type": "repeat_purchase"},
    }  # fmt: skip


def send(sandbox: Client, *events: object, key: str = "sandbox-roku-key", group: str = "EG4f2c91d07a",
         path: str = "events") -> requests.Response:  # fmt: skip
    return sandbox.http.post(
        f"{sandbox.base}/roku/v1/{path}", json={"event_group_id": group, "events": list(events)},
        headers={"Authorization": f"Bearer {key}"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event_id", "evt-1"),
        ("event_source", "system-generated"),
        ("event_source", "ctv_app"),
        ("event_time", seconds(timedelta(minutes=-59))),
        ("opt_out", "true"),
        ("user_data", {"is_hashed": True, "aRI": "R-1"}),
        ("custom_data", ABSENT),
        ("custom_data.value", 12000),
    ],
)
def test_accepts(sandbox: Client, path: str, value: object) -> None:
    answer = send(sandbox, changed(conversion(), path, value))
    assert (answer.status_code, answer.json()) == (200, {"code": 200, "events_received": 1})
    assert sandbox.counts("roku")["accepted"] == 1


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        ("event_name", "purchase", "event_name"),
        ("event_type", ABSENT, "event_type"),
        ("event_time", seconds() * 1000, "event_time"),
        ("event_time", seconds(timedelta(minutes=-61)), "event_time"),
        ("event_source", "app", "event_source"),
        ("event_source", "system_generated", "event_source"),
        ("event_id", 7, "event_id"),
        ("opt_out", True, "opt_out"),
        ("user_data", ABSENT, "user_data"),
        ("user_data.is_hashed", False, "is_hashed"),
        ("user_data.em", "jane.doe@example.com", "user_data.em"),
        ("user_data.em", [EMAIL], "user_data.em"),
        ("user_data.em", EMPTY, "user_data.em"),
        ("user_data.ct", EMAIL, "user_data.ct"),
        ("user_data.client_ip_address", "nowhere", "client_ip_address"),
        ("user_data.email", EMAIL, "user_data.email"),
        ("user_data", {"is_hashed": True, "fn": EMAIL, "external_id": EMAIL, "aFC": "c"}, "user_data needs"),
        ("custom_data.value", "149.97", "value"),
        ("custom_data.currency", ABSENT, "value"),
        ("custom_data.currency", "usd", "currency"),
        ("custom_data.num_items", "1", "num_items"),
        ("custom_data.content_ids", "SKU-1", "content_ids"),
        ("custom_data.content_type", "thing", "content_type"),
        ("custom_data.purchase_type", "new", "purchase_type"),
    ],
)
def test_a_bad_event_is_listed_and_the_others_are_taken(sandbox: Client, path: str, value: object, word: str) -> None:
    answer = send(sandbox, conversion(1), changed(conversion(2), path, value))
    assert answer.status_code == 210
    (failed,) = answer.json()["failed_events"]
    assert failed["event"].get("event_id") in ("evt-2", 7)
    assert word in failed["error"]
    counts = sandbox.counts("roku")
    assert (counts["accepted"], counts["rejected"]) == (1, 1)


def test_envelope_and_authentication(sandbox: Client) -> None:
    assert send(sandbox, conversion(), key="other").status_code == 401
    assert send(sandbox, conversion(), group="eg4f2c91d07a").status_code == 403
    assert send(sandbox).status_code == send(sandbox, "event").status_code == 400
    assert send(sandbox, *[conversion(number) for number in range(1001)]).status_code == 400
    assert send(sandbox, *[conversion(number) for number in range(1000)]).status_code == 200
    large = changed(conversion(), "event_source_url", "https://shop.example.com/?" + "x" * 1_000_000)
    assert send(sandbox, large).status_code == 413


def test_the_test_endpoint_stores_nothing(sandbox: Client) -> None:
    assert send(sandbox, conversion(), path="test_events").status_code == 200
    assert send(sandbox, {}, path="test_events").status_code == 210
    assert sandbox.outcomes("roku") == []


def test_a_copy_is_dropped_for_ten_minutes(sandbox: Client, clock: Clock) -> None:
    for wait in (0, 9, 11):
        clock.forward(minutes=wait)
        send(sandbox, conversion())
    assert sandbox.outcomes("roku") == ["first", "duplicate", "again"]
    assert sandbox.counts("roku")["double_counted"] == 1
