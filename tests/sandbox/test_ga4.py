"""GA4 Measurement Protocol: reference, validating events, user-provided data."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.ga4 import API_SECRET, MEASUREMENT_ID

from .conftest import Client, Clock
from .payloads import ABSENT, EMAIL, EMPTY, NAME, NOW, PHONE, changed

MICROS = int(NOW.timestamp()) * 1_000_000
HOUR = 3_600_000_000


def hit(number: object = 1, name: str = "purchase") -> dict[str, Any]:
    return {
        "client_id": "1166987786.1684617844",
        "user_id": "cust-42",
        "timestamp_micros": MICROS - HOUR,
        "consent": {"ad_user_data": "GRANTED", "ad_personalization": "DENIED"},
        "user_data": {
            "sha256_email_address": [EMAIL],
            "sha256_phone_number": [PHONE],
            "address": [
                {"sha256_first_name": NAME, "sha256_last_name": NAME, "city": "san francisco", "country": "US"}
            ],
        },
        "user_agent": "Mozilla/5.0",
        "ip_override": "203.0.113.7",
        "events": [
            {
                "name": name,
                "params": {
                    "session_id": "1790863000",
                    "engagement_time_msec": 1,
                    "page_location": "https://shop.example.com/thanks",
                    "currency": "USD",
                    "value": 149.97,
                    "transaction_id": f"ORD-{number}",
                    "items": [{"item_id": "SKU-1", "item_name": "Shoe", "price": 149.97, "quantity": 1}],
                },
            }
        ],
    }


def post(sandbox: Client, body: object, debug: bool = False, **query: str) -> requests.Response:
    path = "/debug/mp/collect" if debug else "/mp/collect"
    params = {"measurement_id": MEASUREMENT_ID, "api_secret": API_SECRET, **query}
    return sandbox.http.post(f"{sandbox.base}/ga4{path}", json=body, params=params)


def found(sandbox: Client, body: object) -> list[tuple[str, str]]:
    """Path and code of what the debug server says."""
    answer = post(sandbox, body, debug=True)
    assert answer.status_code == 200
    return [(message["fieldPath"], message["validationCode"]) for message in answer.json()["validationMessages"]]


PARAMS = "events.0.params"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("user_data", ABSENT),
        ("consent", ABSENT),
        ("user_id", ABSENT),
        ("timestamp_micros", ABSENT),
        ("timestamp_micros", MICROS - 72 * HOUR),
        ("device", {"operating_system": "iOS", "screen_resolution": "390x844"}),
        ("ip_override", "2001:db8::1"),
        (f"{PARAMS}.session_id", 1790863000),
        (f"{PARAMS}.items", ABSENT),
        (f"{PARAMS}.items.0", {"item_name": "Shoe"}),
    ],
)
def test_accepts_good_events(sandbox: Client, path: str, value: object) -> None:
    body = changed(hit(), path, value)
    assert found(sandbox, body) == []
    answer = post(sandbox, body)
    assert (answer.status_code, answer.content) == (204, b"")
    assert sandbox.counts("ga4")["accepted"] == 1


P = "events[0].params"
BAD: list[tuple[str, object, str, str]] = [
    ("client_id", ABSENT, "client_id", "VALUE_REQUIRED"),
    ("client_id", 7, "client_id", "VALUE_REQUIRED"),
    ("user_id", "x" * 257, "user_id", "VALUE_OUT_OF_BOUNDS"),
    ("user_id", "jane@example.com", "user_id", "VALUE_OUT_OF_BOUNDS"),
    ("timestamp_micros", MICROS // 1_000_000, "timestamp_micros", "VALUE_OUT_OF_BOUNDS"),
    ("timestamp_micros", MICROS - 73 * HOUR, "timestamp_micros", "VALUE_OUT_OF_BOUNDS"),
    ("timestamp_micros", MICROS + HOUR, "timestamp_micros", "VALUE_OUT_OF_BOUNDS"),
    ("timestamp_micros", str(MICROS), "timestamp_micros", "VALUE_OUT_OF_BOUNDS"),
    ("consent.ad_user_data", "granted", "consent", "VALUE_INVALID"),
    ("consent", "GRANTED", "consent", "VALUE_INVALID"),
    ("gclid", "x", "gclid", "VALUE_INVALID"),
    ("ip_override", "shop", "ip_override", "VALUE_INVALID"),
    ("device", {"os": "iOS"}, "device", "VALUE_INVALID"),
    ("user_data.em", [EMAIL], "user_data.em", "VALUE_INVALID"),
    ("user_data.sha256_email_address", ["jane@example.com"], "user_data.sha256_email_address", "VALUE_INVALID"),
    ("user_data.sha256_email_address", [EMPTY], "user_data.sha256_email_address", "VALUE_INVALID"),
    ("user_data.sha256_phone_number", [PHONE] * 4, "user_data.sha256_phone_number", "EXCEEDED_MAX_ENTITIES"),
    ("user_data.address.0.sha256_last_name", ABSENT, "user_data.address", "VALUE_INVALID"),
    ("user_data.address.0.city", EMAIL, "user_data.address", "VALUE_INVALID"),
    ("events", [], "events", "VALUE_REQUIRED"),
    ("events", [{"name": "a"}] * 26, "events", "EXCEEDED_MAX_ENTITIES"),
    ("events.0.name", "Demo Booked", "events[0].name", "NAME_INVALID"),
    ("events.0.name", "1st", "events[0].name", "NAME_INVALID"),
    ("events.0.name", "x" * 41, "events[0].name", "NAME_INVALID"),
    ("events.0.name", "session_start", "events[0].name", "NAME_RESERVED"),
    ("events.0.name", "ga_x", "events[0].name", "NAME_RESERVED"),
    ("events.0.params", [], P, "VALUE_INVALID"),
    (
        "events.0.params",
        {f"p{number}": "x" for number in range(26)} | {"transaction_id": "x"},
        P,
        "EXCEEDED_MAX_ENTITIES",
    ),
    (f"{PARAMS}.transaction_id", ABSENT, f"{P}.transaction_id", "VALUE_REQUIRED"),
    (f"{PARAMS}.currency", ABSENT, f"{P}.currency", "VALUE_REQUIRED"),
    (f"{PARAMS}.currency", "usd", f"{P}.currency", "VALUE_INVALID"),
    (f"{PARAMS}.value", "149.97", f"{P}.value", "VALUE_INVALID"),
    (f"{PARAMS}.coupon", "x" * 101, f"{P}.coupon", "VALUE_OUT_OF_BOUNDS"),
    (f"{PARAMS}.page_location", "x" * 1001, f"{P}.page_location", "VALUE_OUT_OF_BOUNDS"),
    (f"{PARAMS}.gclid", "x", f"{P}.gclid", "NAME_RESERVED"),
    (f"{PARAMS}.my-param", "x", f"{P}.my-param", "NAME_INVALID"),
    (f"{PARAMS}.items", {}, f"{P}.items", "VALUE_INVALID"),
    (f"{PARAMS}.items", [{"item_id": "1"}] * 201, f"{P}.items", "EXCEEDED_MAX_ENTITIES"),
    (f"{PARAMS}.items.0", {"price": 1}, f"{P}.items[0]", "VALUE_REQUIRED"),
    (f"{PARAMS}.items.0.quantity", 1.5, f"{P}.items[0].quantity", "VALUE_INVALID"),
]


@pytest.mark.parametrize(("path", "value", "field", "code"), BAD)
def test_a_wrong_event_is_swallowed_and_only_the_debug_server_says_why(
    sandbox: Client, path: str, value: object, field: str, code: str
) -> None:
    body = changed(hit(), path, value)
    assert (field, code) in found(sandbox, body)
    assert post(sandbox, body).status_code == 204
    assert set(sandbox.outcomes("ga4")) <= {"malformed"}
    assert sandbox.get("counts").get("ga4", {}).get("accepted", 0) == 0


@pytest.mark.parametrize("query", [{"api_secret": "other"}, {"measurement_id": "G-OTHER"}])
def test_a_wrong_secret_is_swallowed_too(sandbox: Client, query: dict[str, str]) -> None:
    assert post(sandbox, hit(), **query).status_code == 204
    assert sandbox.outcomes("ga4") == ["unknown_stream"]
    assert post(sandbox, hit(), debug=True, **query).json() == {"validationMessages": []}


def test_the_debug_server_keeps_nothing(sandbox: Client) -> None:
    found(sandbox, hit())
    assert sandbox.outcomes("ga4") == []


def test_only_purchases_are_told_from_their_repetitions(sandbox: Client, clock: Clock) -> None:
    post(sandbox, hit())
    clock.forward(hours=1)
    post(sandbox, hit() | {"timestamp_micros": MICROS})
    post(sandbox, hit(2))
    post(sandbox, hit() | {"client_id": "1.2"})
    for _ in range(2):
        post(sandbox, hit(name="refund"))
    assert sandbox.outcomes("ga4") == ["first", "duplicate", "first", "first", "first", "again"]
    counts = sandbox.counts("ga4")
    assert (counts["accepted"], counts["duplicates"], counts["double_counted"]) == (5, 1, 1)


def test_a_request_stays_below_130_kb(sandbox: Client) -> None:
    large = changed(hit(), f"{PARAMS}.items", [{"item_id": "x" * 100, "item_name": "y" * 100, "price": 1}] * 600)
    assert post(sandbox, large).status_code == 413
    assert sandbox.counts("ga4")["rejected"] == 1


def test_not_json(sandbox: Client) -> None:
    assert sandbox.http.post(f"{sandbox.base}/ga4/mp/collect", data=b"[").status_code == 204
