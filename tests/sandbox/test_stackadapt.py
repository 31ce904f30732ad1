"""StackAdapt: the hits of its own Segment destination and tag template."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.stackadapt import CONVERSION_ID, PIXEL_ID

from .conftest import Client
from .payloads import ABSENT, AGENT, EMAIL, changed

PERSON = {"User-Agent": AGENT, "X-Forwarded-For": "203.0.113.7"}


def hit(number: object = 1) -> dict[str, Any]:
    return {
        "segment_ss": "1",
        "uid": PIXEL_ID,
        "event_type": "track",
        "url": "https://shop.example.com/thank-you",
        "ip_fwd": "203.0.113.7",
        "ua_fwd": AGENT,
        "args": {
            "action": "purchase", "user_id": "cust-42", "revenue": 149.97, "order_id": f"ORD-{number}",
            "products": [{"product_id": "SKU-1", "product_name": "Shoe", "product_price": 149.97, "product_quantity": 1}],
        },
    }  # fmt: skip


def send(sandbox: Client, query: dict[str, Any], path: str = "saq_pxl", **headers: str) -> requests.Response:
    args = query.get("args")
    written = {**query, "args": json.dumps(args)} if isinstance(args, dict) else query
    return sandbox.http.get(
        f"{sandbox.base}/stackadapt/{path}",
        params=written,
        headers=PERSON | {name.replace("_", "-"): value for name, value in headers.items()},
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event_type", "page"),
        ("event_type", ABSENT),
        ("url", ABSENT),
        ("user_id", "sa-v1-0123456789ab.1790000000000"),
        ("args", {"action": "Démo Booked"}),
        ("args.own_property", 1),
    ],
)
def test_answers_with_an_image(sandbox: Client, path: str, value: object) -> None:
    answer = send(sandbox, changed(hit(), path, value))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/gif")
    assert sandbox.counts("stackadapt")["accepted"] == 1


def test_a_conversion_by_its_id(sandbox: Client) -> None:
    query = changed(hit(), "uid", ABSENT) | {"cid": CONVERSION_ID, "postback_id": "click-1"}
    assert send(sandbox, query, "conv").status_code == 200
    event = sandbox.get("events", platform="stackadapt")[0]
    assert (event["event_name"], event["event_id"], event["value"]) == ("purchase", "ORD-1", 149.97)
    assert send(sandbox, changed(query, "cid", ABSENT), "conv").status_code == 400


BAD: list[tuple[str, object]] = [
    *((field, ABSENT) for field in ("segment_ss", "uid", "ip_fwd", "ua_fwd", "args")),
    ("segment_ss", "true"),
    ("event_type", "purchase"),
    ("ip_fwd", "localhost"),
    ("postback_id", "click-1"),
    ("args", "action=purchase"),
    ("args", "[]"),
    ("args.action", ABSENT),
    ("args.revenue", "149.97"),
    ("args.revenue", -1),
    ("args.order_id", 7),
    ("args.user_id", EMAIL),
    ("args.products", {}),
    ("args.products.0.product_price", "149.97"),
    ("args.products.0.product_quantity", 1.5),
]


@pytest.mark.parametrize(("path", "value"), BAD)
def test_refuses(sandbox: Client, path: str, value: object) -> None:
    assert send(sandbox, changed(hit(), path, value)).status_code == 400
    counts = sandbox.counts("stackadapt")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_the_headers_are_the_persons(sandbox: Client) -> None:
    assert send(sandbox, hit(), X_Forwarded_For="198.51.100.1").status_code == 400
    assert send(sandbox, hit(), User_Agent="capi-pipeline").status_code == 400


def test_what_is_sent_twice_counts_twice(sandbox: Client) -> None:
    for number in (1, 1, 2):
        send(sandbox, hit(number))
    assert sandbox.outcomes("stackadapt") == ["first", "again", "first"]


def test_an_unknown_pixel_is_swallowed(sandbox: Client) -> None:
    assert send(sandbox, hit() | {"uid": "other"}).status_code == 200
    assert sandbox.outcomes("stackadapt") == ["unknown_pixel"]
