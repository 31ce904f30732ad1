"""X: reference of web conversions; RFC 5849 for the signature."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
import requests
from oauthlib.oauth1 import Client as Signer

from capi_pipeline.sandbox.platforms import x

from .conftest import Client, Clock
from .payloads import ABSENT, AGENT, EMAIL, EMPTY, NOW, PHONE, changed

NONCES = count()


def conversion(number: object = 1) -> dict[str, Any]:
    return {
        "conversion_time": "2026-10-01T14:23:05.000Z",
        "event_id": "o87ne",
        "conversion_id": f"evt-{number}",
        "identifiers": [
            {"twclid": "clk-twclid-0001"},
            {"hashed_email": EMAIL},
            {"hashed_phone_number": PHONE},
            {"ip_address": "203.0.113.7", "user_agent": AGENT},
        ],
        "value": "149.97",
        "price_currency": "USD",
        "number_items": 1,
        "contents": [{"content_id": "SKU-1", "content_price": "149.97", "num_items": 1}],
        "event_source_url": "https://shop.example.com/thank-you",
    }


def signed(url: str, skew: int = 0, nonce: str | None = None, secret: str = x.ACCESS_TOKEN_SECRET) -> dict[str, str]:
    stamp = str(int(NOW.timestamp()) + skew)
    signer = Signer(
        x.CONSUMER_KEY, x.CONSUMER_SECRET, x.ACCESS_TOKEN, secret, nonce=nonce or f"n{next(NONCES)}", timestamp=stamp
    )
    return dict(signer.sign(url, "POST")[1])


def send(
    sandbox: Client, *conversions: object, headers: dict[str, str] | None = None, pixel: str = x.PIXEL_ID
) -> requests.Response:
    url = f"{sandbox.base}/x/12/measurement/conversions/{pixel}"
    body = json.dumps({"conversions": list(conversions)})
    with_type = {"Content-Type": "application/json", **(signed(url) if headers is None else headers)}
    return sandbox.http.post(url, data=body, headers=with_type)


def errors(answer: requests.Response) -> list[tuple[str, str]]:
    return [(error["code"], error["message"]) for error in answer.json()["errors"]]


def test_accepts_a_batch(sandbox: Client) -> None:
    answer = send(sandbox, conversion(1), conversion(2))
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert data["conversions_processed"] == 2
    assert data["debug_id"]
    assert sandbox.counts("x")["accepted"] == 2


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event_id", "tw-o8z6j-o87ne"),
        ("identifiers", [{"twclid": "x"}]),
        ("identifiers", [{"hashed_email": EMAIL, "user_agent": AGENT}]),
        ("value", 149.97),
        ("value", ABSENT),
        ("contents", ABSENT),
        ("contents.0.content_price", 149.97),
        ("conversion_id", ABSENT),
        ("event_source_url", "https://m%C3%BCller.example/"),
    ],
)
def test_accepts(sandbox: Client, path: str, value: object) -> None:
    assert send(sandbox, changed(conversion(), path, value)).status_code == 200


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("conversion_time", ABSENT, "conversion_time"),
        ("conversion_time", "2026-10-01T14:23:05Z", "conversion_time"),
        ("conversion_time", "2026-10-01T14:23:05.000+00:00", "conversion_time"),
        ("conversion_time", 1790864585, "conversion_time"),
        ("event_id", "Purchase event", "is not a single event tag (SET)"),
        ("event_id", ABSENT, "is not a single event tag (SET)"),
        ("conversion_id", 7, "conversion_id"),
        ("identifiers", ABSENT, "identifiers"),
        ("identifiers", [], "At least one user identifier must be provided"),
        ("identifiers", [{"ip_address": "203.0.113.7", "user_agent": AGENT}], "At least one user identifier"),
        ("identifiers.1.hashed_email", "abc", "hashed_email (abc) is not a valid SHA-256 hash"),
        ("identifiers.1.hashed_email", EMPTY, "is not a valid SHA-256 hash"),
        ("identifiers.2.hashed_phone_number", "+14155552671", "is not a valid SHA-256 hash"),
        ("identifiers.0.twclid", EMAIL, "twclid"),
        ("identifiers.0.first_name", "Jane", "first_name is not an identifier"),
        ("identifiers.3.ip_address", "2001:db8::1", "ip_address"),
        ("value", "149,97", "is not a double"),
        ("price_currency", "usd", "price_currency"),
        ("number_items", 0, "number_items"),
        ("number_items", "1", "number_items"),
        ("contents", {}, "contents"),
        ("contents.0.content_price", "free", "content_price"),
        ("contents.0.content_name", None, "content_name"),
        ("event_source_url", "https://müller.example/", "event_source_url"),
    ],
)
def test_one_bad_conversion_refuses_the_request(sandbox: Client, path: str, value: object, words: str) -> None:
    answer = send(sandbox, conversion(1), changed(conversion(2), path, value))
    assert answer.status_code == 400
    assert [code for code, _ in errors(answer)] == ["INVALID_PARAMETER"]
    assert words in errors(answer)[0][1]
    counts = sandbox.counts("x")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_all_errors_are_listed_and_none_has_an_index(sandbox: Client) -> None:
    bad = changed(changed(conversion(), "value", "x"), "number_items", -1)
    answer = send(sandbox, bad, bad)
    assert len(errors(answer)) == 4
    assert "index" not in answer.text


def test_at_most_500(sandbox: Client) -> None:
    assert send(sandbox, *map(conversion, range(500))).status_code == 200
    answer = send(sandbox, *map(conversion, range(501)))
    assert (answer.status_code, errors(answer)[0][1]) == (400, "Conversion count limit is 500")
    assert send(sandbox).status_code == 400


def test_an_event_or_pixel_of_somebody_else_is_not_found(sandbox: Client) -> None:
    answer = send(sandbox, changed(conversion(), "event_id", "o99zz"))
    assert (answer.status_code, errors(answer)[0]) == (
        404,
        ("NOT_FOUND", "event_id (o99zz) does not belong to provided account"),
    )
    assert send(sandbox, conversion(), pixel="zzzzz").status_code == 404


def test_a_copy_within_48_hours_is_dropped(sandbox: Client, clock: Clock) -> None:
    pixel = {"X-Pixel-Token": x.PIXEL_TOKEN}
    send(sandbox, conversion(), headers=pixel)
    clock.forward(hours=47)
    send(sandbox, changed(conversion(), "event_id", "tw-o8z6j-o87ne"), headers=pixel)
    send(sandbox, changed(conversion(), "event_id", "o87ng"), headers=pixel)
    clock.forward(hours=2)
    send(sandbox, conversion(), headers=pixel)
    assert sandbox.outcomes("x") == ["first", "duplicate", "first", "again"]


def test_signing_in(sandbox: Client) -> None:
    url = f"{sandbox.base}/x/12/measurement/conversions/{x.PIXEL_ID}"
    good = signed(url, nonce="once")
    for headers in (
        {},
        {"Authorization": f"Bearer {x.ACCESS_TOKEN}"},
        {"X-Pixel-Token": "another"},
        signed(url, secret="another"),
        signed(url + "/elsewhere"),
        signed(url, skew=600),
        {"Authorization": good["Authorization"].replace("HMAC-SHA1", "PLAINTEXT")},
    ):
        answer = send(sandbox, conversion(), headers=headers)
        assert (answer.status_code, errors(answer)[0][0]) == (401, "UNAUTHORIZED_ACCESS"), headers
    assert send(sandbox, conversion(), headers=good).status_code == 200
    assert send(sandbox, conversion(), headers=good).status_code == 401  # every attempt needs a nonce of its own
    assert send(sandbox, conversion(), headers={"X-Pixel-Token": x.PIXEL_TOKEN}).status_code == 200
