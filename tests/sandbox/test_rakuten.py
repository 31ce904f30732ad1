"""Rakuten's EP endpoint: its parameters, answers and what a repetition does."""

from __future__ import annotations

import pytest
import requests

from capi_pipeline.sandbox.platforms.rakuten import MID, MID_NOT_ENABLED

from .conftest import Client

GOOD = {
    "mid": MID, "xml": "1", "ord": "ORD-1", "tr": "AbCdEfGhIjK-1a2b3c4d5e6f7g8h9i0jKL", "land": "20260930_0800",
    "date": "20261001_1423", "cur": "USD", "skulist": "SKU-1|SKU-2", "qlist": "1|2", "amtlist": "9999|4998",
    "namelist": "Shoe|Sock",
}  # fmt: skip


def send(sandbox: Client, **changes: str | None) -> requests.Response:
    query = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return sandbox.http.get(f"{sandbox.base}/rakuten/ep", params=query)


def counted(good: int, bad: int) -> str:
    return f"<good>{good}</good><bad>{bad}</bad>"


@pytest.mark.parametrize(
    "change", [{}, {"cur": None}, {"brandlist": "Acme|"}, {"amtlist": "-9999|-4998"}, {"coupon": "A"}]
)
def test_accepts(sandbox: Client, change: dict[str, str | None]) -> None:
    answer = send(sandbox, **change)
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (200, "text/xml")
    assert counted(2, 0) in answer.text
    assert "<unique_id>" in answer.text
    assert sandbox.counts("rakuten")["accepted"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ord", None),
        ("tr", None),
        ("tr", "too-short"),
        ("land", None),
        ("land", "20261001_1423"),
        ("land", "2026-09-30 08:00"),
        ("date", "20261001_1601"),
        ("cur", "usd"),
        ("qlist", "1"),
        ("namelist", None),
        ("brandlist", "Acme"),
    ],
)
def test_an_order_that_is_wrong_is_bad_in_every_line(sandbox: Client, field: str, value: str | None) -> None:
    assert counted(0, 2) in send(sandbox, **{field: value}).text
    counts = sandbox.counts("rakuten")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


@pytest.mark.parametrize(("field", "value"), [("amtlist", "9999|49.98"), ("qlist", "1|0"), ("namelist", "Shoe|")])
def test_good_lines_are_taken_beside_a_bad_one(sandbox: Client, field: str, value: str) -> None:
    assert counted(1, 1) in send(sandbox, **{field: value}).text
    (event,) = sandbox.get("events", platform="rakuten")
    assert event["value"] == 99.99


def test_what_is_sent_twice_is_added_up(sandbox: Client) -> None:
    send(sandbox)
    send(sandbox)
    counts = sandbox.counts("rakuten")
    assert (counts["accepted"], counts["double_counted"], counts["duplicates"]) == (2, 1, 0)


def test_a_return_is_told_apart(sandbox: Client) -> None:
    send(sandbox)
    send(sandbox, date="20261001_1500", skulist="SKU-2", qlist="1", amtlist="-2499", namelist="Sock")
    events = sandbox.get("events", platform="rakuten")
    assert [(event["event_name"], event["value"]) for event in events] == [("order", 149.97), ("return", -24.99)]


def test_the_merchant_is_the_only_credential(sandbox: Client) -> None:
    assert "<error>Access denied</error>" in send(sandbox, mid=MID_NOT_ENABLED).text
    answer = send(sandbox, mid="1")
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (400, "text/html")
    assert sandbox.http.post(f"{sandbox.base}/rakuten/ep").status_code == 405
