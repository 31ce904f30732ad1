"""Forgotten people are recognised in every spelling, and by nobody without the key."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.suppression import NOBODY, Person, Suppressed, tokens_of
from capi_pipeline.conversions.transform import transform
from capi_pipeline.platforms import all_recipes
from tests.conversions.support import batch, row

KEY = b"a key"
JANE = Person(("Jane.Doe@gmail.com", "jane@firm.example"), ("+1 415 555 2671",), ("C-42",))
FORGOTTEN = Suppressed(KEY, frozenset(tokens_of(KEY, JANE)))


def withheld(suppressed: Suppressed = FORGOTTEN, **values: Any) -> str | None:
    (found,) = transform(batch(row(**values)), all_recipes(), ConsentPolicy(), suppressed)["withhold"].to_pylist()
    return found


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "values",
    [
        {"emails": '[" JANE.DOE@GMAIL.COM "]'},
        {"emails": '["janedoe+news@gmail.com"]'},
        {"emails": '["jane.doe@googlemail.com"]'},
        {"emails": '["other@example.com", "Jane@Firm.example"]'},
        {"emails": f'["{sha256("jane.doe@gmail.com")}"]'},
        {"emails": f'["{sha256("janedoe@gmail.com")}"]'},
        {"phones": '["(415) 555-2671"]', "country": "US"},
        {"phones": '["0014155552671"]', "country": "DE"},
        {"phones": f'["{sha256("+14155552671")}"]'},
        {"phones": f'["{sha256("14155552671").upper()}"]'},
        {"user_id": " C-42 "},
        {"user_id": sha256("C-42")},
        {"user_id": sha256("c-42")},
        {"emails": '["jane@firm.example"]', "consent_ad_user_data": "denied"},  # this reason comes first
    ],
    ids=str,
)
def test_a_forgotten_person_is_recognised(values: dict[str, Any]) -> None:
    assert withheld(**values) == "erased"
    assert withheld(NOBODY, **values) in (None, "consent_denied")


@pytest.mark.parametrize(
    "values",
    [
        {"emails": '["jane.doe@firm.example", "jane@gmail.com", "c-42", "", null]'},
        {"phones": '["(415) 555-2672", "C-42"]', "country": "US"},
        {"phones": '["(415) 555-2671"]', "country": "DE"},
        {"user_id": "C-421"},
        {"user_id": "jane@firm.example"},  # an identifier of one kind is none of another
        {"emails": "[]", "phones": None, "user_id": None},
    ],
    ids=str,
)
def test_nobody_else_is(values: dict[str, Any]) -> None:
    assert withheld(**values) is None


def test_each_row_is_its_own_person() -> None:
    rows = [row(user_id="a"), row(user_id="C-42"), row(emails='["x@y.com", "jane@firm.example"]'), row(phones='["1"]')]
    out = transform(batch(*rows), [], ConsentPolicy(), FORGOTTEN)
    assert out["withhold"].to_pylist() == [None, "erased", "erased", None]
    assert transform(batch(), [], ConsentPolicy(), FORGOTTEN).num_rows == 0


def test_an_erased_row_carries_nothing_but_what_is_counted() -> None:
    given = row(
        user_id="C-42", source_url="https://shop.example/jane", referrer_url="https://x.example/jane", search_term="jane",
        properties='{"note": "jane"}', ip_address="192.0.2.7", device='{"os": "jane"}', transaction_id="o-1",
    )  # fmt: skip
    (out,) = transform(batch(given), all_recipes(), ConsentPolicy(), FORGOTTEN).to_pylist()
    assert "jane" not in str(out)
    assert "192.0.2.7" not in str(out)
    assert (out["event_id"], out["transaction_id"], out["withhold"]) == ("e1", "o-1", "erased")


def test_tokens_are_of_the_key_and_no_plain_digest_is_among_them() -> None:
    assert FORGOTTEN.tokens.isdisjoint(tokens_of(b"another key", JANE))
    assert not any(sha256(text) in FORGOTTEN.tokens for text in ("jane.doe@gmail.com", "+14155552671", "C-42"))
