"""Rokt: pages on the Event and Audience API; mParticle's Events API v2."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from .conftest import Client
from .payloads import ABSENT, EMAIL, NAME, PHONE, changed, seconds

KEYS = ("sandbox-rokt-key", "sandbox-rokt-secret")
ATTRIBUTES = "events.0.data.custom_attributes"


def batch(number: object = 1) -> dict[str, Any]:
    return {
        "environment": "production",
        "user_identities": {"other": EMAIL, "customerid": "cust-42", "other2": "R-1"},
        "user_attributes": {"firstnamesha256": NAME, "mobilesha256": PHONE, "gender": "f"},
        "device_info": {"http_header_user_agent": "Mozilla/5.0"},
        "ip": "203.0.113.7",
        "integration_attributes": {"1277": {"passbackconversiontrackingid": "R-1"}},
        "events": [{"event_type": "custom_event", "data": {
            "event_name": "conversion", "custom_event_type": "transaction", "source_message_id": f"evt-{number}",
            "timestamp_unixtime_ms": seconds() * 1000,
            "custom_attributes": {"conversiontype": "purchase", "amount": "149.97", "currency": "USD"}}}],
    }  # fmt: skip


def send(sandbox: Client, body: object, keys: tuple[str, str] = KEYS) -> requests.Response:
    return sandbox.http.post(f"{sandbox.base}/rokt/v2/bulkevents", json=body, auth=keys)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ip", ABSENT),
        ("user_attributes", ABSENT),
        (f"{ATTRIBUTES}.conversiontype", "Démo"),
        (ATTRIBUTES, {"conversiontype": "lead"}),
        ("schema_version", 2),
    ],
)
def test_accepts(sandbox: Client, path: str, value: object) -> None:
    answer = send(sandbox, [changed(batch(), path, value)])
    assert (answer.status_code, answer.content) == (202, b"")
    assert sandbox.counts("rokt")["accepted"] == 1


def test_a_device_is_enough(sandbox: Client) -> None:
    alone = batch() | {"user_identities": {}, "integration_attributes": {}, "device_info": {"ios_idfv": "V"}}
    assert send(sandbox, [alone]).content == b""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("environment", "test"),
        ("user_identities", []),
        ("user_identities.other", "jane.doe@example.com"),
        ("user_identities.customerid", EMAIL),
        ("user_identities.customerid", 42),
        ("user_identities.other2", ABSENT),
        ("user_identities.other2", "another"),
        ("user_attributes.firstnamesha256", "Jane"),
        ("user_attributes.gender", "female"),
        ("device_info.idfa", "A"),
        ("ip", "nowhere"),
        ("events", []),
        ("events.0.event_type", "commerce_event"),
        ("events.0.data.event_name", "purchase"),
        ("events.0.data.timestamp_unixtime_ms", seconds()),
        (f"{ATTRIBUTES}.conversiontype", ABSENT),
        (f"{ATTRIBUTES}.amount", 149.97),
        (f"{ATTRIBUTES}.currency", ABSENT),
        (f"{ATTRIBUTES}.confirmationref", "x" * 131_072),
    ],
)
def test_a_bad_event_is_named_and_the_others_are_taken(sandbox: Client, path: str, value: object) -> None:
    answer = send(sandbox, [batch(1), changed(batch(2), path, value)])
    assert answer.status_code == 202
    (error,) = answer.json()["errors"]
    assert (error["code"], error["Path"]) == ("INVALID_EVENT", "[1]")
    counts = sandbox.counts("rokt")
    assert (counts["accepted"], counts["rejected"]) == (1, 1)


def test_nobody_is_refused(sandbox: Client) -> None:
    alone = batch() | {"user_identities": {}, "integration_attributes": {}}
    assert send(sandbox, [alone]).json()["errors"][0]["message"] == "An identity is required"


def test_envelope_and_authentication(sandbox: Client) -> None:
    assert send(sandbox, [batch()], ("sandbox-rokt-key", "other")).status_code == 401
    for body in (batch(), [], ["event"], [batch(number) for number in range(101)]):
        assert send(sandbox, body).status_code == 400
    large = changed(batch(), f"{ATTRIBUTES}.confirmationref", "x" * 130_000)
    assert send(sandbox, [large, large, large]).status_code == 413


def test_only_an_order_is_known_again_and_development_is_kept_apart(sandbox: Client) -> None:
    order = changed(batch(), f"{ATTRIBUTES}.confirmationref", "ORD-1")
    for event in (order, order, batch(3), batch(3), batch(2) | {"environment": "development"}):
        send(sandbox, [event])
    assert sandbox.outcomes("rokt") == ["first", "duplicate", "first", "again", "test"]
    assert sandbox.counts("rokt")["double_counted"] == 1
