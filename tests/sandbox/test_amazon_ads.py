"""Amazon Ads Events API: Amazon's OpenAPI file and its server tag."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.amazon_ads import (
    ACCOUNT_ID,
    CLIENT_ID,
    CLIENT_SECRET,
    MANAGER_ACCOUNT_ID,
    REFRESH_TOKEN,
)

from .conftest import Client
from .payloads import ABSENT, AGENT, EMAIL, EMPTY, NAME, NOW, changed

GRANTED = {"amznUserData": "GRANTED", "amznAdStorage": "GRANTED"}


def amazon_event(number: object = 1) -> dict[str, Any]:
    return {
        "eventId": f"evt-{number}", "eventTime": "2026-10-01T14:23:05Z", "countryCode": "US",
        "eventDescription": {"name": "purchase", "conversionType": "OFF_AMAZON_PURCHASES", "eventSource": "WEBSITE",
                             "eventIngestionMethod": "SERVER_TO_SERVER", "dataSetName": "capi_pipeline"},
        "matchKeys": [{"type": "EMAIL", "values": [EMAIL]}, {"type": "FIP", "values": ["203.0.113.7"]}],
        "value": 149.97, "currencyCode": "USD", "unitsSold": 3, "consent": {"amazonConsent": GRANTED},
        "deviceInfo": {"userAgent": AGENT}, "arefMeasurementTokens": "click-aref.1790755200000",
    }  # fmt: skip


def token(sandbox: Client, **form: str) -> requests.Response:
    usual = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
             "refresh_token": REFRESH_TOKEN}  # fmt: skip
    return sandbox.http.post(f"{sandbox.base}/amazon_ads/auth/o2/token", data={**usual, **form})


def send(sandbox: Client, *events: object, **headers: str | None) -> requests.Response:
    if "amazon" not in sandbox.tokens:
        sandbox.tokens["amazon"] = token(sandbox).json()["access_token"]
    usual = {"Authorization": f"Bearer {sandbox.tokens['amazon']}", "Amazon-Ads-ClientId": CLIENT_ID,
             "Amazon-Ads-AccountId": ACCOUNT_ID}  # fmt: skip
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return sandbox.http.post(
        f"{sandbox.base}/amazon_ads/adsApi/v1/create/events", json={"events": list(events)}, headers={**usual, **given}
    )


def test_accepts_a_batch(sandbox: Client) -> None:
    answer = send(sandbox, amazon_event(1), amazon_event(2))
    assert answer.status_code == 207
    body = answer.json()
    assert ([entry["index"] for entry in body["success"]], body["error"]) == ([0, 1], [])
    assert sandbox.counts("amazon_ads")["accepted"] == 2


LEAD = {
    "name": "Démo", "conversionType": "LEAD", "eventSource": "OFFLINE", "eventIngestionMethod": "SERVER_TO_SERVER"
}  # fmt: skip
NO_MONEY = {key: value for key, value in amazon_event().items() if key not in ("currencyCode", "unitsSold")}


@pytest.mark.parametrize(
    "event",
    [
        NO_MONEY | {"eventDescription": LEAD},
        amazon_event() | {"matchKeys": [{"type": "MATCH_ID", "values": ["Cust42"]}]},
        amazon_event() | {"consent": {"tcf": "CP"}, "countryCode": "DE"},
        amazon_event() | {"consent": {"gpp": "DB"}, "countryCode": "DE"},
        amazon_event() | {"dataProcessingOptions": {"options": "LIMITED_DATA_USE"}},
        changed(amazon_event(), "consent", ABSENT),
        changed(amazon_event(), "deviceInfo", ABSENT),
        changed(amazon_event(), "value", 12000),
    ],
)
def test_accepts_good_events(sandbox: Client, event: dict[str, Any]) -> None:
    assert send(sandbox, event).json()["error"] == []


def moment(**ago: float) -> str:
    return f"{NOW - timedelta(**ago):%Y-%m-%dT%H:%M:%SZ}"


BAD: list[tuple[str, object, str]] = [
    ("eventTime", moment(days=21, seconds=1), "eventTime"),
    ("eventTime", moment(seconds=-1), "eventTime"),
    ("eventTime", "2026-10-01T14:23:05.750Z", "eventTime"),
    ("eventTime", "2026-10-01T16:23:05+02:00", "eventTime"),
    ("eventTime", 1790864585, "eventTime"),
    ("countryCode", ABSENT, "countryCode"),
    ("countryCode", "us", "countryCode"),
    ("eventId", "", "eventId"),
    ("conversionDefinitions", [], "conversionDefinitions"),
    ("eventDescription.name", "50%", "eventDescription/name"),
    ("eventDescription.name", "x" * 257, "eventDescription/name"),
    ("eventDescription.conversionType", "PURCHASE", "eventDescription/conversionType"),
    ("eventDescription.eventSource", "web", "eventDescription/eventSource"),
    ("eventDescription.eventIngestionMethod", ABSENT, "eventDescription/eventIngestionMethod"),
    ("eventDescription.dataSetName", "1st", "eventDescription/dataSetName"),
    ("matchKeys", [], "matchKeys"),
    ("matchKeys.0.values", [EMAIL, EMAIL], "matchKeys/values"),
    ("matchKeys.0.values", ["jane.doe@example.com"], "matchKeys/EMAIL"),
    ("matchKeys.0.values", [EMPTY], "matchKeys/EMAIL"),
    ("matchKeys.1", {"type": "MATCH_ID", "values": ["cust-42"]}, "matchKeys/MATCH_ID"),
    ("matchKeys.1.type", "EMAIL", "matchKeys/type"),
    ("matchKeys.1.type", "NICKNAME", "matchKeys/type"),
    ("matchKeys.1.values", [NAME], "matchKeys/FIP"),
    ("value", "149.97", "value"),
    ("value", -1, "value"),
    ("value", 1.234, "value"),
    ("currencyCode", ABSENT, "currencyCode"),
    ("eventDescription.conversionType", "LEAD", "currencyCode"),
    ("unitsSold", 1.5, "unitsSold"),
    ("consent.tcf", "CP", "consent"),
    ("consent.amazonConsent.amznUserData", ABSENT, "consent"),
    ("consent.amazonConsent.amznUserData", "granted", "consent"),
    ("dataProcessingOptions", {"options": ["LIMITED_DATA_USE"]}, "dataProcessingOptions"),
    ("deviceInfo.userAgent", "x" * 513, "deviceInfo"),
    ("arefMeasurementTokens", "click-aref", "arefMeasurementTokens"),
]


@pytest.mark.parametrize(("path", "value", "field"), BAD)
def test_a_bad_event_is_named_and_the_others_are_taken(sandbox: Client, path: str, value: object, field: str) -> None:
    answer = send(sandbox, amazon_event(1), changed(amazon_event(2), path, value))
    assert answer.status_code == 207
    (error,) = answer.json()["error"]
    assert (error["index"], error["errors"][0]["code"]) == (1, "BAD_REQUEST")
    assert error["errors"][0]["fieldLocation"] == f"/events/1/{field}"
    counts = sandbox.counts("amazon_ads")
    assert (counts["accepted"], counts["rejected"]) == (1, 1)


@pytest.mark.parametrize("country", ["DE", "GB", "NO"])
def test_some_countries_need_a_consent_signal(sandbox: Client, country: str) -> None:
    event = amazon_event() | {"countryCode": country}
    assert send(sandbox, event).json()["error"] == []
    (error,) = send(sandbox, changed(event, "consent", ABSENT)).json()["error"]
    assert error["errors"][0]["fieldLocation"] == "/events/0/consent"


def test_all_bad_is_a_207_too(sandbox: Client) -> None:
    answer = send(sandbox, {}, {})
    assert (answer.status_code, answer.json()["success"], len(answer.json()["error"])) == (207, [], 2)


@pytest.mark.parametrize("count", [0, 501])
def test_size_of_a_request(sandbox: Client, count: int) -> None:
    answer = send(sandbox, *[amazon_event()] * count)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer another"}, 401),
        ({"Amazon_Ads_ClientId": "another"}, 401),
        ({"Amazon_Ads_AccountId": "another"}, 403),
        ({"Amazon_Ads_AccountId": None}, 403),
        ({"Amazon_Ads_Manager_AccountId": MANAGER_ACCOUNT_ID}, 403),
    ],
)
def test_who_may_send_where(sandbox: Client, headers: dict[str, str | None], status: int) -> None:
    answer = send(sandbox, amazon_event(), **headers)
    assert (answer.status_code, set(answer.json())) == (status, {"code", "message"})


def test_a_manager_account(sandbox: Client) -> None:
    headers = {"Amazon_Ads_AccountId": None, "Amazon_Ads_Manager_AccountId": MANAGER_ACCOUNT_ID}
    assert send(sandbox, amazon_event(), **headers).status_code == 207


def test_tokens(sandbox: Client) -> None:
    granted = token(sandbox).json()
    assert (granted["token_type"].lower(), granted["expires_in"]) == ("bearer", 3600)
    assert token(sandbox, refresh_token="another").json()["error"] == "invalid_grant"
    assert token(sandbox, client_secret="another").json()["error"] == "invalid_client"


def test_the_same_id_again_is_one_event_whatever_its_type(sandbox: Client) -> None:
    send(sandbox, amazon_event(1))
    send(sandbox, NO_MONEY | {"eventDescription": LEAD}, amazon_event(2))
    assert sandbox.outcomes("amazon_ads") == ["first", "duplicate", "first"]
