"""Outbrain: help page on server-to-server integrations."""

from __future__ import annotations

import pytest

from .conftest import Client
from .payloads import outbrain_query


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"orderValue": "12000"},
        {"timestamp": "10/01/2026 14:23:05"},
        {"timestamp": "2026-10-01 14:23:05"},
        {"timestamp": "2026-10-01T14:23:05"},
    ],
)
def test_accepts(sandbox: Client, change: dict[str, str]) -> None:
    answer = sandbox.outbrain(outbrain_query() | change)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/gif")
    event = sandbox.get("events", platform="outbrain")[0]
    assert (event["event_name"], event["event_id"], event["counted"]) == ("Purchase", "ORD-1", True)


def test_click_id_and_name_are_enough(sandbox: Client) -> None:
    assert sandbox.outbrain({"ob_click_id": "x", "name": "Lead"}).status_code == 200
    assert sandbox.counts("outbrain")["accepted"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ob_click_id", None),
        ("ob_click_id", ""),
        ("name", None),
        ("orderValue", "149,97"),
        ("orderValue", "$149.97"),
        ("orderValue", "1,149.97"),
        ("orderValue", "-1"),
        ("orderValue", None),
        ("currency", None),
        ("currency", "usd"),
        ("timestamp", "1790864585"),
    ],
)
def test_refuses(sandbox: Client, field: str, value: str | None) -> None:
    query = {name: text for name, text in (outbrain_query() | {field: value}).items() if text is not None}
    assert sandbox.outbrain(query).status_code == 400
    counts = sandbox.counts("outbrain")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_what_is_sent_twice_counts_twice(sandbox: Client) -> None:
    for number in (1, 1, 2):
        sandbox.outbrain(outbrain_query(number))
    assert sandbox.outcomes("outbrain") == ["first", "again", "first"]
    counts = sandbox.counts("outbrain")
    assert (counts["accepted"], counts["double_counted"], counts["duplicates"]) == (3, 1, 0)


def test_an_unknown_name_is_swallowed(sandbox: Client) -> None:
    assert sandbox.outbrain(outbrain_query() | {"name": "purchase"}).status_code == 200
    assert sandbox.outcomes("outbrain") == ["unknown_name"]
    assert sandbox.counts("outbrain")["accepted"] == 0


def test_only_get_is_served(sandbox: Client) -> None:
    assert sandbox.http.post(f"{sandbox.base}/outbrain/unifiedPixel").status_code == 405
