"""Criteo: guide on the Events API, server to server."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import requests

from .conftest import Client
from .payloads import ABSENT, EMAIL, EMPTY, changed, sha256

MD5 = hashlib.md5(b"jane.doe@example.com").hexdigest()
HASHES = {"md5": MD5, "sha256": EMAIL, "sha256_md5": sha256(MD5)}


def sale(number: object = 1) -> dict[str, Any]:
    return {
        "account": "12345", "version": "s2s_v1.0.0", "site_type": "d", "ip": "203.0.113.7", "useragent": "Mozilla/5.0",
        "full_url": "https://shop.example.com/thanks", "retailer_visitor_id": "anon-1",
        "id": {"mapping_key": "70", "mapped_user_id": "GUM-1", "email": HASHES},
        "events": [{"event": "trackTransaction", "timestamp": "2026-10-01T14:23:05Z", "id": f"ORD-{number}", "currency": "USD",
                    "item": [{"id": "SKU-1", "price": 99.5, "quantity": 2}]}],
    }  # fmt: skip


def browsing(**event: Any) -> dict[str, Any]:
    return sale() | {"events": [{"event": "viewPage", **event}]}


def send(sandbox: Client, body: object, path: str = "m/event", version: str = "s2s_v0") -> requests.Response:
    return sandbox.http.post(f"{sandbox.base}/criteo/{path}", json=body, params={"version": version})


@pytest.mark.parametrize(
    "body",
    [
        sale(),
        browsing(),
        browsing(event="viewItem", item="SKU-1"),
        browsing(event="viewList", item=["a", "b", "c"], keywords="shoe"),
        browsing(event="myOwn"),
        changed(sale(), "id", {"email": {"md5": MD5}}),
        changed(sale(), "id", {"mapped_user_id": "GUM-1"}),
    ],
)
def test_accepts(sandbox: Client, body: dict[str, Any]) -> None:
    answer = send(sandbox, body)
    assert (answer.status_code, answer.json()) == (200, {"errors": [], "warnings": []})
    assert sandbox.counts("criteo")["accepted"] == 1


def test_the_value_of_a_sale_is_the_sum_of_its_lines(sandbox: Client) -> None:
    send(sandbox, sale())
    assert sandbox.get("events", platform="criteo")[0]["value"] == 199


def test_warns(sandbox: Client) -> None:
    assert send(sandbox, changed(sale(), "ip", ABSENT)).json() == {"errors": [], "warnings": ["ip is recommended"]}


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        ("account", "9", "AccountNotFound"),
        ("site_type", "phone", "InvalidSiteType"),
        ("full_url", "", "InvalidField: full_url"),
        ("ip", "nowhere", "InvalidIp"),
        ("events", [], "InvalidEvents"),
        ("events", [{"event": "viewPage"}, {"event": "viewPage"}], "InvalidEvents"),
        ("id", ABSENT, "UserIdentifierMissing"),
        ("id", {"mapping_key": "70"}, "UserIdentifierMissing"),
        ("id.mapped_user_id", EMAIL, "InvalidIdentifier: mapped_user_id"),
        ("id.email.raw", "jane.doe@example.com", "InvalidIdentifier: email"),
        ("id.email.md5", EMAIL, "InvalidIdentifier: email.md5"),
        ("id.email.sha256", EMPTY, "InvalidIdentifier: email.sha256"),
        ("events.0.event", ABSENT, "InvalidEvent"),
        ("events.0.timestamp", "2026-10-01T14:23:05.000Z", "InvalidTimestamp"),
        ("events.0.id", ABSENT, "TransactionIdMissing"),
        ("events.0.currency", "usd", "InvalidCurrency"),
        ("events.0.item", ABSENT, "InvalidItem"),
        ("events.0.item.0.price", "99.5", "InvalidItem"),
        ("events.0.item.0.quantity", 1.5, "InvalidItem"),
        ("events.0", {"event": "viewItem", "item": ["SKU-1"]}, "InvalidItem"),
        ("events.0", {"event": "viewList", "item": ["a", "b", "c", "d"]}, "InvalidItem"),
    ],
)
def test_refuses_in_a_200(sandbox: Client, path: str, value: object, error: str) -> None:
    answer = send(sandbox, changed(sale(), path, value))
    assert (answer.status_code, answer.json()["errors"]) == (200, [error])
    counts = sandbox.counts("criteo")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_addresses(sandbox: Client) -> None:
    for region in ("eu", "us", "as"):
        assert send(sandbox, sale(region), f"{region}/m/event").json()["errors"] == []
    assert send(sandbox, sale(), "cn/m/event").status_code == 404
    assert send(sandbox, sale(), version="s2s_v1").status_code == 404
    assert send(sandbox, ["event"]).status_code == 400


def test_sales_and_page_views_are_known_again(sandbox: Client) -> None:
    for body in (sale(), sale(), browsing(), browsing(), *[browsing(deduplication_page_view_id="PV")] * 2):
        send(sandbox, body)
    assert sandbox.outcomes("criteo") == ["first", "duplicate", "first", "first", "first", "duplicate"]
