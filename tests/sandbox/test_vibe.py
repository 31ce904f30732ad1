"""Vibe.co: help page on S2S conversions and the fields of Segment's destination."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.vibe import PIXEL_ID

from .conftest import Client, Clock
from .payloads import ABSENT, AGENT, changed, seconds


def vibe_event(number: object = 1) -> dict[str, Any]:
    return {
        "aid": PIXEL_ID,
        "a": "purchase",
        "eid": f"evt-{number}",
        "ts": seconds() * 1000,
        "ip": "203.0.113.7",
        "ua": AGENT,
        "url": "https://shop.example.com/thank-you",
        "gid": "1166987786.1684617844",
        "ed": '{"price_usd": 149.97, "purchase_id": "ORD-1"}',
    }


def send(sandbox: Client, event: object) -> requests.Response:
    return sandbox.http.post(f"{sandbox.base}/vibe/s2s-conversion/events", json=event)


def test_accepts_without_a_word(sandbox: Client) -> None:
    answer = send(sandbox, vibe_event())
    assert (answer.status_code, answer.content) == (200, b"")
    event = sandbox.get("events", platform="vibe")[0]
    assert (event["event_name"], event["event_id"], event["value"], event["currency"]) == (
        "purchase", "evt-1", 149.97, "USD",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("a", "call"),
        ("ts", seconds(timedelta(days=7)) * 1000),
        ("ed", ABSENT),
        ("ed", '{"anything": "is kept"}'),
        ("em", "jane.doe@example.com"),
        *((field, ABSENT) for field in ("ua", "url", "gid")),
    ],
)
def test_accepts(sandbox: Client, field: str, value: object) -> None:
    assert send(sandbox, changed(vibe_event(), field, value)).status_code == 200


BAD: list[tuple[str, object]] = [
    *((field, ABSENT) for field in ("aid", "a", "eid", "ts", "ip")),
    ("a", "Purchase"),
    ("a", "add_to_cart"),
    ("eid", 7),
    ("ts", seconds()),
    ("ts", str(seconds() * 1000)),
    ("ts", seconds(timedelta(days=7, seconds=1)) * 1000),
    ("ip", "2001:db8::1"),
    ("ip", "203.0.113"),
    ("ed", {"price_usd": 149.97}),
    ("ed", "price_usd=149.97"),
    ("ed", "[]"),
    ("ed", '{"price_usd": "149.97"}'),
    ("url", None),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_refuses(sandbox: Client, field: str, value: object) -> None:
    answer = send(sandbox, changed(vibe_event(), field, value))
    assert answer.status_code == 400
    assert answer.json()["error"].split()[0] == field
    counts = sandbox.counts("vibe")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_an_unknown_pixel(sandbox: Client) -> None:
    assert send(sandbox, vibe_event() | {"aid": "Other"}).status_code == 404


def test_a_repeated_id_is_ignored(sandbox: Client, clock: Clock) -> None:
    send(sandbox, vibe_event())
    send(sandbox, vibe_event() | {"a": "lead"})
    clock.forward(hours=48)
    send(sandbox, vibe_event())
    assert sandbox.outcomes("vibe") == ["first", "duplicate", "again"]
