"""impact.com: reference pages on conversions, actions and submissions."""

from __future__ import annotations

import pytest
import requests

from capi_pipeline.sandbox.platforms.impact import ACCOUNT_SID, AUTH_TOKEN

from .conftest import Client, Clock

GOOD = {
    "CampaignId": "3641", "EventTypeId": "7001", "EventDate": "2026-10-01T15:00:00Z", "OrderId": "ORD-1", "ClickId": "c",
    "CurrencyCode": "USD", "CustomerEmail": "a3caddb38202511eab803116294dc020f7c4f8a2", "ItemSku1": "SKU-1",
    "ItemQuantity1": "2", "ItemPrice1": "9.5", "ItemSku2": "SKU-2", "ItemQuantity2": "1", "ItemPrice2": "1",
}  # fmt: skip
CHANGE = {"ActionTrackerId": "7001", "OrderId": "ORD-1", "Reason": "ITEM_RETURNED"}
NO_ITEMS = dict.fromkeys(name for name in GOOD if name.startswith("Item"))


def send(
    sandbox: Client, form: dict[str, str | None], method: str = "POST", path: str = "Conversions", token: str = AUTH_TOKEN,
    sid: str = ACCOUNT_SID,
) -> requests.Response:  # fmt: skip
    return sandbox.http.request(
        method,
        f"{sandbox.base}/impact/Advertisers/{sid}/{path}",
        data={name: value for name, value in form.items() if value is not None},
        auth=(sid, token),
    )


def convert(sandbox: Client, **changes: str | None) -> requests.Response:
    return send(sandbox, {**GOOD, **changes})


def change(sandbox: Client, **changes: str | None) -> requests.Response:
    return send(sandbox, {**CHANGE, **changes}, "PUT", "Actions")


def verdict(sandbox: Client, answer: requests.Response) -> dict[str, str]:
    found: dict[str, str] = sandbox.http.get(
        f"{sandbox.base}/impact{answer.json()['QueuedUri']}", auth=(ACCOUNT_SID, AUTH_TOKEN)
    ).json()
    return found


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({}, 20.0),
        ({"OrderDiscount": "1.5"}, 18.5),
        ({**NO_ITEMS, "OrderSubTotalPostDiscount": "12000", "CurrencyCode": "JPY"}, 12000.0),
        ({**NO_ITEMS, "CurrencyCode": None}, None),
        ({"ClickId": None, "OrderPromoCode": "AUTUMN"}, 20.0),
    ],
)
def test_accepts(sandbox: Client, changes: dict[str, str | None], value: float | None) -> None:
    answer = convert(sandbox, **changes)
    assert (answer.status_code, answer.json()["Status"]) == (200, "QUEUED")
    assert verdict(sandbox, answer) == {"Status": "Complete"}
    (event,) = sandbox.get("events", platform="impact")
    assert (event["counted"], event["value"]) == (True, value)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("CampaignId", "1", "CampaignId"),
        ("EventTypeId", None, "EventTypeId"),
        ("EventDate", "2026-10-01", "EventDate"),
        ("EventDate", "2026-10-01T16:00:01Z", "EventDate"),
        ("OrderId", "", "OrderId"),
        ("OrderId", "x" * 65, "OrderId"),
        ("ClickId", "x" * 65, "ClickId"),
        ("ClickId", None, "ClickId"),
        ("CustomerEmail", "jane@example.com", "CustomerEmail"),
        ("CustomerStatus", "new", "CustomerStatus"),
        ("CurrencyCode", None, "CurrencyCode"),
        ("ItemPrice1", "9,50", "ItemPrice1"),
        ("ItemPrice2", None, "ItemSku1"),
        ("ItemQuantity1", "1.5", "ItemSku1"),
        ("ItemSubTotal1", "19", "ItemPrice1"),
        ("OrderSubTotalPostDiscount", "20", "OrderSubTotalPostDiscount"),
    ],
)
def test_refuses(sandbox: Client, field: str, value: str | None, named: str) -> None:
    answer = convert(sandbox, **{field: value})
    assert (answer.status_code, answer.json()["Status"]) == (400, "ERROR")
    assert answer.json()["Errors"][0]["Field"] == named
    counts = sandbox.counts("impact")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_only_the_submission_tells_of_a_contract(sandbox: Client) -> None:
    assert verdict(sandbox, convert(sandbox, EventTypeId="1"))["ErrorType"] == "CONTRACT_NOT_FOUND"
    assert sandbox.outcomes("impact") == ["failed"]


def test_an_order_is_counted_once_per_event_type(sandbox: Client) -> None:
    convert(sandbox)
    assert verdict(sandbox, convert(sandbox))["ErrorType"] == "DUPLICATE_ACTION"
    convert(sandbox, EventTypeId="7002")
    assert sandbox.outcomes("impact") == ["first", "duplicate", "first"]


def test_a_submission_takes_its_time(sandbox: Client, clock: Clock) -> None:
    sandbox.settings(verdict_delay=60.0)
    answer = convert(sandbox)
    assert verdict(sandbox, answer) == {"Status": "Queued"}
    clock.forward(seconds=60)
    assert verdict(sandbox, answer) == {"Status": "Complete"}


def test_a_total_may_be_sent_again_and_a_difference_may_not(sandbox: Client) -> None:
    convert(sandbox)
    values = []
    for form in (
        {"Amount": "15"},
        {"Amount": "15"},
        *[{"Sku": "SKU-2", "ItemSubTotalDelta": "-1"}] * 2,
        {"Amount": "0"},
    ):
        assert change(sandbox, **form).json()["Status"] == "QUEUED"
        values.append(sandbox.get("events", platform="impact")[0]["value"])
    assert values == [15, 15, 14, 13, 0]
    assert sandbox.outcomes("impact")[1:] == ["restated"] * 4 + ["retracted"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Amount": "15", "Reason": "RETURNED"}, 400),
        ({}, 400),
        ({"Amount": "-1"}, 400),
        ({"Sku": "SKU-1"}, 400),
        ({"Amount": "15", "Sku": "SKU-1", "ItemSubTotalDelta": "-1"}, 400),
        ({"Amount": "15", "OrderId": "ORD-2"}, 404),
    ],
)
def test_a_bad_change_is_refused(sandbox: Client, changes: dict[str, str], status: int) -> None:
    convert(sandbox)
    assert change(sandbox, **changes).status_code == status
    assert sandbox.outcomes("impact") == ["first"]


def test_authentication_and_form(sandbox: Client) -> None:
    assert send(sandbox, {**GOOD}, token="other").status_code == 401
    assert send(sandbox, {**GOOD}, sid="IRother").status_code == 401
    address = f"{sandbox.base}/impact/Advertisers/{ACCOUNT_SID}/Conversions"
    assert sandbox.http.post(address, json=GOOD, auth=(ACCOUNT_SID, AUTH_TOKEN)).status_code == 400
    assert sandbox.http.post(address, data=GOOD).status_code == 401
    assert sandbox.get("events", platform="impact") == []
