"""Spotify: help article on the Conversions API."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms import spotify

from .conftest import Client, Clock
from .payloads import ABSENT, EMAIL, EMPTY, PHONE, changed


def event(number: object = 1) -> dict[str, Any]:
    return {
        "event_id": f"evt-{number}",
        "event_name": "PURCHASE",
        "event_time": "2026-10-01T14:23:05.000Z",
        "event_source_url": "https://shop.example.com/thank-you",
        "action_source": "WEB",
        "user_data": {"ip_address": "203.0.113.7", "hashed_emails": [EMAIL], "hashed_phone_number": PHONE},
        "event_details": {"amount": 149.97, "currency": "USD", "content_name": "Trail Shoe"},
    }


def send(
    sandbox: Client, *events: object, token: str = spotify.ACCESS_TOKEN, connection: str = spotify.CONNECTION_ID
) -> requests.Response:
    return sandbox.http.post(
        f"{sandbox.base}/spotify/capi-direct/events/",
        json={"conversion_events": {"capi_connection_id": connection, "events": list(events)}},
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


def test_accepts_a_batch(sandbox: Client) -> None:
    answer = send(sandbox, event(1), event(2))
    assert (answer.status_code, answer.json()) == (200, {"message": "SUCCESS"})
    assert sandbox.counts("spotify")["accepted"] == 2


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("user_data", {"device_id": "sp-1"}),
        ("user_data.ip_address", "2001:db8::1"),
        ("event_name", "CUSTOM_EVENT_5"),
        ("action_source", ABSENT),
        ("opt_out_targeting", True),
        ("event_source_url", ABSENT),
        ("event_details.content_category", "Electronics"),
    ],
)
def test_accepts(sandbox: Client, path: str, value: object) -> None:
    assert send(sandbox, changed(event(), path, value)).status_code == 200


def test_only_a_purchase_needs_an_amount(sandbox: Client) -> None:
    bare = changed(event(), "event_details", ABSENT)
    assert send(sandbox, bare).status_code == 400
    assert send(sandbox, bare | {"event_name": "LEAD"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event_id", ABSENT),
        ("event_id", 7),
        ("event_name", "Purchase"),
        ("event_name", "CUSTOM_EVENT_6"),
        ("event_time", 1790864585),
        ("event_time", "2026-10-01 14:23:05"),
        ("event_time", "2026-10-01T16:00:00.001Z"),
        ("event_source_url", "shop.example.com"),
        ("action_source", "website"),
        ("opt_out_targeting", "true"),
        ("user_data", ABSENT),
        ("user_data", {}),
        ("user_data.hashed_emails", EMAIL),
        ("user_data.hashed_emails", [EMPTY]),
        ("user_data.hashed_phone_number", "+14155552671"),
        ("user_data.device_id", EMAIL),
        ("user_data.user_agent", "UA"),
        ("event_details.amount", "149.97"),
        ("event_details.amount", ABSENT),
        ("event_details.currency", "usd"),
        ("event_details.content_category", "Shoes"),
    ],
)
def test_one_bad_event_refuses_the_request(sandbox: Client, path: str, value: object) -> None:
    answer = send(sandbox, event(1), changed(event(2), path, value))
    assert answer.status_code == 400
    assert answer.json()["sp_trace_id"]
    counts = sandbox.counts("spotify")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_the_envelope_and_the_address(sandbox: Client) -> None:
    url = f"{sandbox.base}/spotify/capi-direct/events/"
    headers = {"Authorization": f"Bearer {spotify.ACCESS_TOKEN}"}
    root = {"capi_connection_id": spotify.CONNECTION_ID, "events": [event()]}
    assert sandbox.http.post(url, json=root, headers=headers).status_code == 400
    assert sandbox.http.post(url.rstrip("/"), json={"conversion_events": root}, headers=headers).status_code == 404
    assert send(sandbox).status_code == 400


def test_token_and_connection_belong_together(sandbox: Client) -> None:
    assert send(sandbox, event(), token="").status_code == 401
    assert send(sandbox, event(), token="other").status_code == 401
    assert send(sandbox, event(), connection="other").status_code == 403


def test_the_event_id_alone_tells_a_copy(sandbox: Client, clock: Clock) -> None:
    send(sandbox, event(1), event(1) | {"event_name": "LEAD"}, event(2))
    clock.forward(hours=49)
    send(sandbox, event(1))
    assert sandbox.outcomes("spotify") == ["first", "duplicate", "first", "again"]
