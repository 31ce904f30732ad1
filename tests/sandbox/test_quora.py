"""Quora: OpenAPI page of the Conversion API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms import quora

from .conftest import Client, Clock
from .payloads import ABSENT, AGENT, EMAIL, EMPTY, changed, seconds


def event(number: object = 1, age: timedelta = timedelta(hours=1)) -> dict[str, Any]:
    return {
        "user": {"email": EMAIL, "ip": "203.0.113.7"},
        "device": {"user_agent": AGENT, "language": "en-US", "referer": "https://shop.example.com/cart"},
        "conversion": {
            "event_name": "Purchase",
            "timestamp": seconds(age) * 1_000_000,
            "event_id": f"evt-{number}",
            "click_id": "clk-qclid-0001",
            "value": 149.97,
        },
    }


def send(
    sandbox: Client, *events: object, token: str = quora.API_TOKEN, account: object = quora.ACCOUNT_ID, **root: object
) -> requests.Response:
    return sandbox.http.post(
        f"{sandbox.base}/quora/ads/v0/conversions",
        json={"account_id": account, "data": list(events), **root},
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


def test_accepts_a_batch(sandbox: Client) -> None:
    answer = send(sandbox, event(1), event(2))
    assert answer.status_code == 200
    assert answer.json() == {
        "events_received": 2, "events_errored": 0,
        "events": [{"index": 0, "status": "OK"}, {"index": 1, "status": "OK"}],
    }  # fmt: skip
    assert sandbox.counts("quora")["accepted"] == 2


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("user", {}),
        ("user", ABSENT),
        ("device", {}),
        ("user.email", "jane.doe@example.com"),
        ("user.ip", "2001:db8::1"),
        ("conversion.event_name", "ViewContent"),
        ("conversion.value", ABSENT),
        ("conversion.value", 214748.36),
        ("conversion.click_id", ABSENT),
        ("currency", "EUR"),
    ],
)
def test_accepts(sandbox: Client, path: str, value: object) -> None:
    assert send(sandbox, changed(event(), path, value)).json()["events_errored"] == 0


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("conversion", ABSENT, "INVALID_EVENT_NAME"),
        ("conversion.event_name", "Demo Booked", "INVALID_EVENT_NAME"),
        ("conversion.timestamp", "1790863200000000", "INVALID_TIMESTAMP"),
        ("conversion.value", "149.97", "INVALID_VALUE"),
        ("conversion.value", 214748.37, "VALUE_OUT_OF_RANGE"),
        ("conversion.value", -1, "VALUE_OUT_OF_RANGE"),
        ("conversion.click_id", 7, "INVALID_FIELD"),
        ("user", [], "INVALID_EVENT"),
        ("user.email", EMPTY, "INVALID_EMAIL"),
        ("user.email", "jane", "INVALID_EMAIL"),
        ("user.ip", "somewhere", "INVALID_IP"),
        ("device.language", None, "INVALID_FIELD"),
    ],
)
def test_a_bad_event_is_refused_alone(sandbox: Client, path: str, value: object, code: str) -> None:
    body = send(sandbox, event(1), changed(event(2), path, value)).json()
    assert (body["events_received"], body["events_errored"]) == (2, 1)
    assert body["events"][0] == {"index": 0, "status": "OK"}
    assert (body["events"][1]["status"], body["events"][1]["error_code"]) == ("ERROR", code)
    counts = sandbox.counts("quora")
    assert (counts["accepted"], counts["rejected"]) == (1, 1)


@pytest.mark.parametrize("old", [timedelta(days=90, seconds=1), None])
def test_an_old_time_becomes_the_servers_own(sandbox: Client, old: timedelta | None) -> None:
    given = event(age=old) if old else changed(event(), "conversion.timestamp", ABSENT)
    send(sandbox, given, changed(event(2), "conversion.timestamp", seconds() * 1000))
    stored = [row["payload"]["conversion"]["timestamp"] for row in sandbox.get("events", platform="quora")]
    assert stored == [seconds(timedelta(0)) * 1_000_000] * 2


def test_the_envelope(sandbox: Client) -> None:
    assert send(sandbox, event(), account="527745581653587").status_code == 400
    assert send(sandbox, event(), account=1).status_code == 400
    assert send(sandbox).status_code == 400
    assert send(sandbox, *map(event, range(1001))).status_code == 400
    assert send(sandbox, *map(event, range(1000))).status_code == 200
    assert send(sandbox, event(), token="").status_code == 401
    assert send(sandbox, event(), token="other").status_code == 401


def test_debug_events_have_warnings_and_count(sandbox: Client) -> None:
    bare = changed(changed(event(), "conversion.click_id", ABSENT), "conversion.event_id", ABSENT)
    body = send(sandbox, event(), bare, debug=True).json()
    assert [entry["warnings"] for entry in body["events"]] == [[], ["CLICK_ID_MISSING", "EVENT_ID_MISSING"]]
    assert sandbox.counts("quora")["accepted"] == 2


def test_a_copy_has_the_same_name_and_id(sandbox: Client, clock: Clock) -> None:
    send(sandbox, event(1), changed(event(1), "conversion.event_name", "Generic"))
    clock.forward(hours=1)
    send(sandbox, event(1))
    bare = changed(event(1), "conversion.event_id", ABSENT)
    send(sandbox, bare, bare)
    assert sandbox.outcomes("quora") == ["first", "first", "duplicate", "first", "again"]
