"""Awin: reference page of the Conversion API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.awin import ADVERTISER_ID, API_KEY

from .conftest import Client
from .payloads import ABSENT, changed, seconds


def good(number: object = 1) -> dict[str, Any]:
    return {
        "orderReference": f"ORD-{number}",
        "amount": 149.97,
        "channel": "aw",
        "currency": "USD",
        "awc": "12345_1790000000_abc",
        "commissionGroups": [{"code": "DEFAULT", "amount": 149.97}],
        "basket": [{"id": "SKU-1", "name": "Shoe", "price": 149.97, "quantity": 1, "commissionGroupCode": "DEFAULT"}],
    }


def send(
    sandbox: Client, *orders: object, key: str = API_KEY, advertiser: str = ADVERTISER_ID, **root: object
) -> requests.Response:
    return sandbox.http.post(
        f"{sandbox.base}/awin/s2s/advertiser/{advertiser}/orders",
        json={"orders": list(orders), **root},
        headers={"x-api-key": key} if key else {},
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"basket": []},
        {"awc": "", "voucher": "AUTUMN"},
        {"awc": "", "publisherId": 45628, "clickTime": seconds()},
        {"customerAcquisition": "RETURNING", "transactionTime": seconds()},
        {"amount": 1, "commissionGroups": [{"code": "LEAD", "amount": 1}]},
        {"commissionGroups": [{"code": "DEFAULT", "amount": 100}, {"code": "LEAD", "amount": 49.97}]},
    ],
)
def test_accepts(sandbox: Client, change: dict[str, Any]) -> None:
    answer = send(sandbox, good() | change)
    assert answer.status_code == 200
    body = answer.json()
    assert body["batchId"]
    assert [order["orderReference"] for order in body["successfulOrders"]] == ["ORD-1"]
    assert body["failedOrders"] == body["pendingOrders"] == []
    assert sandbox.counts("awin")["accepted"] == 1


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("orderReference", ABSENT, "orderReference"),
        ("orderReference", "x" * 51, "orderReference"),
        ("amount", "149.97", "amount"),
        ("amount", -1, "amount"),
        ("channel", ABSENT, "channel"),
        ("currency", "usd", "currency"),
        ("awc", ABSENT, "awc"),
        ("customerAcquisition", "new", "customerAcquisition"),
        ("transactionTime", seconds(timedelta(seconds=-1)), "transactionTime"),
        ("isTest", "true", "isTest"),
        ("commissionGroups", [], "commissionGroups"),
        ("commissionGroups.0.code", "default", "commissionGroups"),
        ("commissionGroups.0.code", "OTHER", "commissionGroups"),
        ("commissionGroups.0.amount", 149.9, "commissionGroups"),
        ("basket", {}, "basket"),
        ("basket.0.id", ABSENT, "basket"),
        ("basket.0.price", ABSENT, "basket"),
        ("basket.0.quantity", 1.5, "basket"),
        ("basket.0.name", "A|B", "basket"),
        ("basket.0.commissionGroupCode", "OTHER", "basket"),
    ],
)
def test_a_bad_order_fails_alone(sandbox: Client, path: str, value: object, field: str) -> None:
    answer = send(sandbox, good(1), changed(good(2), path, value))
    assert answer.status_code == 206
    (failed,) = answer.json()["failedOrders"]
    assert failed["errors"][0]["field"] == field
    counts = sandbox.counts("awin")
    assert (counts["accepted"], counts["rejected"]) == (1, 1)


def test_a_known_order_is_not_paid_again(sandbox: Client) -> None:
    for _ in range(2):
        assert send(sandbox, good()).status_code == 200
    counts = sandbox.counts("awin")
    assert (counts["accepted"], counts["duplicates"], counts["double_counted"]) == (1, 1, 0)


def test_a_test_order_is_not_paid(sandbox: Client) -> None:
    send(sandbox, good() | {"isTest": True})
    assert sandbox.outcomes("awin") == ["test"]


def test_envelope_and_authentication(sandbox: Client) -> None:
    assert send(sandbox).status_code == 400
    assert send(sandbox, *[good(number) for number in range(1001)]).status_code == 400
    assert send(sandbox, good(), orders="ORD-1").status_code == 400
    assert send(sandbox, good(), key="").status_code == 401
    assert send(sandbox, good(), key="awin-key").status_code == 401
    assert send(sandbox, good(), advertiser="1").status_code == 404
    assert sandbox.get("events", platform="awin") == []
