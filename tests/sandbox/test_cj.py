"""CJ: pages on new orders and cancellations, and the introspected schema."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.cj import ENTERPRISE_ID, PERSONAL_ACCESS_TOKEN

from .conftest import Client
from .payloads import ABSENT, EMAIL, NOW, changed

MUTATIONS = {
    "createOrders": "mutation A($newOrders: [OrderCreateRequest!]!) { createOrders(newOrders: $newOrders) }",
    "cancelOrders": "mutation B($cancelledOrders: [OrderCancelRequest!]!) { cancelOrders(cancelledOrders: $cancelledOrders) }",
}
VARIABLES = {"createOrders": "newOrders", "cancelOrders": "cancelledOrders"}
LATER = f"{NOW + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"


def good(number: object = 1) -> dict[str, Any]:
    return {
        "enterpriseId": ENTERPRISE_ID,
        "actionTrackerId": 350001,
        "orderId": f"ORD-{number}",
        "eventTime": "2026-10-01T15:00:00Z",
        "cjEvent": "c",
        "amount": "149.97",
        "currency": "USD",
        "items": [{"sku": "SKU-1", "unitPrice": "149.97", "quantity": 1}],
        "ids": {"emailHash": EMAIL, "userId": "cust-42"},
    }


def cancelled(number: object = 1) -> dict[str, Any]:
    key = {name: good(number)[name] for name in ("enterpriseId", "actionTrackerId", "orderId")}
    return {**key, "updateTime": "2026-10-01T15:30:00Z"}


def send(
    sandbox: Client, *orders: object, name: str = "createOrders", path: str = "graphql", token: str = PERSONAL_ACCESS_TOKEN,
    query: str | None = None,
) -> requests.Response:  # fmt: skip
    return sandbox.http.post(
        f"{sandbox.base}/cj/{path}",
        json={"query": MUTATIONS[name] if query is None else query, "variables": {VARIABLES[name]: list(orders)}},
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"items": None, "currency": None, "coupon": None},
        {"amount": None},
        {"cjEvent": None, "adId": "1", "promotionalPropertyId": "2"},
        {"discount": "1.5", "coupon": "AUTUMN", "verticalParameters": {"customerStatus": "new"}},
    ],
)
def test_accepts(sandbox: Client, change: dict[str, Any]) -> None:
    answer = send(sandbox, good(1) | change, good(2))
    assert answer.status_code == 200
    result = answer.json()["data"]["createOrders"]
    assert [order["orderId"] for order in result["orders"]] == ["ORD-1", "ORD-2"]
    assert all(order["submissionId"] for order in result["orders"])
    assert result["errors"] is None
    assert sandbox.counts("cj")["accepted"] == 2


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("orderId", ABSENT),
        ("enterpriseId", 1500000),
        ("actionTrackerId", "350001"),
        ("eventTime", "yesterday"),
        ("eventTime", ABSENT),
        ("amount", 149.97),
        ("items.0.unitPrice", 149.97),
        ("items.0.quantity", "1"),
        ("items.0.name", "Shoe"),
        ("email", "jane@example.com"),
    ],
)
def test_one_order_of_another_type_refuses_the_request(sandbox: Client, path: str, value: object) -> None:
    body = send(sandbox, good(1), changed(good(2), path, value)).json()
    assert body["errors"][0]["message"].startswith("Validation error of type ")
    counts = sandbox.counts("cj")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("orderId", "ORD 1", "orderId"),
        ("orderId", "é", "orderId"),
        ("eventTime", LATER, "eventTime"),
        ("cjEvent", "", "cjEvent"),
        ("amount", "-1", "amount"),
        ("items", [{"sku": "S", "unitPrice": "1", "quantity": 1}] * 101, "items"),
        ("items.0.unitPrice", "-1", "items"),
        ("items.0.quantity", 0, "items"),
        ("currency", "", "currency"),
        ("coupon", "", "coupon"),
        ("ids.emailHash", "jane@example.com", "ids.emailHash"),
    ],
)
def test_one_bad_value_refuses_the_request(sandbox: Client, path: str, value: object, field: str) -> None:
    answer = send(sandbox, good(1), changed(good(2), path, value))
    assert answer.status_code == 200  # errors, too
    assert answer.json()["data"]["createOrders"]["errors"][0]["fields"] == [field]
    counts = sandbox.counts("cj")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"token": ""}, "Missing Token"),
        ({"token": "other"}, "Invalid Token"),
        ({"query": "query { orders }"}, "Invalid Syntax"),
    ],
)
def test_envelope_and_authentication(sandbox: Client, change: dict[str, Any], words: str) -> None:
    assert send(sandbox, good(), **change).json()["errors"][0]["message"] == words


@pytest.mark.parametrize("change", [{"enterpriseId": "1"}, {"actionTrackerId": 1}])
def test_an_order_of_another_account(sandbox: Client, change: dict[str, Any]) -> None:
    assert send(sandbox, good() | change).json()["errors"][0]["message"] == "Unauthorized"


def test_a_known_order_is_not_paid_again(sandbox: Client) -> None:
    send(sandbox, good())
    send(sandbox, good(), good() | {"actionTrackerId": 350002})
    assert sandbox.outcomes("cj") == ["first", "duplicate", "first"]


def test_a_cancellation_takes_the_order_back(sandbox: Client) -> None:
    send(sandbox, good(1))
    answer = send(sandbox, cancelled(1), cancelled(2), name="cancelOrders")
    assert len(answer.json()["data"]["cancelOrders"]["orders"]) == 2
    assert sandbox.outcomes("cj") == ["first", "retracted", "unknown_order"]
    first = sandbox.get("events", platform="cj")[0]
    assert (first["value"], first["retracted"]) == (0, True)


@pytest.mark.parametrize("change", [{"updateTime": LATER}, {"status": "Pending"}, {"updateTime": None}])
def test_a_bad_cancellation_is_refused(sandbox: Client, change: dict[str, Any]) -> None:
    send(sandbox, good(1))
    send(sandbox, cancelled(1) | change, name="cancelOrders")
    assert sandbox.outcomes("cj") == ["first"]


def test_the_test_address_posts_nothing(sandbox: Client) -> None:
    assert send(sandbox, good(), path="graphqltest").json()["data"]["createOrders"]["errors"] is None
    assert sandbox.outcomes("cj") == ["test"]
