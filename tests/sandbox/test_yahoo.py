"""LINE Yahoo Conversion API: the official reference and specifications."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.yahoo import CHANNEL_ID, TAG_ACCESS_TOKEN, TAG_ID

from .conftest import Client, Clock
from .payloads import ABSENT, AGENT, EMAIL, PHONE, changed, seconds


def yahoo_event(number: object = 1) -> dict[str, Any]:
    return {
        "event": {"event_type": "purchase", "event_time": seconds(), "action_source": "web",
                  "transaction_id": f"ORD-{number}", "event_snippet_id": "snip-9001"},
        "user": {"hashed_email": EMAIL, "hashed_phone_number": PHONE, "ly_c": "1790755200.click"},
        "web": {"url": "https://shop.example.com/thank-you", "user_agent": AGENT, "ip": "203.0.113.7"},
        "custom": {"value": 12000, "currency": "JPY", "items": [{"item_id": "SKU-1", "price": 12000, "quantity": 1}]},
    }  # fmt: skip


def send(sandbox: Client, *events: object, token: str = TAG_ACCESS_TOKEN, **root: object) -> requests.Response:
    body = {"tag_id": TAG_ID, "data": list(events), **root}
    headers = {"X-TagAccessToken": token} if token else {}
    return sandbox.http.post(f"{sandbox.base}/yahoo/v1/", json=body, headers=headers)


def test_accepts_a_batch_without_a_word(sandbox: Client) -> None:
    answer = send(sandbox, yahoo_event(1), yahoo_event(2))
    assert (answer.status_code, answer.content) == (202, b"")
    assert sandbox.counts("yahoo")["accepted"] == 2


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event.transaction_id", ABSENT),
        ("event.event_snippet_id", ABSENT),
        ("web", ABSENT),
        ("custom", ABSENT),
        ("custom.currency", "USD"),
        ("user", {"ly_r": "r"}),
        ("user", {"ifa": "AB-1"}),
        ("web.ip", "2001:db8::1"),
    ],
)
def test_accepts_good_events(sandbox: Client, path: str, value: object) -> None:
    assert send(sandbox, changed(yahoo_event(), path, value)).status_code == 202
    assert sandbox.counts("yahoo")["accepted"] == 1


BAD: list[tuple[str, object]] = [
    ("event.event_type", "Purchase"),
    ("event.event_type", ABSENT),
    ("event.event_time", str(seconds())),
    ("event.event_time", seconds() * 1000),
    ("event.action_source", "app"),
    ("event.transaction_id", "x" * 65),
    ("event.transaction_id", "a b"),
    ("event.transaction_id", ""),
    ("event.event_snippet_id", ""),
    ("event.event_type", "page_view"),  # with a snippet and items
    ("event.test_flag", "true"),
    ("user", ABSENT),
    ("user", {}),
    ("user.hashed_email", "jane.doe@example.com"),
    ("user.hashed_phone_number", [PHONE]),
    ("user.ly_c", "click"),
    ("user.ifa", "aB-1"),
    ("user.line_uid", "U1"),  # without channel_id
    ("web.ip", "shop"),
    ("web.url", ""),
    ("custom.value", "12000"),
    ("custom.currency", ABSENT),
    ("custom.currency", "EUR"),
    ("custom.items", [{"item_id": str(number)} for number in range(11)]),
    ("custom.items.0.item_id", ABSENT),
    ("custom.items.0.quantity", 1.5),
]


@pytest.mark.parametrize(("path", "value"), BAD)
def test_one_bad_event_refuses_the_request(sandbox: Client, path: str, value: object) -> None:
    answer = send(sandbox, yahoo_event(1), changed(yahoo_event(2), path, value))
    assert answer.status_code == 400
    assert answer.json()["Error"]["Message"].startswith("data[1].")
    counts = sandbox.counts("yahoo")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_a_line_user_belongs_to_a_channel(sandbox: Client) -> None:
    event = changed(yahoo_event(), "user.line_uid", "U1")
    assert send(sandbox, event, channel_id=CHANNEL_ID).status_code == 202
    assert send(sandbox, event, channel_id=str(CHANNEL_ID)).status_code == 400


@pytest.mark.parametrize("age", [timedelta(days=90, seconds=1), timedelta(seconds=-1)])
def test_a_time_out_of_range_is_dropped_without_a_word(sandbox: Client, age: timedelta) -> None:
    assert send(sandbox, changed(yahoo_event(), "event.event_time", seconds(age))).status_code == 202
    assert sandbox.outcomes("yahoo") == ["dropped"]
    assert sandbox.counts("yahoo")["accepted"] == 0


def test_a_test_does_not_count(sandbox: Client) -> None:
    assert send(sandbox, changed(yahoo_event(), "event.test_flag", True)).status_code == 202
    assert sandbox.outcomes("yahoo") == ["test"]


def test_envelope(sandbox: Client) -> None:
    assert send(sandbox, yahoo_event(), tag_id="TAG7654321").status_code == 403
    assert send(sandbox).status_code == 400
    assert send(sandbox, *[yahoo_event()] * 1001).status_code == 400
    address, headers = f"{sandbox.base}/yahoo/v1/", {"X-TagAccessToken": TAG_ACCESS_TOKEN}
    assert sandbox.http.post(address, data=b"{", headers=headers).status_code == 415
    assert (
        sandbox.http.post(address, data=b"{", headers={**headers, "Content-Type": "application/json"}).status_code
        == 400
    )
    assert sandbox.http.post(address.rstrip("/"), json={}, headers=headers).status_code == 404


@pytest.mark.parametrize("token", ["", "another"])
def test_the_token_is_that_of_the_tag(sandbox: Client, token: str) -> None:
    answer = send(sandbox, yahoo_event(), token=token)
    assert (answer.status_code, list(answer.json())) == (401, ["Error"])


def test_a_transaction_counts_once_in_seven_days_whatever_its_type(sandbox: Client, clock: Clock) -> None:
    send(sandbox, yahoo_event(1))
    send(sandbox, changed(yahoo_event(1), "event.event_type", "sign_up"), yahoo_event(2))
    clock.forward(days=7)
    send(sandbox, yahoo_event(1))
    assert sandbox.outcomes("yahoo") == ["first", "duplicate", "first", "again"]


def test_without_a_transaction_the_second_decides(sandbox: Client) -> None:
    event = changed(yahoo_event(), "event.transaction_id", ABSENT)
    send(
        sandbox, event, changed(event, "event.event_type", "sign_up"), changed(event, "event.event_time", seconds() - 1)
    )
    assert sandbox.outcomes("yahoo") == ["first", "duplicate", "first"]
