"""Google Data Manager: developers.google.com/data-manager/api, discovery document and guides."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from capi_pipeline.sandbox import accounts

from .conftest import Client, Clock
from .payloads import ABSENT, EMAIL, EMPTY, NAME, changed, google_destination, google_event


def violations(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["details"][0]["@type"].endswith("ErrorInfo")
    return [(item["field"], item["reason"]) for item in error["details"][1]["fieldViolations"]]


def verdict(sandbox: Client, answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body = sandbox.google_status(answer.json()["requestId"]).json()
    (status,) = body["requestStatusPerDestination"]
    assert isinstance(status, dict)
    return status


def test_accepts_and_settles(sandbox: Client) -> None:
    answer = sandbox.google(google_event(1), google_event(2))
    assert set(answer.json()) == {"requestId"}
    assert sandbox.counts("google_data_manager")["accepted"] == 2
    status = verdict(sandbox, answer)
    assert status == {
        "destination": google_destination(),
        "requestStatus": "SUCCESS",
        "eventsIngestionStatus": {"recordCount": "2"},
    }


@pytest.mark.parametrize(
    "event",
    [
        changed(google_event(), "userData", ABSENT),
        changed(changed(google_event(), "userData", ABSENT), "adIdentifiers", ABSENT),  # the IP address is left
        changed(google_event(), "adIdentifiers", {"sessionAttributes": "abc"}),
        changed(google_event(), "userData.userIdentifiers.0.emailAddress", EMAIL.upper()),
        changed(google_event(), "cartData.items.0.quantity", 1),
        changed(google_event(), "conversionValue", None),
        google_event() | {"eventTimestamp": "2026-10-01T11:59:59.750Z"},
        google_event() | {"eventTimestamp": "2026-10-01T16:23:05+02:00"},
    ],
)
def test_accepts_good_events(sandbox: Client, event: dict[str, Any]) -> None:
    assert verdict(sandbox, sandbox.google(event))["requestStatus"] == "SUCCESS"


USER = "user_data.user_identifiers"
BAD: list[tuple[str, object, str, str]] = [
    ("transactionId", ABSENT, "transaction_id", "REQUIRED_FIELD_MISSING"),
    ("transactionId", "x" * 65, "transaction_id", "FIELD_VALUE_TOO_LONG"),
    ("eventTimestamp", ABSENT, "event_timestamp", "REQUIRED_FIELD_MISSING"),
    ("eventTimestamp", "2026-10-01T16:00:01Z", "event_timestamp", "EVENT_TIME_INVALID"),
    ("eventSource", ABSENT, "event_source", "REQUIRED_FIELD_MISSING"),
    ("currency", "usd", "currency", "INVALID_CURRENCY_CODE"),
    ("currency", ABSENT, "currency", "REQUIRED_FIELD_MISSING"),
    ("destinationReferences", ["other"], "destination_references", "INVALID_DESTINATION"),
    ("userData.userIdentifiers", [{"emailAddress": EMAIL}] * 11, USER, "TOO_MANY_USER_IDENTIFIERS"),
    ("userData.userIdentifiers.0", {}, f"{USER}[0]", "INVALID_ARGUMENT"),
    ("userData.userIdentifiers.0.phoneNumber", EMAIL, f"{USER}[0]", "INVALID_ARGUMENT"),
    ("userData.userIdentifiers.0.emailAddress", "jane@example.com", f"{USER}[0].email_address", "INVALID_HEX_ENCODING"),
    ("userData.userIdentifiers.0.emailAddress", EMAIL[:40], f"{USER}[0].email_address", "INVALID_SHA256_FORMAT"),
    ("userData.userIdentifiers.0.emailAddress", EMPTY, f"{USER}[0].email_address", "INVALID_SHA256_FORMAT"),
    ("userData.userIdentifiers.1.phoneNumber", "+14155552671", f"{USER}[1].phone_number", "INVALID_HEX_ENCODING"),
    (
        "userData.userIdentifiers.2.address.familyName",
        ABSENT,
        f"{USER}[2].address.family_name",
        "REQUIRED_FIELD_MISSING",
    ),
    (
        "userData.userIdentifiers.2.address.postalCode",
        ABSENT,
        f"{USER}[2].address.postal_code",
        "REQUIRED_FIELD_MISSING",
    ),
    ("userData.userIdentifiers.2.address.postalCode", NAME, f"{USER}[2].address.postal_code", "INVALID_POSTAL_CODE"),
    ("userData.userIdentifiers.2.address.regionCode", "us", f"{USER}[2].address.region_code", "INVALID_COUNTRY_CODE"),
    ("userData.userIdentifiers.2.address.givenName", "jane", f"{USER}[2].address.given_name", "INVALID_HEX_ENCODING"),
]


@pytest.mark.parametrize(("path", "value", "field", "reason"), BAD)
def test_a_bad_field_is_named_and_nothing_is_stored(
    sandbox: Client, path: str, value: object, field: str, reason: str
) -> None:
    answer = sandbox.google(google_event(1), changed(google_event(2), path, value), google_event(3))
    assert violations(answer) == [(f"events[1].{field}", reason)]
    assert answer.json()["error"]["details"][0]["reason"] == reason
    counts = sandbox.counts("google_data_manager")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_every_bad_event_is_named(sandbox: Client) -> None:
    bad = changed(google_event(), "eventSource", ABSENT)
    found = violations(sandbox.google(bad, google_event(), changed(bad, "transactionId", ABSENT)))
    assert [field for field, _ in found] == [
        "events[0].event_source",
        "events[2].transaction_id",
        "events[2].event_source",
    ]
    assert sandbox.counts("google_data_manager")["rejected"] == 2


def test_no_identifiers(sandbox: Client) -> None:
    event = google_event()
    for field in ("userData", "adIdentifiers", "eventDeviceInfo"):
        del event[field]
    assert violations(sandbox.google(event)) == [("events[0]", "NO_IDENTIFIERS_PROVIDED")]
    event["adIdentifiers"] = {"landingPageDeviceInfo": {"ipAddress": "203.0.113.7"}}
    assert sandbox.google(event).status_code == 200


@pytest.mark.parametrize(
    ("path", "value", "field", "text"),
    [
        ("foo", 1, "events[0]", "Unknown name \"foo\" at 'events[0]': Cannot find field."),
        ("adIdentifiers.fbclid", "x", "events[0].ad_identifiers", 'Unknown name "fbclid"'),
        ("cartData.items.0.price", 1, "events[0].cart_data.items[0]", 'Unknown name "price"'),
        ("transactionId", 7, "events[0].transaction_id", "TYPE_STRING"),
        ("conversionValue", "149.97", "events[0].conversion_value", "TYPE_DOUBLE"),
        ("eventSource", "WEBSITE", "events[0].event_source", "TYPE_ENUM"),
        ("eventTimestamp", "2026-10-01 14:23:05", "events[0].event_timestamp", "Timestamp"),
        ("eventTimestamp", "2026-10-01T14:23:05", "events[0].event_timestamp", "Timestamp"),
        ("eventTimestamp", 1790864585, "events[0].event_timestamp", "Timestamp"),
        ("cartData.items.0.quantity", 1.5, "events[0].cart_data.items[0].quantity", "TYPE_INT64"),
        ("userData", [], "events[0].user_data", "expected an object"),
        ("customVariables", {}, "events[0].custom_variables", "expected a list"),
    ],
)
def test_json_that_does_not_fit(sandbox: Client, path: str, value: object, field: str, text: str) -> None:
    answer = sandbox.google(changed(google_event(), path, value))
    assert [item[0] for item in violations(answer)] == [field]
    assert text in answer.json()["error"]["message"]


def test_unknown_names_in_the_envelope(sandbox: Client) -> None:
    assert violations(sandbox.google(google_event(), validate_only=True))[0][0] == ""
    assert sandbox.google("event").status_code == 400
    assert sandbox.google(None).status_code == 400


@pytest.mark.parametrize(
    ("root", "field", "reason"),
    [
        ({"destinations": []}, "destinations", "REQUIRED_FIELD_MISSING"),
        ({"destinations": [google_destination()] * 11}, "destinations", "TOO_MANY_DESTINATIONS"),
        ({"destinations": [google_destination()] * 2}, "destinations", "DUPLICATE_DESTINATION_REFERENCE"),
        ({"encoding": None}, "encoding", "REQUIRED_FIELD_MISSING"),
        ({"events": []}, "events", "REQUIRED_FIELD_MISSING"),
        ({"events": [google_event()] * 2001}, "events", "TOO_MANY_EVENTS"),
        (
            {"destinations": [changed(google_destination(), "operatingAccount", ABSENT)]},
            "destinations[0].operating_account",
            "REQUIRED_FIELD_MISSING",
        ),
        (
            {"destinations": [google_destination() | {"productDestinationId": "customers/1/conversionActions/111"}]},
            "destinations[0].product_destination_id",
            "INVALID_CONVERSION_ACTION_ID",
        ),
        (
            {"destinations": [google_destination() | {"productDestinationId": "42"}]},
            "destinations[0].product_destination_id",
            "INVALID_CONVERSION_ACTION_ID",
        ),
    ],
)
def test_envelope(sandbox: Client, root: dict[str, Any], field: str, reason: str) -> None:
    assert violations(sandbox.google(google_event(), **root)) == [(field, reason)]
    assert sandbox.counts("google_data_manager")["rejected"] == 0


def test_2000_events_fit(sandbox: Client) -> None:
    assert sandbox.google(*[google_event(number) for number in range(2000)]).status_code == 200
    assert sandbox.counts("google_data_manager")["accepted"] == 2000


@pytest.mark.parametrize("account", ["operatingAccount", "loginAccount"])
def test_foreign_accounts_are_forbidden(sandbox: Client, account: str) -> None:
    answer = sandbox.google(google_event(), destinations=[changed(google_destination(), f"{account}.accountId", "1")])
    assert (answer.status_code, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_direct_access_needs_no_login_account(sandbox: Client) -> None:
    assert sandbox.google(google_event(), destinations=[changed(google_destination(), "loginAccount", ABSENT)]).ok


def test_base64(sandbox: Client) -> None:
    email = base64.b64encode(bytes.fromhex(EMAIL)).decode()
    event = google_event() | {"userData": {"userIdentifiers": [{"emailAddress": email}]}}
    assert sandbox.google(event, encoding="BASE64").status_code == 200
    event["userData"] = {"userIdentifiers": [{"emailAddress": "jane@example.com"}]}
    assert violations(sandbox.google(event, encoding="BASE64"))[0][1] == "INVALID_BASE64_ENCODING"


def test_authentication(sandbox: Client) -> None:
    for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": accounts.GOOGLE_REFRESH_TOKEN}):
        answer = sandbox.google(google_event(), headers=headers)
        assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_a_second_event_of_a_transaction_is_an_adjustment(sandbox: Client, clock: Clock) -> None:
    sandbox.google(google_event())
    clock.forward(days=20)
    refund = google_event() | {"conversionValue": 124.98}
    assert verdict(sandbox, sandbox.google(refund, headers=None))["requestStatus"] == "SUCCESS"
    first, adjustment = sandbox.get("events", platform="google_data_manager")
    assert (first["outcome"], first["value"], first["counted"]) == ("first", 124.98, True)
    assert (adjustment["outcome"], adjustment["counted"]) == ("adjustment", False)
    counts = sandbox.counts("google_data_manager")
    assert (counts["accepted"], counts["adjustments"], counts["double_counted"]) == (1, 1, 0)


@pytest.fixture(autouse=True)
def long_tokens(sandbox: Client) -> None:
    """The tests of this module move the clock by days; token lifetimes have tests of their own."""
    sandbox.settings(access_token_seconds=10_000_000)


def test_a_refund_of_an_unknown_transaction_creates_a_conversion(sandbox: Client) -> None:
    sandbox.google(google_event("unknown") | {"conversionValue": 0})
    assert sandbox.counts("google_data_manager")["accepted"] == 1


def test_the_same_transaction_for_another_action_counts(sandbox: Client) -> None:
    sandbox.google(google_event())
    sandbox.google(google_event(), destinations=[google_destination("sign_up")])
    assert sandbox.outcomes("google_data_manager") == ["first", "first"]


def test_several_destinations(sandbox: Client) -> None:
    destinations = [google_destination() | {"reference": "a"}, google_destination("sign_up") | {"reference": "b"}]
    answer = sandbox.google(
        google_event(1) | {"destinationReferences": ["b"]}, google_event(2), destinations=destinations
    )
    statuses = sandbox.google_status(answer.json()["requestId"]).json()["requestStatusPerDestination"]
    assert [status["eventsIngestionStatus"]["recordCount"] for status in statuses] == ["1", "2"]
    assert sandbox.counts("google_data_manager")["accepted"] == 3


def test_validate_only_stores_nothing(sandbox: Client) -> None:
    answer = sandbox.google(google_event(), validateOnly=True)
    assert answer.status_code == 200
    assert sandbox.google_status(answer.json()["requestId"]).status_code == 404
    assert sandbox.counts("google_data_manager")["accepted"] == 0


def test_processing_until_the_delay_has_passed(sandbox: Client, clock: Clock) -> None:
    sandbox.settings(verdict_delay=1800)
    answer = sandbox.google(google_event())
    assert verdict(sandbox, answer)["requestStatus"] == "PROCESSING"
    clock.forward(minutes=31)
    assert verdict(sandbox, answer)["requestStatus"] == "SUCCESS"


def test_old_events_and_denied_consent_fail_in_processing(sandbox: Client) -> None:
    sandbox.settings(record_indices=True)
    old = google_event("old") | {"eventTimestamp": "2026-07-01T00:00:00Z"}
    by_user_data = changed(google_event("user") | {"eventTimestamp": "2026-07-25T00:00:00Z"}, "adIdentifiers", ABSENT)
    by_click = google_event("click") | {"eventTimestamp": "2026-07-25T00:00:00Z"}
    denied = changed(google_event("denied"), "consent.adUserData", "CONSENT_DENIED")
    status = verdict(sandbox, sandbox.google(google_event(), old, by_user_data, by_click, denied))
    assert status["requestStatus"] == "PARTIAL_SUCCESS"
    assert status["errorInfo"]["errorCounts"] == [
        {"recordCount": "2", "reason": "PROCESSING_ERROR_REASON_EVENT_TOO_OLD", "recordIndices": [1, 2]},
        {"recordCount": "1", "reason": "PROCESSING_ERROR_REASON_DENIED_CONSENT", "recordIndices": [4]},
    ]
    counts = sandbox.counts("google_data_manager")
    assert (counts["accepted"], counts["ignored"]) == (2, 3)


def test_consent_of_the_request_is_the_default(sandbox: Client) -> None:
    event = changed(google_event(), "consent", ABSENT)
    status = verdict(sandbox, sandbox.google(event, consent={"adUserData": "CONSENT_DENIED"}))
    assert status["requestStatus"] == "FAILED"


@pytest.mark.parametrize("indices", [True, False])
def test_bad_verdicts_on_demand(sandbox: Client, indices: bool) -> None:
    sandbox.fault("google_data_manager", "bad_verdict", match="ORD-2", times=1, indices=indices)
    status = verdict(sandbox, sandbox.google(google_event(1), google_event(2)))
    (count,) = status["errorInfo"]["errorCounts"]
    assert count["reason"] == "PROCESSING_ERROR_REASON_INVALID_GCLID"
    assert count.get("recordIndices") == ([1] if indices else None)
    assert sandbox.counts("google_data_manager")["accepted"] == 1
    sandbox.google(google_event(2))  # what failed was not counted, so a repeat is no adjustment
    assert sandbox.counts("google_data_manager")["accepted"] == 2


def test_duplicates_may_be_reported(sandbox: Client) -> None:
    sandbox.settings(report_duplicates=True)
    sandbox.google(google_event())
    status = verdict(sandbox, sandbox.google(google_event()))
    assert status["errorInfo"]["errorCounts"][0]["reason"].endswith("DUPLICATE_TRANSACTION_ID")


def test_unknown_request(sandbox: Client) -> None:
    answer = sandbox.google_status("unknown")
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")


def test_warnings_of_optional_fields(sandbox: Client) -> None:
    event = google_event() | {"adIdentifiers": {"gbraid": "x"}, "customVariables": [{"variable": "a", "value": "b"}]}
    warnings = sandbox.google(google_event(2), event).json()["fieldWarnings"]
    assert [(item["field"], item["reason"].rpartition("REASON_")[2]) for item in warnings] == [
        ("events[1].cart_data", "CART_DATA_NOT_SUPPORTED_WITH_GBRAID_OR_WBRAID"),
        ("events[1].custom_variables", "CUSTOM_VARIABLE_NOT_ENABLED"),
    ]
    assert sandbox.counts("google_data_manager")["accepted"] == 2


def test_not_json(sandbox: Client) -> None:
    answer = sandbox.http.post(
        f"{sandbox.base}/google_data_manager/v1/events:ingest", data=b"[]", headers=sandbox.google_headers()
    )
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"
