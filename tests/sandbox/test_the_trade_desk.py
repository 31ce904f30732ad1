"""The Trade Desk: partner portal page on real-time conversion events."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from .conftest import Client
from .payloads import ABSENT, EMAIL, changed

TDID = "3f2b9a52-2d1b-4f5e-9d1c-0a1b2c3d4e5f"


def conversion(number: object = 1) -> dict[str, Any]:
    return {
        "adv": "abc1234", "tracker_id": "trk5678", "event_name": "purchase", "adid": TDID, "adid_type": "TDID",
        "client_ip": "203.0.113.7", "referrer_url": "https://shop.example.com/thanks", "order_id": f"ORD-{number}",
        "value": "149.97", "currency": "USD", "items": [{"item_code": "SKU-1", "qty": "1", "price": "149.97"}],
        "privacy_settings": [{"privacy_type": "GPP", "is_applicable": 1, "consent_string": "DBAA"}],
        "data_processing_option": {"policies": ["LDU"], "region": "US-CA"},
    }  # fmt: skip


def send(sandbox: Client, *events: object) -> requests.Response:
    return sandbox.http.post(f"{sandbox.base}/the_trade_desk/track/realtimeconversion", json={"data": list(events)})


PAGE = {"adv": "abc1234", "upixel_id": "up12345", "referrer_url": "https://shop.example.com/", "imp": "I"}
MERCHANT = {"merchant_id": "mer999", "tracker_id": "trk5678", "event_name": "viewcart", "client_ip": "2001:db8::1"}


@pytest.mark.parametrize("event", [conversion(), PAGE, MERCHANT, changed(conversion(), "value", "12000")])
def test_accepts(sandbox: Client, event: dict[str, Any]) -> None:
    answer = send(sandbox, event)
    assert (answer.status_code, answer.json()) == (200, {"Message": None, "EventResponses": []})
    assert sandbox.counts("the_trade_desk")["accepted"] == 1


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("adv", ABSENT, "InvalidAdvertiser"),
        ("merchant_id", "mer999", "InvalidAdvertiser"),
        ("tracker_id", ABSENT, "InvalidTracker"),
        ("upixel_id", "up12345", "InvalidTracker"),
        ("event_name", ABSENT, "InvalidEventName"),
        ("order_id", 7, "InvalidField"),
        ("adid", EMAIL, "InvalidAdId"),
        ("adid", ABSENT, "InvalidAdId"),
        ("adid_type", "EMAIL", "InvalidAdId"),
        ("client_ip", "nowhere", "InvalidClientIp"),
        ("value", 149.97, "InvalidValue"),
        ("value", "149.970", "InvalidValue"),
        ("value", "1e3", "InvalidValue"),
        ("currency", "usd", "InvalidCurrency"),
        ("currency", ABSENT, "InvalidCurrency"),
        ("items", {}, "InvalidItems"),
        ("items.0.item_code", ABSENT, "InvalidItems"),
        ("items.0.qty", 1, "InvalidItems"),
        ("data_processing_option.region", "DE-BY", "InvalidDataProcessingOption"),
        ("data_processing_option.policies", ["ALL"], "InvalidDataProcessingOption"),
        ("privacy_settings.0.consent_string", ABSENT, "InvalidPrivacySetting"),
        ("privacy_settings.0.privacy_type", "TCF", "InvalidPrivacySetting"),
    ],
)
def test_one_bad_event_refuses_the_request(sandbox: Client, path: str, value: object, code: str) -> None:
    answer = send(sandbox, conversion(1), changed(conversion(2), path, value))
    assert answer.status_code == 400
    (entry,) = answer.json()["EventResponses"]
    assert (entry["EventIndex"], entry["EventErrors"][0]["Error"], entry["Successful"]) == (1, code, False)
    counts = sandbox.counts("the_trade_desk")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


@pytest.mark.parametrize(("path", "value"), [("adv", "other"), ("tracker_id", "other"), ("event_name", "donation")])
def test_what_the_account_has_not_defined(sandbox: Client, path: str, value: str) -> None:
    assert send(sandbox, changed(conversion(), path, value)).status_code == 402


def test_envelope(sandbox: Client) -> None:
    assert send(sandbox).status_code == send(sandbox, "event").status_code == 400
    assert send(sandbox, *[conversion(number) for number in range(101)]).status_code == 413
    assert send(sandbox, *[conversion(number) for number in range(100)]).status_code == 200


def test_only_what_has_an_order_id_is_known_again(sandbox: Client) -> None:
    unknown = {key: value for key, value in conversion(3).items() if key != "order_id"}
    for event in (conversion(1), conversion(1), conversion(2), unknown, unknown):
        send(sandbox, event)
    assert sandbox.outcomes("the_trade_desk") == ["first", "duplicate", "first", "first", "first"]
