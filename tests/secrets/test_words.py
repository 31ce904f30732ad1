"""Words of platforms and databases lose what they quote of a request, a row or a URL, and stay words."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from sqlalchemy import make_url

from capi_pipeline.delivery.redaction import Redactor, example
from capi_pipeline.errors import address, first_line, without_values

ROOT = Path(__file__).parents[2]
SECRET = 'Tok/en+"7&x'


@pytest.mark.parametrize(
    "written",
    [SECRET, SECRET.upper(), SECRET.lower(), quote_plus(SECRET), json.dumps(SECRET)[1:-1], html.escape(SECRET),
     base64.b64encode(SECRET.encode()).decode().rstrip("=")],
)  # fmt: skip
def test_a_secret_is_hidden_however_it_is_written(written: str) -> None:
    assert Redactor([SECRET])(f"token ({written}) is bad") == "token (***) is bad"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("client_ip_address 203.0.113.77 is private", "client_ip_address (address) is private"),
        ("address 2001:db8::17a is private", "address (address) is private"),
        ("address 2001:db8:0:0:1:0:0:1.", "address (address)."),
        ('agent "Mozilla/5.0 (X11; Linux)" unknown', 'agent "(browser)" unknown'),
        ("the click ID 'EAIaIQobChMI8t2Nqgclid01' can't be decoded", "the click ID '(id)' can't be decoded"),
        ("msclkid 9f1a7ced0b5e4c2d8a6f3b1e7d9c5a42 unknown", "msclkid (id) unknown"),
        ("page https://shop.example/a?mail=jane&x=1 unknown", "page https://shop.example/a?mail=***&x=*** unknown"),
        ('bad event {"city": "Plantedcity", "zip": "10"}', 'bad event {"city": "***", "zip": "10"}'),
        ("bad event {&quot;city&quot;: &quot;Plantedcity&quot;}", 'bad event {"city": "***"}'),
        ("at 14:23:05 of 1.2.3, see error::code", "at 14:23:05 of 1.2.3, see error::code"),
        ("order-2026-000123 was sent twice", "order-2026-000123 was sent twice"),
    ],
)  # fmt: skip
def test_what_a_platform_repeats_of_a_person_is_hidden(text: str, shown: str) -> None:
    assert Redactor()(text) == shown


def test_an_example_payload_shows_no_query_of_a_page() -> None:
    assert example({"url": "https://shop.example/a?mail=jane"}, set()) == {"url": "https://shop.example/a?mail=***"}


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ('invalid input syntax for type date: "Jane"', "invalid input syntax for type date: (value)"),
        ('value "491705550123" is out of range for type integer', "value (value) is out of range for type integer"),
        ("Could not parse 'Jane' as a date", "Could not parse (value) as a date"),
        ("Numeric value 'Jane' is not recognized", "Numeric value (value) is not recognized"),
        ('null in column "city"\nDETAIL:  Failing row contains (Jane, null).\nHINT: x', 'null in column "city"\nHINT: x'),
        ('could not translate host name "half@host" to address', "could not translate host name (value) to address"),
        ('column "nonsense" does not exist', 'column "nonsense" does not exist'),
        ('FATAL:  database "nowhere" does not exist', 'FATAL:  database "nowhere" does not exist'),
        ('permission denied for table "conversions"', 'permission denied for table "conversions"'),
    ],
)  # fmt: skip
def test_a_databases_words_keep_names_and_lose_values(words: str, shown: str) -> None:
    assert without_values(words) == shown
    assert first_line(ValueError(words)) == shown.splitlines()[0]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@db:5432/x", "postgresql://me:***@db:5432/x"),
        ("postgresql://me@db/x?password=secret&sslpassword=secret", "postgresql://me@db/x"),
        ("postgresql://me:half@secret@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me@/x?host=/run/postgresql", "postgresql://me@/x?host=%2Frun%2Fpostgresql"),
    ],
)
def test_a_databases_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert address(make_url(url)) == shown


def test_every_promise_of_the_security_page_has_its_test() -> None:
    page = (ROOT / "SECURITY.md").read_text("utf-8")
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 10
    assert not [name for name in named if f"def {name}(" not in tests]
