"""LinkedIn: reference of the Conversions API, its schema and its error table."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms import linkedin

from .conftest import Client
from .payloads import ABSENT, EMAIL, NAME, NOW, changed

HEADERS = {
    "Authorization": f"Bearer {linkedin.ACCESS_TOKEN}",
    "LinkedIn-Version": "202609",
    "X-RestLi-Method": "BATCH_CREATE",
}
NAMES = {"hashedFirstName": NAME, "hashedLastName": EMAIL, "countryCode": "US"}


def millis(age: timedelta = timedelta(hours=1)) -> int:
    return int((NOW - age).timestamp() * 1000)


def conversion(number: object = 1) -> dict[str, Any]:
    return {
        "conversion": "urn:lla:llaPartnerConversion:104012",
        "conversionHappenedAt": millis(),
        "conversionValue": {"currencyCode": "USD", "amount": "149.97"},
        "eventId": f"evt-{number}",
        "user": {
            "userIds": [
                {"idType": "SHA256_EMAIL", "idValue": EMAIL},
                {"idType": "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID", "idValue": "clk-li_fat_id-0001"},
                {"idType": "PLAINTEXT_IP_ADDRESS", "idValue": "203.0.113.7"},
            ],
            "externalIds": ["cust-42"],
        },
    }


def send(sandbox: Client, *events: object, **headers: str | None) -> requests.Response:
    given: dict[str, Any] = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return sandbox.http.post(
        f"{sandbox.base}/linkedin/rest/conversionEvents", json={"elements": list(events)}, headers=given
    )


def test_accepts_a_batch(sandbox: Client) -> None:
    answer = send(sandbox, conversion(1), conversion(2))
    assert (answer.status_code, answer.json()) == (200, {"elements": [{"status": 201}] * 2})
    assert sandbox.counts("linkedin")["accepted"] == 2


def test_accepts_one_event_in_the_single_form(sandbox: Client) -> None:
    url = f"{sandbox.base}/linkedin/rest/conversionEvents"
    answer = sandbox.http.post(url, json=conversion(), headers={**HEADERS, "X-RestLi-Method": None})  # type: ignore[dict-item]
    assert (answer.status_code, answer.content) == (201, b"")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("conversionValue", ABSENT),
        ("eventId", ABSENT),
        ("user.userIds", []),
        ("user.userIds.0.idValue", "a garbage hash"),
        ("user.externalIds", ABSENT),
        ("user.userInfo", NAMES),
        ("user", {"userIds": [], "lead": "urn:li:leadGenFormResponse:1"}),
        ("conversionHappenedAt", millis(timedelta(days=90))),
    ],
)
def test_accepts(sandbox: Client, path: str, value: object) -> None:
    assert send(sandbox, changed(conversion(), path, value)).status_code == 200


@pytest.mark.parametrize(
    ("status", "path", "value", "words"),
    [
        (422, "page", "https://x.example", "Index: 1, ERROR :: /page"),
        (422, "conversion", "104012", "Index: 1, ERROR :: /conversion"),
        (422, "conversionHappenedAt", "1790863200000", "Index: 1, ERROR :: /conversionHappenedAt"),
        (400, "conversionHappenedAt", 1790863200, "batchIndex=1, type=INVALID_CONVERSION_TIME_FIELD_VALUE"),
        (400, "conversionHappenedAt", millis(timedelta(days=90, seconds=1)), "batchIndex=1"),
        (400, "conversionHappenedAt", millis(timedelta(seconds=-1)), "batchIndex=1"),
        (422, "conversionValue.amount", 149.97, "cannot be coerced to String"),
        (422, "conversionValue.amount", "1,49", "Index: 1"),
        (422, "conversionValue.currencyCode", ABSENT, "Index: 1"),
        (422, "eventId", 7, "/eventId"),
        (422, "user", ABSENT, "/user"),
        (422, "user.userIds", ABSENT, "/user/userIds"),
        (422, "user.userIds.0.idType", "SHA256_PHONE", "/user/userIds/idType"),
        (422, "user.phone", "+1415", "/user/phone"),
        (400, "user.userIds.2.idValue", "2001:db8::1", "indices [1] (0-indexed)"),
        (422, "user.externalIds", ["a", "b"], "/user/externalIds"),
        (422, "user.lead", "1", "/user/lead"),
        (422, "user.userInfo", {"hashedFirstName": NAME}, "/user/userInfo"),
        (422, "user.userInfo", {**NAMES, "firstName": "Jane"}, "/user/userInfo"),
        (422, "user.userInfo", {**NAMES, "countryCode": "us"}, "/user/userInfo"),
        (400, "user", {"userIds": []}, "indices [1]"),
    ],
)
def test_one_bad_event_refuses_the_batch(sandbox: Client, status: int, path: str, value: object, words: str) -> None:
    answer = send(sandbox, conversion(1), changed(conversion(2), path, value))
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert words in answer.json()["message"]
    counts = sandbox.counts("linkedin")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_names_are_plain_before_version_202609(sandbox: Client) -> None:
    plain = {"firstName": "Jane", "lastName": "Doe"}
    assert send(sandbox, changed(conversion(), "user.userInfo", NAMES), LinkedIn_Version="202608").status_code == 422
    assert send(sandbox, changed(conversion(), "user.userInfo", plain), LinkedIn_Version="202608").status_code == 200


def test_at_most_5000(sandbox: Client) -> None:
    assert send(sandbox, *map(conversion, range(5001))).status_code == 400
    assert send(sandbox).status_code == 422


def test_an_unknown_rule_is_no_ad_account(sandbox: Client) -> None:
    answer = send(sandbox, changed(conversion(), "conversion", "urn:lla:llaPartnerConversion:1"))
    assert (answer.status_code, answer.json()["message"]) == (403, "No ad accounts found")


def test_versions(sandbox: Client) -> None:
    answer = send(sandbox, conversion(), LinkedIn_Version=None)
    assert (answer.status_code, answer.json()["code"]) == (400, "VERSION_MISSING")
    answer = send(sandbox, conversion(), LinkedIn_Version="202512")
    assert (answer.status_code, answer.json()["code"]) == (426, "NONEXISTENT_VERSION")


def test_an_equal_event_id_counts_again(sandbox: Client) -> None:
    send(sandbox, conversion())
    send(sandbox, conversion())
    assert sandbox.outcomes("linkedin") == ["first", "again"]


def test_signing_in(sandbox: Client) -> None:
    for token in (None, "Bearer other"):
        answer = send(sandbox, conversion(), Authorization=token)
        assert (answer.status_code, answer.json()["code"]) == (401, "REVOKED_ACCESS_TOKEN")
    sandbox.fault("linkedin", "expired_token", times=1)
    assert send(sandbox, conversion()).json()["code"] == "EXPIRED_ACCESS_TOKEN"
    form = {
        "grant_type": "refresh_token", "client_id": linkedin.CLIENT_ID, "client_secret": linkedin.CLIENT_SECRET,
        "refresh_token": linkedin.REFRESH_TOKEN,
    }  # fmt: skip
    url = f"{sandbox.base}/linkedin/oauth/v2/accessToken"
    granted = sandbox.http.post(url, data=form).json()
    assert (granted["refresh_token"], granted["expires_in"]) == (linkedin.REFRESH_TOKEN, 5_184_000)
    assert send(sandbox, conversion(), Authorization=f"Bearer {granted['access_token']}").status_code == 200
    refused = sandbox.http.post(url, data={**form, "refresh_token": "other"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
