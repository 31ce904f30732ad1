"""Campaign Manager 360 API v5: guides on uploading, updating and enhancing conversions, discovery document."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from capi_pipeline.sandbox import accounts

from .conftest import Client, Clock
from .payloads import ABSENT, EMAIL, EMPTY, NAME, NOW, PHONE, changed

MICROS = int(NOW.timestamp()) * 1_000_000
ADDRESS = {"hashedFirstName": NAME, "hashedLastName": NAME, "countryCode": "US", "postalCode": "94105", "city": "Paris"}


def conversion(number: object = 1) -> dict[str, Any]:
    return {
        "kind": "dfareporting#conversion",
        "floodlightActivityId": "11111",
        "floodlightConfigurationId": "8901234",
        "ordinal": f"ORD-{number}",
        "timestampMicros": str(MICROS - 3_600_000_000),
        "gclid": f"click-{number}",
        "quantity": "1",
        "value": 149.97,
        "adUserDataConsent": "GRANTED",
        "nonPersonalizedAd": False,
        "cartData": {"merchantId": "123456789", "items": [{"itemId": "SKU-1", "quantity": 1, "unitPrice": 149.97}]},
    }


def update(number: object = 1, **changes: Any) -> dict[str, Any]:
    row = conversion(number)
    for field in ("adUserDataConsent", "nonPersonalizedAd", "cartData"):
        del row[field]
    return row | {"value": 124.98} | changes


def enhancement(number: object = 1) -> dict[str, Any]:
    row = changed(update(number), "gclid", ABSENT)
    identifiers = [{"hashedEmail": EMAIL}, {"hashedPhoneNumber": PHONE}, {"addressInfo": ADDRESS}]
    return row | {"matchId": f"browser-{number}", "userIdentifiers": identifiers}


class Campaigns:
    """The API as a good sender calls it."""

    def __init__(self, sandbox: Client) -> None:
        self.base = f"{sandbox.base}/campaign_manager"
        form = {
            "grant_type": "refresh_token", "client_id": accounts.GOOGLE_CLIENT_ID,
            "client_secret": accounts.GOOGLE_CLIENT_SECRET, "refresh_token": accounts.GOOGLE_REFRESH_TOKEN,
        }  # fmt: skip
        token = requests.post(f"{self.base}/token", form, timeout=10).json()
        assert token["scope"].endswith("/auth/ddmconversions")
        self.headers = {"Authorization": f"Bearer {token['access_token']}"}

    def post(
        self, verb: str, *rows: object, profile: str = "7654321", version: str = "v5", **more: object
    ) -> requests.Response:
        url = f"{self.base}/dfareporting/{version}/userprofiles/{profile}/conversions/{verb}"
        return requests.post(url, json={"conversions": list(rows), **more}, headers=self.headers, timeout=10)

    def insert(self, *rows: object, **more: Any) -> requests.Response:
        return self.post("batchinsert", *rows, **more)

    def update(self, *rows: object) -> requests.Response:
        return self.post("batchupdate", *rows)


@pytest.fixture
def campaigns(sandbox: Client) -> Campaigns:
    sandbox.settings(access_token_seconds=10_000_000)  # some tests move the clock by days
    return Campaigns(sandbox)


def codes(answer: requests.Response) -> list[str]:
    """Error code of each row, empty for one that was taken."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    found = [row["errors"][0]["code"] if "errors" in row else "" for row in body["status"]]
    assert body["hasFailures"] == any(found)
    assert all(row["conversion"] for row in body["status"])
    return found


def refusal(answer: requests.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == status
    return str(error["errors"][0]["reason"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("adUserDataConsent", ABSENT),
        ("cartData", ABSENT),
        ("value", 0),
        ("quantity", 1),
        ("limitAdTracking", True),
        ("customVariables", [{"kind": "dfareporting#customFloodlightVariable", "type": "U100", "value": "x"}]),
    ],
)
def test_accepts_good_conversions(campaigns: Campaigns, sandbox: Client, path: str, value: object) -> None:
    assert codes(campaigns.insert(changed(conversion(), path, value))) == [""]
    assert sandbox.counts("campaign_manager")["accepted"] == 1


@pytest.mark.parametrize("identifier", ["dclid", "mobileDeviceId", "matchId"])
def test_any_one_identifier_will_do(campaigns: Campaigns, identifier: str) -> None:
    row = changed(conversion(), "gclid", ABSENT) | {identifier: "abc"}
    assert codes(campaigns.insert(row)) == [""]
    assert codes(campaigns.insert(row | {"gclid": "g"})) == ["INVALID_ARGUMENT"]


BAD: list[tuple[str, object, str]] = [
    *((name, ABSENT, "INVALID_ARGUMENT") for name in (
        "floodlightActivityId", "floodlightConfigurationId", "ordinal", "timestampMicros", "quantity", "value", "gclid")),
    ("floodlightConfigurationId", "1", "INVALID_ARGUMENT"),
    ("floodlightActivityId", "42", "INVALID_ARGUMENT"),
    ("floodlightActivityId", "99999", "PERMISSION_DENIED"),
    ("timestampMicros", str(MICROS + 1_000_000), "INVALID_ARGUMENT"),
    ("timestampMicros", str(MICROS - 29 * 86_400_000_000), "INVALID_ARGUMENT"),
    ("timestampMicros", str(MICROS // 1_000_000), "INVALID_ARGUMENT"),
    ("quantity", "0", "INVALID_ARGUMENT"),
    ("quantity", "-1", "INVALID_ARGUMENT"),
    ("value", -1, "INVALID_ARGUMENT"),
    ("gclid", EMAIL, "INVALID_ARGUMENT"),
    ("gclid", "unlinked-1", "NOT_FOUND"),
    ("userIdentifiers", [{"hashedEmail": EMAIL}], "INVALID_ARGUMENT"),
    ("customVariables", [{"type": "U101", "value": "x"}], "INVALID_ARGUMENT"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "code"), BAD)
def test_a_bad_row_leaves_the_others_alone(
    campaigns: Campaigns, sandbox: Client, path: str, value: object, code: str
) -> None:
    assert codes(campaigns.insert(conversion(1), changed(conversion(2), path, value), conversion(3))) == ["", code, ""]
    counts = sandbox.counts("campaign_manager")
    assert (counts["accepted"], counts["rejected"]) == (2, 1)


@pytest.mark.parametrize(
    ("path", "value"),
    [("foo", 1), ("value", "149.97"), ("quantity", 1.5), ("adUserDataConsent", "YES"), ("gclid", 7), ("cartData", [])],
)
def test_json_that_does_not_fit_refuses_the_request(
    campaigns: Campaigns, sandbox: Client, path: str, value: object
) -> None:
    assert refusal(campaigns.insert(conversion(1), changed(conversion(2), path, value)), 400) == "badRequest"
    assert sandbox.counts("campaign_manager")["accepted"] == 0


def test_envelope_and_access(campaigns: Campaigns, sandbox: Client) -> None:
    many = [conversion(number) for number in range(1001)]
    assert refusal(campaigns.insert(*many), 400) == "invalid"
    assert set(codes(campaigns.insert(*many[:1000]))) == {""}
    assert sandbox.counts("campaign_manager")["accepted"] == 1000
    assert refusal(campaigns.insert(), 400) == "required"
    assert refusal(campaigns.insert(conversion(), profile="1"), 403) == "forbidden"
    assert campaigns.insert(conversion(), version="v3").status_code == 404
    campaigns.headers = {"Authorization": "Bearer other"}
    assert refusal(campaigns.insert(conversion()), 401) == "authError"


def test_the_same_conversion_counts_once_and_another_ordinal_again(
    campaigns: Campaigns, sandbox: Client, clock: Clock
) -> None:
    campaigns.insert(conversion())
    clock.forward(days=20)
    assert codes(campaigns.insert(conversion(), conversion() | {"ordinal": "ORD-2"})) == ["", ""]
    counts = sandbox.counts("campaign_manager")
    assert (counts["accepted"], counts["duplicates"], counts["double_counted"]) == (2, 1, 0)


def test_an_update_gives_a_new_total(campaigns: Campaigns, sandbox: Client) -> None:
    campaigns.insert(conversion())
    assert codes(campaigns.update(update())) == [""]
    assert sandbox.get("events", platform="campaign_manager")[0]["value"] == 124.98
    assert codes(campaigns.update(update(quantity="0", value=0))) == [""]
    first = sandbox.get("events", platform="campaign_manager")[0]
    assert (first["value"], first["retracted"], first["counted"]) == (0, True, True)
    assert sandbox.counts("campaign_manager")["adjustments"] == 2


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (update(2), "NOT_FOUND"),
        (update(timestampMicros=str(MICROS - 3_599_999_999)), "NOT_FOUND"),
        (update(gclid="another"), "NOT_FOUND"),
        (update(adUserDataConsent="GRANTED"), "INVALID_ARGUMENT"),
        (update(limitAdTracking=True), "INVALID_ARGUMENT"),
        (update(cartData={"items": []}), "INVALID_ARGUMENT"),
        (update(value=ABSENT) | {"value": None}, "INVALID_ARGUMENT"),
        (update(userIdentifiers=[{"hashedEmail": EMAIL}]), "INVALID_ARGUMENT"),
        (enhancement() | {"matchId": "unlinked"}, "NOT_FOUND"),
        (enhancement() | {"userIdentifiers": [{"hashedEmail": EMAIL}] * 6}, "INVALID_ARGUMENT"),
        (enhancement() | {"userIdentifiers": [{"hashedEmail": EMPTY}]}, "INVALID_ARGUMENT"),
        (enhancement() | {"userIdentifiers": [{"hashedEmail": EMAIL, "hashedPhoneNumber": PHONE}]}, "INVALID_ARGUMENT"),
        (changed(enhancement(), "userIdentifiers.2.addressInfo.postalCode", ABSENT), "INVALID_ARGUMENT"),
        (changed(enhancement(), "userIdentifiers.2.addressInfo.city", EMAIL), "INVALID_ARGUMENT"),
        (changed(enhancement(), "userIdentifiers.2.addressInfo.hashedLastName", "doe"), "INVALID_ARGUMENT"),
    ],
)
def test_a_bad_update_is_named(campaigns: Campaigns, row: dict[str, Any], code: str) -> None:
    campaigns.insert(conversion())
    assert codes(campaigns.update({key: value for key, value in row.items() if value is not ABSENT})) == [code]


def test_an_enhancement_is_taken_once(campaigns: Campaigns, sandbox: Client) -> None:
    assert codes(campaigns.update(enhancement(), enhancement())) == ["", ""]
    counts = sandbox.counts("campaign_manager")
    assert (counts["accepted"], counts["duplicates"]) == (1, 1)
