"""Yandex Metrica offline conversions: the API reference and the support pages on columns, statuses and quantities."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.yandex_metrica import COUNTER_ID, OAUTH_TOKEN

from .conftest import Client
from .payloads import seconds

HEADER = "UserId,ClientId,Yclid,PurchaseId,Target,DateTime,Price,Currency"
GOOD = f"cust-42,1759200000123456789,clk-1,ORD-1,order_paid,{seconds()},149.97,USD"


def upload(sandbox: Client, *lines: str, header: str = HEADER, part: str = "file", counter: str = COUNTER_ID,
           token: str = f"OAuth {OAUTH_TOKEN}", content: bytes | None = None, **query: str) -> requests.Response:  # fmt: skip
    text = "\n".join([header, *lines, ""]).encode() if content is None else content
    return sandbox.http.post(
        f"{sandbox.base}/yandex_metrica/management/v1/counter/{counter}/offline_conversions/upload",
        params={"type": "BASIC", **query},
        files={part: ("conversions.csv", text, "text/csv")},
        headers={"Authorization": token},
    )


def ask(sandbox: Client, path: str) -> requests.Response:
    address = f"{sandbox.base}/yandex_metrica/management/v1/counter/{COUNTER_ID}/offline_conversions/{path}"
    return sandbox.http.get(address, headers={"Authorization": f"OAuth {OAUTH_TOKEN}"})


def row(**changes: str) -> str:
    cells = dict(zip(HEADER.split(","), GOOD.split(","), strict=True)) | changes
    return ",".join(cells.values())


def test_a_file_is_queued_and_linked_later(sandbox: Client) -> None:
    sandbox.settings(verdict_delay=60)
    answer = upload(sandbox, row(), row(DateTime=str(seconds() - 1)), comment="run1")
    assert answer.status_code == 200
    queued = answer.json()["uploading"]
    assert (queued["status"], queued["source_quantity"], queued["line_quantity"], queued["comment"]) == (
        "UPLOADED",
        2,
        2,
        "run1",
    )
    assert ask(sandbox, f"uploading/{queued['id']}").json()["uploading"] == queued
    sandbox.settings(verdict_delay=0)
    later = ask(sandbox, f"uploading/{queued['id']}").json()["uploading"]
    assert (later["status"], later["linked_quantity"]) == ("PROCESSED", 2)
    assert ask(sandbox, "uploadings").json() == {"uploadings": [later]}
    assert sandbox.counts("yandex_metrica")["accepted"] == 2


@pytest.mark.parametrize(
    ("target", "age", "quantity"),
    [
        ("no_such_goal", timedelta(hours=1), "goal_not_found_quantity"),
        ("order_paid", timedelta(days=21, seconds=1), "user_not_found_quantity"),
        ("order_paid", timedelta(seconds=-1), "user_not_found_quantity"),
    ],
)
def test_what_is_not_linked_is_counted_and_not_named(
    sandbox: Client, target: str, age: timedelta, quantity: str
) -> None:
    number = upload(sandbox, row(), row(Target=target, DateTime=str(seconds(age)))).json()["uploading"]["id"]
    later = ask(sandbox, f"uploading/{number}").json()["uploading"]
    assert (later["linked_quantity"], later[quantity]) == (1, 1)
    assert sandbox.counts("yandex_metrica")["accepted"] == 1


@pytest.mark.parametrize("reason", ["goal_not_found", "user_not_found", "LINKAGE_FAILURE"])
def test_an_injected_verdict(sandbox: Client, reason: str) -> None:
    sandbox.fault("yandex_metrica", "bad_verdict", match="clk-1", reason=reason)
    number = upload(sandbox, row()).json()["uploading"]["id"]
    later = ask(sandbox, f"uploading/{number}").json()["uploading"]
    assert later["status"] == "LINKAGE_FAILURE" if reason == "LINKAGE_FAILURE" else later[f"{reason}_quantity"] == 1


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("Target,DateTime,Yclid", f"order_paid,{seconds()},clk-1"),
        ("UserId,Target,DateTime", f'"Ä ""42"",\nб",order_paid,{seconds()}'),
        ("PurchaseId,Target,DateTime,Price,Currency", f"ORD-1,order_paid,{seconds()},12000,JPY"),
    ],
)
def test_accepts(sandbox: Client, header: str, line: str) -> None:
    assert upload(sandbox, line, header=header).status_code == 200
    assert sandbox.counts("yandex_metrica")["accepted"] == 1


def test_blanks_in_single_rows_are_allowed(sandbox: Client) -> None:
    answer = upload(sandbox, row(), row(UserId="", ClientId="", PurchaseId="", Price="", Currency=""))
    assert answer.json()["uploading"]["source_quantity"] == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"Target": ""},
        {"DateTime": ""},
        {"DateTime": f"{seconds()}000"},
        {"DateTime": "2026-10-01"},
        {"UserId": "", "ClientId": "", "Yclid": "", "PurchaseId": ""},
        {"ClientId": "GA1.2.3"},
        {"Price": "-1"},
        {"Price": "1 000"},
        {"Price": ""},
        {"Currency": "usd"},
        {"Currency": ""},
        {"Currency": "USD,more"},
    ],
)
def test_one_bad_row_refuses_the_file(sandbox: Client, changes: dict[str, str]) -> None:
    answer = upload(sandbox, row(), row(**changes))
    body = answer.json()
    assert (answer.status_code, body["code"], body["errors"][0]["error_type"]) == (400, 400, "invalid_parameter")
    assert sandbox.counts("yandex_metrica")["accepted"] == 0


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"header": HEADER.lower()}, "invalid_parameter"),
        ({"header": HEADER.replace("PurchaseId", "UserId")}, "invalid_parameter"),
        ({"content": b""}, "invalid_parameter"),
        ({"content": f"{HEADER}\n".encode()}, "invalid_parameter"),
        ({"content": f"\ufeff{HEADER}\n{GOOD}\n".encode()}, "invalid_parameter"),
        ({"content": f"{HEADER}\n{GOOD}\n".encode("utf-16")}, "invalid_parameter"),
        ({"content": f"UserId,Yclid,Target,DateTime\nu,,order_paid,{seconds()}\n".encode()}, "invalid_parameter"),
        ({"part": "upload"}, "missing_parameter"),
        ({"type": "SMS"}, "invalid_parameter"),
        ({"comment": "x" * 256}, "invalid_parameter"),
    ],
)
def test_a_file_that_is_none(sandbox: Client, given: dict[str, Any], kind: str) -> None:
    answer = upload(sandbox, GOOD, **given)
    assert (answer.status_code, answer.json()["errors"][0]["error_type"]) == (400, kind)


def test_a_body_of_another_kind(sandbox: Client) -> None:
    answer = sandbox.http.post(
        f"{sandbox.base}/yandex_metrica/management/v1/counter/{COUNTER_ID}/offline_conversions/upload",
        json={"file": GOOD}, headers={"Authorization": f"OAuth {OAUTH_TOKEN}"},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["errors"][0]["error_type"]) == (400, "missing_parameter")


@pytest.mark.parametrize(
    ("given", "status", "kind"),
    [
        ({"token": f"Bearer {OAUTH_TOKEN}"}, 401, "unauthorized"),
        ({"token": ""}, 401, "unauthorized"),
        ({"token": "OAuth another"}, 403, "invalid_token"),
        ({"counter": "1"}, 404, "not_found"),
    ],
)
def test_who_may_send_where(sandbox: Client, given: dict[str, str], status: int, kind: str) -> None:
    answer = upload(sandbox, GOOD, **given)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["errors"][0]["error_type"]) == (status, kind)


def test_an_upload_that_nobody_made(sandbox: Client) -> None:
    assert ask(sandbox, "uploading/1").status_code == 404
    assert ask(sandbox, "uploadings").json() == {"uploadings": []}


def test_what_is_uploaded_twice_counts_twice(sandbox: Client) -> None:
    upload(sandbox, GOOD)
    upload(sandbox, GOOD)
    assert sandbox.outcomes("yandex_metrica") == ["first", "again"]
    assert sandbox.counts("yandex_metrica")["double_counted"] == 1
