"""Nothing secret and nothing personal in words that are kept or shown."""

from __future__ import annotations

import hashlib
import time
from urllib.parse import quote

import pytest

from capi_pipeline.delivery.redaction import LONGEST, Redactor, example, secrets_of
from capi_pipeline.platforms.meta import Meta

TOKEN = "1//0e+Secret/Token=="
DIGEST = hashlib.sha256(b"jane@example.com").hexdigest()


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        (f"token {TOKEN} is not valid", TOKEN),
        (f"GET /x?access_token={quote(TOKEN, safe='')}&a=1", quote(TOKEN, safe="")),
        (f"GET /x?t={quote(TOKEN, safe='')}&a=1", quote(TOKEN, safe="")),
        (f"GET /x?t={quote(TOKEN)}", quote(TOKEN)),
        ('{"t": "1\\/\\/0e+Secret\\/Token=="}', "Secret"),
        ("Authorization: Bearer EAABsbCS1iHgBA", "EAABsbCS1iHgBA"),
        ("authorization: Basic Zm9vOmJhcg==", "Zm9vOmJhcg"),
        ('"access_token":"ya29.other"', "ya29.other"),
        ("refresh_token=abcdef0123", "abcdef0123"),
        ("client_secret: s3cr3t-value", "s3cr3t-value"),
        ("no user jane.doe+shop@example.co.uk here", "jane.doe"),
        ("no user jane%40example.com here", "jane%40"),
        ("no user <jane@example.com>", "jane"),
        ("em=jane@example.com&ph=1", "jane"),
        ("no user jörg@exämple.de", "jörg"),
        ("phone +33 6 12 34 56 78 is bad", "34 56"),
        ("phone:+33612345678", "33612345678"),
        ('{"phone":"+1 (415) 555-2671"}', "555"),
        ("ph=%2B33612345678", "33612345678"),
        (f"em {DIGEST} unknown", DIGEST),
        (f"em {DIGEST.upper()} unknown", DIGEST.upper()),
        (f"em=[{DIGEST}]", DIGEST),
        (f"em_{DIGEST}", DIGEST),
    ],
)
def test_secrets_and_identifiers_never_pass(text: str, gone: str) -> None:
    assert gone not in Redactor([TOKEN])(text)


@pytest.mark.parametrize(
    "text",
    [
        "(#100) Param data must have at most 1000 elements.",
        "Event 3: event_time 2026-10-01T14:23:05+00:00 lies too far in the past",
        "events.events[3].timestamp: PROCESSING_ERROR_REASON_INVALID_GCLID",
        "code 40002, request 202610011423050102030405060708",
        "value must be between -1 and +1000000",
    ],
)
def test_ordinary_words_of_platforms_stay_readable(text: str) -> None:
    assert Redactor([TOKEN])(text) == text


def test_a_token_that_was_granted_meanwhile_is_hidden_too() -> None:
    redact = Redactor()
    redact.add("granted-later")
    assert redact("bad granted-later token") == "bad *** token"


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    assert Redactor(["abcd", "abcdefgh"])("x abcdefgh y") == "x *** y"


def test_pages_become_one_short_line() -> None:
    text = Redactor()("<html><body>\n<h1>Bad  Gateway</h1>\n" + "lorem ipsum " * 200)
    assert text.startswith("Bad Gateway lorem")
    assert len(text) <= LONGEST
    assert "<" not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "text", ["a" * 2_000_000, "+1" * 500_000, "<" * 1_000_000, "bearer " * 200_000, "@" * 1_000_000]
)
def test_a_huge_answer_is_redacted_quickly(text: str) -> None:
    started = time.monotonic()
    assert len(Redactor([TOKEN])(text)) <= LONGEST
    assert time.monotonic() - started < 20  # an expression that backtracks takes hours


@pytest.mark.parametrize("pad", range(7900, 8010))
def test_nothing_slips_through_where_a_long_text_is_cut(pad: int) -> None:
    text = "<b>" + " " * pad + f"jane.doe@example.com {DIGEST} {TOKEN}"
    redacted = Redactor([TOKEN])(text)
    assert "jane" not in redacted
    assert DIGEST[:20] not in redacted
    assert TOKEN[:8] not in redacted


def test_what_a_database_cannot_hold_is_dropped() -> None:
    words = Redactor()("bad \x00value \ud800 here")
    assert words == "bad value ? here"


def test_every_secret_of_an_account_is_known() -> None:
    config = Meta.Config(pixel_id="1", access_token="tok-1", app_secret="sec-2")
    assert sorted(secrets_of(config)) == ["sec-2", "tok-1"]


def test_an_example_payload_shows_no_person() -> None:
    payload = {
        "user_data": {"em": [DIGEST] * 9, "client_ip_address": "203.0.113.9", "fbc": "fb.1.1700000000000.ClickId123"},
        "url": "https://shop.example/?fbclid=ClickId123",
        "madid": "abcd-ef01",
        "lead_id": 123456789012345,
        "value": 10.5,
        "none": None,
        "long": "x" * 500,
    }
    shown = example(payload, {"203.0.113.9", "ClickId123", "ABCD-EF01", "123456789012345"})
    text = str(shown)
    for hidden in ("203.0.113.9", "ClickId123", "abcd-ef01", "123456789012345", DIGEST):
        assert hidden not in text
    assert shown["user_data"]["em"] == [DIGEST[:6] + "…"] * 3
    assert shown["value"] == 10.5
    assert len(shown["long"]) == 80
