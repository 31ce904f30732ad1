"""Microsoft: applyofflineconversions, applyofflineconversionadjustments, operation error codes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from capi_pipeline.sandbox import accounts

from .conftest import Client, Clock
from .payloads import ABSENT, EMAIL, EMPTY, changed, microsoft_adjustment, microsoft_row


def test_accepts(sandbox: Client) -> None:
    answer = sandbox.microsoft(microsoft_row(1), microsoft_row(2))
    assert (answer.status_code, answer.json()) == (200, {"PartialErrors": []})
    assert sandbox.counts("microsoft_offline")["accepted"] == 2


@pytest.mark.parametrize(
    "row",
    [
        changed(microsoft_row(), "MicrosoftClickId", ABSENT),
        changed(changed(microsoft_row(), "HashedEmailAddress", ABSENT), "HashedPhoneNumber", None),
        microsoft_row() | {"ConversionName": accounts.MICROSOFT_CLICK_ID_ONLY_GOAL},
        changed(changed(microsoft_row(), "ConversionValue", ABSENT), "ConversionCurrencyCode", ABSENT),
        microsoft_row() | {"ConversionValue": 999999999999},
        microsoft_row() | {"ConversionValue": 0},
        microsoft_row() | {"ConversionTime": "2026-07-04T16:00:00Z"},
    ],
)
def test_accepts_good_rows(sandbox: Client, row: dict[str, Any]) -> None:
    assert sandbox.microsoft_codes(row) == {}
    assert sandbox.counts("microsoft_offline")["accepted"] == 1


BAD: list[tuple[str, object, int]] = [
    ("ConversionName", ABSENT, 5605),
    ("ConversionName", "", 5605),
    ("ConversionName", "offline purchase", 5606),
    ("ConversionTime", ABSENT, 5608),
    ("ConversionTime", "2026-10-01 14:23:05", 5607),
    ("ConversionTime", "2026-10-01T14:23:05", 5607),
    ("ConversionTime", "2026-10-01T16:23:05+02:00", 5607),
    ("ConversionTime", 1790864585, 5607),
    ("ConversionTime", "2026-07-03T15:59:59Z", 5609),
    ("ConversionTime", "2026-10-01T16:00:01Z", 5614),
    ("MicrosoftClickId", "_uet0123456789abcdef", 5604),
    ("MicrosoftClickId", 7, 5604),
    ("MicrosoftClickId", "with space", 5604),
    ("HashedEmailAddress", "jane.doe@example.com", 5628),
    ("HashedEmailAddress", EMPTY, 5628),
    ("HashedPhoneNumber", "+14155552671", 5629),
    ("ConversionValue", -1, 5610),
    ("ConversionValue", "149.97", 5610),
    ("ConversionValue", 1.2345, 5610),
    ("ConversionValue", 1000000000000, 5610),
    ("ConversionCurrencyCode", "usd", 5611),
]


@pytest.mark.parametrize(("path", "value", "code"), BAD)
def test_a_bad_row_is_named_and_the_others_are_applied(sandbox: Client, path: str, value: object, code: int) -> None:
    rows = [microsoft_row(1), changed(microsoft_row(2), path, value), microsoft_row(3)]
    (error,) = sandbox.microsoft(*rows).json()["PartialErrors"]
    assert (error["Index"], error["Code"], error["Type"]) == (1, code, "BatchError")
    assert error["ErrorCode"]
    counts = sandbox.counts("microsoft_offline")
    assert (counts["accepted"], counts["rejected"]) == (2, 1)


def test_rows_without_identifier(sandbox: Client) -> None:
    bare = {name: microsoft_row()[name] for name in ("ConversionName", "ConversionTime")}
    not_enhanced = bare | {"ConversionName": accounts.MICROSOFT_CLICK_ID_ONLY_GOAL, "HashedEmailAddress": EMAIL}
    assert sandbox.microsoft_codes(bare, None, not_enhanced) == {0: 5603, 1: 5602, 2: 5603}


def test_lists(sandbox: Client) -> None:
    bodies: list[dict[str, Any]] = [{}, {"OfflineConversions": []}]
    for body in bodies:
        answer = sandbox.microsoft(body=body)
        assert (answer.status_code, answer.json()["OperationErrors"][0]["Code"]) == (400, 5600)
    too_many = sandbox.microsoft(*[microsoft_row(number) for number in range(1001)])
    assert too_many.json()["OperationErrors"][0]["Code"] == 5601
    assert sandbox.microsoft_codes(*[microsoft_row(number) for number in range(1000)]) == {}
    unreadable = sandbox.microsoft(body=[])
    assert unreadable.json()["Errors"][0]["Code"] == 201


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": None}, 401, 105),
        ({"Authorization": "Bearer other"}, 401, 105),
        ({"DeveloperToken": None}, 401, 105),
        ({"DeveloperToken": "other"}, 401, 105),
        ({"CustomerId": None}, 400, 1029),
        ({"CustomerId": "1"}, 403, 106),
        ({"CustomerAccountId": None}, 403, 106),
        ({"CustomerAccountId": "1"}, 403, 106),
    ],
)
def test_authentication(sandbox: Client, headers: dict[str, str | None], status: int, code: int) -> None:
    answer = sandbox.microsoft(microsoft_row(), headers=headers)
    assert (answer.status_code, answer.json()["Errors"][0]["Code"]) == (status, code)
    assert answer.json()["Type"] == "AdApiFaultDetail"
    assert answer.json()["TrackingId"]
    assert sandbox.counts("microsoft_offline")["accepted"] == 0


def test_a_copy_is_ignored_without_a_word(sandbox: Client, clock: Clock) -> None:
    sandbox.settings(access_token_seconds=10_000_000)
    sandbox.microsoft(microsoft_row())
    clock.forward(days=80)
    assert sandbox.microsoft_codes(microsoft_row() | {"ConversionValue": 1}) == {}
    assert sandbox.outcomes("microsoft_offline") == ["first", "duplicate"]
    assert sandbox.get("events", platform="microsoft_offline")[0]["value"] == 149.97


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("MicrosoftClickId", ABSENT),
        ("ConversionName", "Lead"),
        ("ConversionTime", "2026-10-01T14:23:05Z"),  # the same moment, written in another way
        ("HashedEmailAddress", ABSENT),
        ("HashedPhoneNumber", EMAIL),
    ],
)
def test_the_key_has_five_parts(sandbox: Client, field: str, value: object) -> None:
    sandbox.microsoft(microsoft_row(), changed(microsoft_row(), field, value))
    assert sandbox.outcomes("microsoft_offline") == ["first", "first"]


def test_restate_and_retract(sandbox: Client) -> None:
    sandbox.microsoft(microsoft_row(1), microsoft_row(2))
    retract = {
        name: value
        for name, value in (microsoft_adjustment(2) | {"AdjustmentType": "Retract"}).items()
        if name not in ("AdjustmentValue", "AdjustmentCurrencyCode")
    }
    assert sandbox.microsoft_codes(microsoft_adjustment(1), retract, adjust=True) == {}
    first, second, *adjustments = sandbox.get("events", platform="microsoft_offline")
    assert (first["value"], first["currency"], first["retracted"]) == (124.98, "USD", False)
    assert (second["value"], second["retracted"]) == (None, True)
    assert [event["outcome"] for event in adjustments] == ["restated", "retracted"]
    counts = sandbox.counts("microsoft_offline")
    assert (counts["accepted"], counts["adjustments"]) == (2, 2)


def test_an_adjustment_needs_the_exact_original(sandbox: Client) -> None:
    sandbox.microsoft(microsoft_row())
    assert sandbox.microsoft_codes(changed(microsoft_adjustment(), "MicrosoftClickId", ABSENT), adjust=True) == {}
    assert sandbox.outcomes("microsoft_offline") == ["first", "AdjustmentOriginalNotFound"]
    assert sandbox.get("events", platform="microsoft_offline")[0]["value"] == 149.97


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("AdjustmentType", "Refund", 5618),
        ("AdjustmentTime", ABSENT, 5619),
        ("AdjustmentTime", "yesterday", 5620),
        ("AdjustmentTime", "2026-10-01T16:00:01Z", 5621),
        ("AdjustmentTime", "2026-10-01T14:00:00Z", 5623),
        ("AdjustmentType", "Retract", 5624),
        ("AdjustmentValue", ABSENT, 5625),
        ("AdjustmentValue", -1, 5610),
        ("AdjustmentCurrencyCode", "usd", 5611),
        ("ConversionName", accounts.MICROSOFT_FIXED_GOAL, 5627),
        ("ConversionName", "Unknown", 5606),
        ("ConversionTime", ABSENT, 5608),
    ],
)
def test_bad_adjustments(sandbox: Client, path: str, value: object, code: int) -> None:
    assert sandbox.microsoft_codes(changed(microsoft_adjustment(), path, value), adjust=True) == {0: code}


def test_a_currency_without_value(sandbox: Client) -> None:
    row = changed(microsoft_adjustment() | {"AdjustmentType": "Retract"}, "AdjustmentValue", ABSENT)
    assert sandbox.microsoft_codes(row, adjust=True) == {0: 5626}


def test_old_adjustments(sandbox: Client, clock: Clock) -> None:
    clock.now = datetime(2027, 1, 15, tzinfo=UTC)
    row = microsoft_adjustment() | {"ConversionTime": "2026-10-17T00:00:00.000Z"}
    assert sandbox.microsoft_codes(row | {"AdjustmentTime": "2026-10-16T00:00:00Z"}, adjust=True) == {0: 5622}


def test_refused_rows_may_carry_a_code(sandbox: Client) -> None:
    sandbox.fault("microsoft_offline", "reject_event", match="clk-msclkid-2", code=5612)
    assert sandbox.microsoft_codes(microsoft_row(1), microsoft_row(2)) == {1: 5612}
