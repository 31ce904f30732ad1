"""Google Ads API v26: guides on uploads of conversions and adjustments, protos of the errors."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from capi_pipeline.sandbox import accounts

from .conftest import Client, Clock
from .payloads import ABSENT, EMAIL, EMPTY, NAME, PHONE, changed

ACTION = "customers/1234567890/conversionActions/"
EMAILS = [{"hashedEmail": EMAIL}]
ADDRESS = {"hashedFirstName": NAME, "hashedLastName": NAME, "countryCode": "US", "postalCode": "94105", "city": "Paris"}


def conversion(number: object = 1) -> dict[str, Any]:
    return {
        "conversionAction": f"{ACTION}111",
        "conversionDateTime": "2026-10-01 14:23:05+00:00",
        "conversionValue": 149.97,
        "currencyCode": "USD",
        "orderId": f"ORD-{number}",
        "gclid": f"click-{number}",
        "userIdentifiers": [
            {"userIdentifierSource": "FIRST_PARTY", "hashedEmail": EMAIL},
            {"hashedPhoneNumber": PHONE},
        ],
        "consent": {"adUserData": "GRANTED"},
        "customerType": "NEW",
        "cartData": {"merchantId": "123456789", "items": [{"productId": "SKU-1", "quantity": 1, "unitPrice": 149.97}]},
    }


def restatement(number: object = 1, **changes: Any) -> dict[str, Any]:
    return {
        "conversionAction": f"{ACTION}111",
        "adjustmentType": "RESTATEMENT",
        "adjustmentDateTime": "2026-10-01 15:00:00+00:00",
        "orderId": f"ORD-{number}",
        "restatementValue": {"adjustedValue": 124.98, "currencyCode": "USD"},
        **changes,
    }


def retraction(number: object = 1) -> dict[str, Any]:
    row = restatement(number, adjustmentType="RETRACTION")
    del row["restatementValue"]
    return row


def enhancement(number: object = 1) -> dict[str, Any]:
    return {
        "conversionAction": f"{ACTION}1111",
        "adjustmentType": "ENHANCEMENT",
        "orderId": f"ORD-{number}",
        "gclidDateTimePair": {"conversionDateTime": "2026-10-01 14:23:05+00:00"},
        "userIdentifiers": [{"hashedEmail": EMAIL}, {"addressInfo": ADDRESS}],
        "userAgent": "Mozilla/5.0",
    }


class Ads:
    """The API as a good sender calls it."""

    def __init__(self, sandbox: Client) -> None:
        self.base = f"{sandbox.base}/google_ads"
        form = {
            "grant_type": "refresh_token", "client_id": accounts.GOOGLE_CLIENT_ID,
            "client_secret": accounts.GOOGLE_CLIENT_SECRET, "refresh_token": accounts.GOOGLE_REFRESH_TOKEN,
        }  # fmt: skip
        token = requests.post(f"{self.base}/token", form, timeout=10).json()
        assert token["scope"].endswith("/auth/adwords")
        self.headers = {"Authorization": f"Bearer {token['access_token']}", "login-customer-id": "9998887777"}

    def post(
        self, operation: str, body: object, customer: str = "1234567890", version: str = "v26"
    ) -> requests.Response:
        url = f"{self.base}/{version}/customers/{customer}:{operation}"
        return requests.post(url, json=body, headers=self.headers, timeout=10)

    def convert(self, *rows: object, **more: object) -> requests.Response:
        return self.post("uploadClickConversions", {"conversions": list(rows), "partialFailure": True, **more})

    def adjust(self, *rows: object, **more: object) -> requests.Response:
        body = {"conversionAdjustments": list(rows), "partialFailure": True, **more}
        return self.post("uploadConversionAdjustments", body)


@pytest.fixture
def ads(sandbox: Client) -> Ads:
    sandbox.settings(access_token_seconds=10_000_000)  # some tests move the clock by days
    return Ads(sandbox)


def problems(answer: requests.Response) -> dict[int, str]:
    """Code by row; the rows that failed have an empty result."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["request-id"]
    body = answer.json()
    found = {}
    for error in body.get("partialFailureError", {"details": [{"errors": []}]})["details"][0]["errors"]:
        place = error["location"]["fieldPathElements"][0]
        assert place["fieldName"] in ("conversions", "conversion_adjustments")
        found[place.get("index", 0)] = next(iter(error["errorCode"].values()))
    assert {row for row, result in enumerate(body["results"]) if result == {}} == set(found)
    return found


def refusal(answer: requests.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == status
    return str(next(iter(error["details"][0]["errors"][0]["errorCode"].values())))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("gclid", ABSENT),
        ("orderId", ABSENT),
        ("userIdentifiers", ABSENT),
        ("conversionValue", ABSENT),
        ("consent", ABSENT),
        ("cartData", ABSENT),
        ("conversionDateTime", "2026-10-01 16:23:05+02:00"),
        ("cartData.items.0.quantity", "1"),
    ],
)
def test_accepts_good_conversions(ads: Ads, sandbox: Client, path: str, value: object) -> None:
    assert problems(ads.convert(changed(conversion(), path, value))) == {}
    assert sandbox.counts("google_ads")["accepted"] == 1


BAD: list[tuple[str, object, str]] = [
    ("conversionAction", "111", "NO_CONVERSION_ACTION_FOUND"),
    ("conversionAction", f"{ACTION}42", "NO_CONVERSION_ACTION_FOUND"),
    ("conversionAction", f"{ACTION}1111", "INVALID_CONVERSION_ACTION_TYPE"),
    ("conversionDateTime", ABSENT, "INVALID_STRING_DATE_TIME"),
    ("conversionDateTime", "2026-10-01T14:23:05+00:00", "INVALID_STRING_DATE_TIME"),
    ("conversionDateTime", "2026-10-01 14:23:05", "INVALID_STRING_DATE_TIME"),
    ("conversionDateTime", "2026-10-01 16:00:01+00:00", "LATER_THAN_MAXIMUM_DATE"),
    ("conversionDateTime", "2026-07-01 16:00:00+00:00", "EXPIRED_EVENT"),
    ("orderId", "x" * 65, "TOO_LONG"),
    ("orderId", "jane@example.com", "ORDER_ID_CONTAINS_PII"),
    ("gclid", "not a click", "UNPARSEABLE_GCLID"),
    ("gbraid", "b", "VALUE_MUST_BE_UNSET"),
    ("currencyCode", "usd", "UNSUPPORTED"),
    ("consent.adPersonalization", "GRANTED", "VALUE_MUST_BE_UNSET"),
    ("conversionEnvironment", "WEB", "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"),
    ("userIdentifiers", EMAILS * 6, "TOO_MANY"),
    ("userIdentifiers.0.hashedEmail", "jane@example.com", "INVALID_USER_IDENTIFIER"),
    ("userIdentifiers.0.hashedEmail", EMPTY, "INVALID_USER_IDENTIFIER"),
    ("userIdentifiers.0.hashedPhoneNumber", PHONE, "REQUIRED"),
    ("userIdentifiers.1", {"addressInfo": ADDRESS}, "UNSUPPORTED_USER_IDENTIFIER"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "code"), BAD)
def test_a_bad_row_leaves_the_others_alone(ads: Ads, sandbox: Client, path: str, value: object, code: str) -> None:
    assert problems(ads.convert(conversion(1), changed(conversion(2), path, value))) == {1: code}
    counts = sandbox.counts("google_ads")
    assert (counts["accepted"], counts["rejected"]) == (1, 1)


def test_clicks_exclude_each_other(ads: Ads) -> None:
    both = changed(conversion(1) | {"gbraid": "b", "wbraid": "w"}, "gclid", ABSENT)
    nobody = changed(changed(conversion(2), "gclid", ABSENT), "userIdentifiers", ABSENT)
    with_cart = changed(conversion(3) | {"gbraid": "b"}, "gclid", ABSENT)
    assert problems(ads.convert(both, nobody, with_cart)) == {
        0: "GBRAID_WBRAID_BOTH_SET", 1: "REQUIRED", 2: "VALUE_MUST_BE_UNSET",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value"),
    [("foo", 1), ("conversionValue", "149.97"), ("customerType", "OLD"), ("userIdentifiers", {}), ("orderId", 7)],
)
def test_json_that_does_not_fit_refuses_the_request(ads: Ads, sandbox: Client, path: str, value: object) -> None:
    answer = ads.convert(conversion(1), changed(conversion(2), path, value))
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert sandbox.counts("google_ads")["accepted"] == 0


def test_envelope(ads: Ads, sandbox: Client) -> None:
    rows = [conversion(number) for number in range(2001)]
    assert refusal(ads.convert(*rows), 400) == "TOO_MANY_CONVERSIONS_IN_REQUEST"
    assert problems(ads.convert(*rows[:2000])) == {}
    assert sandbox.counts("google_ads")["accepted"] == 2000
    assert refusal(ads.adjust(*[restatement()] * 2001), 400) == "TOO_MANY_ADJUSTMENTS_IN_REQUEST"
    assert refusal(ads.convert(), 400) == "REQUIRED_FIELD_MISSING"
    assert refusal(ads.convert(conversion(), partialFailure=False), 400) == "PARTIAL_FAILURE_MODE_REQUIRED"
    assert ads.post("uploadClickConversions", [conversion()]).status_code == 400


def test_access(ads: Ads) -> None:
    body = {"conversions": [conversion()], "partialFailure": True}
    assert refusal(ads.post("uploadClickConversions", body, customer="1"), 403) == "USER_PERMISSION_DENIED"
    code = refusal(ads.post("uploadClickConversions", body, customer="5550001111"), 403)
    assert code == "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"
    assert ads.post("uploadClickConversions", body, version="v22").status_code == 404
    ads.headers["login-customer-id"] = "1"
    assert refusal(ads.convert(conversion()), 403) == "USER_PERMISSION_DENIED"
    ads.headers = {"Authorization": "Bearer other"}
    assert refusal(ads.convert(conversion()), 401) == "OAUTH_TOKEN_INVALID"


def test_a_repeated_order_counts_once(ads: Ads, sandbox: Client) -> None:
    assert problems(ads.convert(conversion(1), conversion(1), conversion(2))) == {1: "ORDER_ID_ALREADY_IN_USE"}
    elsewhere = conversion(1) | {"conversionAction": f"{ACTION}222"}
    assert problems(ads.convert(conversion(1), elsewhere)) == {0: "ORDER_ID_ALREADY_IN_USE"}
    clicked = changed(conversion(4), "orderId", ABSENT)
    assert problems(ads.convert(clicked, clicked)) == {1: "CLICK_CONVERSION_ALREADY_EXISTS"}
    counts = sandbox.counts("google_ads")
    assert (counts["accepted"], counts["duplicates"], counts["rejected"], counts["double_counted"]) == (4, 3, 0, 0)


def test_a_restatement_gives_a_new_total_and_a_retraction_none(ads: Ads, sandbox: Client) -> None:
    ads.convert(conversion())
    assert problems(ads.adjust(restatement())) == {}
    assert sandbox.get("events", platform="google_ads")[0]["value"] == 124.98
    assert problems(ads.adjust(restatement())) == {0: "RESTATEMENT_ALREADY_EXISTS"}
    earlier = restatement(adjustmentDateTime="2026-10-01 14:59:59+00:00")
    assert problems(ads.adjust(earlier)) == {0: "MORE_RECENT_RESTATEMENT_FOUND"}
    assert problems(ads.adjust(retraction())) == {}
    assert problems(ads.adjust(retraction())) == {0: "CONVERSION_ALREADY_RETRACTED"}
    first = sandbox.get("events", platform="google_ads")[0]
    assert (first["value"], first["retracted"]) == (None, True)
    counts = sandbox.counts("google_ads")
    assert (counts["accepted"], counts["adjustments"]) == (1, 2)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (restatement("unknown"), "CONVERSION_NOT_FOUND"),
        (restatement(adjustmentDateTime="2026-10-01 14:23:05+00:00"), "ADJUSTMENT_PRECEDES_CONVERSION"),
        (restatement(adjustmentDateTime="2026-10-01 16:00:01+00:00"), "LATER_THAN_MAXIMUM_DATE"),
        (restatement(adjustmentDateTime="2026-10-01"), "INVALID_STRING_DATE_TIME"),
        (restatement(restatementValue={}), "MISSING_RESTATED_VALUE"),
        (restatement(adjustmentType="RETRACTION"), "CANNOT_RESTATE_WITHOUT_RESTATEMENT"),
        (restatement(userIdentifiers=EMAILS), "VALUE_MUST_BE_UNSET"),
        (restatement(gclidDateTimePair={"conversionDateTime": "2026-10-01 14:23:05+00:00"}), "VALUE_MUST_BE_UNSET"),
        (changed(restatement(), "adjustmentType", ABSENT), "INVALID_ADJUSTMENT_TYPE"),
        (enhancement() | {"conversionAction": f"{ACTION}111"}, "INVALID_CONVERSION_ACTION_TYPE"),
        (changed(enhancement(), "orderId", ABSENT), "REQUIRED"),
        (changed(enhancement(), "userIdentifiers", []), "REQUIRED"),
        (changed(enhancement(), "userIdentifiers.1.addressInfo.postalCode", ABSENT), "INVALID_USER_IDENTIFIER"),
        (changed(enhancement(), "userIdentifiers.1.addressInfo.city", EMAIL), "INVALID_USER_IDENTIFIER"),
        (changed(enhancement(), "userIdentifiers.1.addressInfo.hashedFirstName", "jane"), "INVALID_USER_IDENTIFIER"),
        (changed(enhancement(), "gclidDateTimePair.conversionDateTime", "2026-09-30 14:00:00+00:00"), "CONVERSION_EXPIRED"),
    ],
)  # fmt: skip
def test_a_bad_adjustment_is_named(ads: Ads, row: dict[str, Any], code: str) -> None:
    ads.convert(conversion())
    assert problems(ads.adjust(row)) == {0: code}


def test_an_adjustment_comes_within_55_days(ads: Ads, clock: Clock) -> None:
    ads.convert(conversion())
    clock.forward(days=56)
    late = restatement(adjustmentDateTime="2026-11-20 15:00:00+00:00")
    assert problems(ads.adjust(late)) == {0: "CONVERSION_EXPIRED"}


def test_a_conversion_is_enhanced_once(ads: Ads, sandbox: Client) -> None:
    assert problems(ads.adjust(enhancement(1), enhancement(2))) == {}
    assert problems(ads.adjust(enhancement(1))) == {0: "CONVERSION_ALREADY_ENHANCED"}
    assert sandbox.counts("google_ads")["accepted"] == 2


def test_validate_only_stores_nothing(ads: Ads, sandbox: Client) -> None:
    bad = changed(conversion(2), "gclid", "a b")
    answer = ads.convert(conversion(), bad, validateOnly=True).json()
    assert answer["results"] == []
    assert len(answer["partialFailureError"]["details"][0]["errors"]) == 1
    assert sandbox.counts("google_ads")["accepted"] == 0
