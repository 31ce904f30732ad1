"""Microsoft Conversions API for UET: guide of 2026-08-04."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.microsoft_uet import API_TOKEN, TAG_ID

from .conftest import Client
from .payloads import ABSENT, EMAIL, PHONE, changed, seconds

CLICK = "0123456789abcdef0123456789abcdef"


def uet_event(number: object = 1) -> dict[str, Any]:
    return {
        "eventType": "custom", "eventName": "purchase", "eventId": f"evt-{number}", "eventTime": seconds(),
        "eventSourceUrl": "https://shop.example.com/thank-you", "adStorageConsent": "G",
        "userData": {"em": EMAIL, "ph": PHONE, "msclkid": CLICK, "clientIpAddress": "203.0.113.7"},
        "customData": {"value": 149.97, "currency": "USD", "transactionId": "ORD-1", "pageType": "purchase",
                       "items": [{"id": "SKU-1", "name": "Shoe", "quantity": 1, "price": 149.97}], "itemIds": ["SKU-1"]},
    }  # fmt: skip


def send(
    sandbox: Client, *events: object, token: str = API_TOKEN, tag: str = TAG_ID, **root: object
) -> requests.Response:
    body = {"data": list(events), "continueOnValidationError": True, **root}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return sandbox.http.post(f"{sandbox.base}/microsoft_uet/v1/{tag}/events", json=body, headers=headers)


def test_accepts_a_batch(sandbox: Client) -> None:
    answer = send(sandbox, uet_event(1), uet_event(2))
    assert (answer.status_code, answer.json()) == (200, {"eventsReceived": 2})
    assert sandbox.counts("microsoft_uet")["accepted"] == 2


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("customData", ABSENT),
        ("eventType", "pageLoad"),
        ("adStorageConsent", ABSENT),
        ("eventTime", seconds(timedelta(days=7))),
        ("userData", {"anonymousId": "v"}),
        ("userData", {"gaid": "a"}),
    ],
)
def test_accepts_good_events(sandbox: Client, path: str, value: object) -> None:
    assert send(sandbox, changed(uet_event(), path, value)).json() == {"eventsReceived": 1}


BAD: list[tuple[str, object, str]] = [
    ("eventType", "purchase", "InvalidEnumValue"),
    ("eventName", ABSENT, "Empty"),
    ("eventId", 5, "Empty"),
    ("eventTime", seconds(timedelta(days=7, seconds=1)), "InvalidEventTime"),
    ("eventTime", seconds(timedelta(seconds=-1)), "InvalidEventTime"),
    ("eventTime", seconds() * 1000, "InvalidEventTime"),
    ("eventTime", str(seconds()), "InvalidEventTime"),
    ("adStorageConsent", "granted", "InvalidEnumValue"),
    ("userData", ABSENT, "Empty"),
    ("userData", {"clientIpAddress": "203.0.113.7", "clientUserAgent": "UA"}, "Empty"),
    ("userData.idfa", ["a"], "InvalidType"),
    ("customData", {}, "Empty"),
    ("customData.value", "149.97", "InvalidType"),
    ("customData.currency", "usd", "InvalidEnumValue"),
    ("customData.pageType", "checkout", "InvalidEnumValue"),
    ("customData.itemIds", [5], "InvalidType"),
    ("customData.items", [{"id": "SKU-1", "quantity": 1.5}], "InvalidType"),
]


@pytest.mark.parametrize(("path", "value", "code"), BAD)
def test_a_bad_event_is_left_out_and_named(sandbox: Client, path: str, value: object, code: str) -> None:
    answer = send(sandbox, uet_event(1), changed(uet_event(2), path, value))
    assert answer.status_code == 200
    body = answer.json()
    assert body["eventsReceived"] == 1
    assert {(d["index"], d["errorCode"], d["isWarning"]) for d in body["error"]["details"]} == {(1, code, False)}
    counts = sandbox.counts("microsoft_uet")
    assert (counts["accepted"], counts["rejected"]) == (1, 1)


def test_a_page_view_needs_its_page(sandbox: Client) -> None:
    answer = send(sandbox, changed(changed(uet_event(), "eventType", "pageLoad"), "eventSourceUrl", ABSENT))
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["propertyName"] == "data[0].eventSourceUrl"


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("userData.em", "jane.doe@example.com", "InvalidSha256"),
        ("userData.msclkid", "short", "InvalidClickId"),
        ("referrerUrl", "shop", "InvalidUrl"),
    ],
)
def test_a_warning_drops_a_field_and_keeps_the_event(sandbox: Client, path: str, value: object, code: str) -> None:
    body = send(sandbox, changed(uet_event(), path, value)).json()
    assert body["eventsReceived"] == 1
    assert [(d["errorCode"], d["isWarning"]) for d in body["error"]["details"]] == [(code, True)]


def test_no_valid_event_is_a_bad_request(sandbox: Client) -> None:
    answer = send(sandbox, *[changed(uet_event(), "eventTime", 1)] * 12)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], len(error["details"])) == ("ValidationError", 10)
    assert sandbox.counts("microsoft_uet")["rejected"] == 12


def test_one_bad_event_refuses_a_request_that_does_not_go_on(sandbox: Client) -> None:
    events = (uet_event(1), changed(uet_event(2), "eventTime", 1))
    assert send(sandbox, *events, continueOnValidationError=False).status_code == 400
    assert sandbox.counts("microsoft_uet")["accepted"] == 0


def test_size_of_a_request(sandbox: Client) -> None:
    assert send(sandbox).status_code == 400
    assert send(sandbox, *[uet_event()] * 1001).status_code == 400
    answer = sandbox.http.post(
        f"{sandbox.base}/microsoft_uet/v1/{TAG_ID}/events", data=b"{", headers={"Authorization": f"Bearer {API_TOKEN}"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidRequest")


@pytest.mark.parametrize("wrong", [{"token": ""}, {"token": "another"}, {"tag": "97012346"}])
def test_the_token_belongs_to_the_tag(sandbox: Client, wrong: dict[str, str]) -> None:
    answer = send(sandbox, uet_event(), **wrong)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "Unauthorized")


def test_the_same_name_and_id_again_is_a_repeat(sandbox: Client) -> None:
    send(sandbox, uet_event(1))
    send(sandbox, uet_event(1), changed(uet_event(1), "eventName", "order"))
    assert sandbox.outcomes("microsoft_uet") == ["first", "duplicate", "first"]
