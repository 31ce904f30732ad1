"""Taboola: pages on bulk submission, deduplication and the error codes."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.taboola import ACCOUNT_ID

from .conftest import Client, Clock
from .payloads import ABSENT, changed, seconds


def action(number: object = 1) -> dict[str, Any]:
    return {
        "click-id": "GiBaB-clk",
        "timestamp": seconds() * 1000,
        "name": "make_purchase",
        "revenue": 149.97,
        "currency": "USD",
        "quantity": 3,
        "orderid": f"ORD-{number}",
    }


def send(sandbox: Client, *actions: object, account: str = ACCOUNT_ID, body: object = None) -> requests.Response:
    return sandbox.http.post(
        f"{sandbox.base}/taboola/{account}/log/3/bulk-s2s-action",
        json={"actions": list(actions)} if body is None else body,
    )


def test_receives_a_batch_without_a_word(sandbox: Client) -> None:
    answer = send(sandbox, action(1), action(2))
    assert (answer.status_code, answer.content) == (204, b"")
    event = sandbox.get("events", platform="taboola")[0]
    assert (event["event_name"], event["event_id"], event["value"], event["currency"]) == (
        "make_purchase", "ORD-1", 149.97, "USD",
    )  # fmt: skip
    assert sandbox.counts("taboola")["accepted"] == 2


def test_click_id_name_and_time_are_enough(sandbox: Client) -> None:
    send(sandbox, {"click-id": "c", "name": "lead", "timestamp": seconds() * 1000})
    assert sandbox.counts("taboola")["accepted"] == 1


BAD: list[tuple[str, object]] = [
    ("click-id", ABSENT),
    ("click-id", ""),
    ("name", ABSENT),
    ("timestamp", ABSENT),
    ("timestamp", seconds()),
    ("timestamp", "2026-10-01T15:00:00Z"),
    ("revenue", "149.97"),
    ("revenue", -1),
    ("currency", "usd"),
    ("currency", "CHF"),
    ("quantity", "3"),
    ("orderid", 7),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_a_bad_action_vanishes_alone(sandbox: Client, field: str, value: object) -> None:
    assert send(sandbox, changed(action(1), field, value), action(2)).status_code == 204
    assert sandbox.outcomes("taboola") == ["ignored", "first"]


def test_an_unknown_name_vanishes_too(sandbox: Client) -> None:
    send(sandbox, action() | {"name": "Make_Purchase"})
    assert sandbox.outcomes("taboola") == ["unknown_name"]


def test_envelope(sandbox: Client) -> None:
    assert send(sandbox, action(), account="7").status_code == 404
    assert send(sandbox, body=[action()]).status_code == 400
    assert send(sandbox, body={"actions": action()}).status_code == 400
    assert send(sandbox, *[action(number) for number in range(1001)]).status_code == 413
    assert send(sandbox, *[action(number) for number in range(1000)]).status_code == 204


def test_a_copy_is_dropped_for_a_minute(sandbox: Client, clock: Clock) -> None:
    send(sandbox, action())
    clock.forward(seconds=59)
    send(sandbox, action(), action() | {"name": "lead"}, action(2), action() | {"click-id": "other"})
    clock.forward(seconds=1)
    send(sandbox, action())
    assert sandbox.outcomes("taboola") == ["first", "duplicate", "first", "first", "first", "again"]
