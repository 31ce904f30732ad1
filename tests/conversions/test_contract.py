"""Each rule of the contract, broken alone, stops the hour and says which column, which row and which rule."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from capi_pipeline.conversions.contract import ACTION_SOURCES, COLUMNS, COUNTRIES, EVENT_NAMES, Kind, check
from capi_pipeline.errors import ContractError
from tests.conversions.support import HOUR, WINDOW, batch, row

REFUND = {"event_name": "refund", "original_event_id": "e0", "original_event_time": HOUR - timedelta(days=1)}


def broken(**changes: Any) -> str:
    """What a person reads when the second of three rows has these values."""
    with pytest.raises(ContractError) as caught:
        check(batch(row(), row(**{"event_id": "bad", **changes}), row(event_id="e3")), WINDOW)
    assert "Nothing of this hour was sent." in caught.value.remedy
    return caught.value.message


def test_a_row_with_nothing_but_the_required_columns_keeps_the_contract() -> None:
    check(batch(row(consent_ad_storage=None, consent_ad_user_data=None)), WINDOW)


def test_an_empty_hour_keeps_the_contract() -> None:
    check(batch(), WINDOW)


@pytest.mark.parametrize("column", [c for c in COLUMNS if c.required], ids=lambda c: c.name)
def test_a_required_column_may_not_be_null_or_empty(column: Any) -> None:
    for nothing in (None, "") if column.kind is Kind.TEXT else (None,):
        message = broken(**{column.name: nothing})
        assert message.startswith(
            f"Column `{column.name}` of the conversions table breaks the contract: it is required"
        )


def test_a_message_names_the_first_row_and_counts_the_others() -> None:
    rows = [row(event_id=f"e{number}", action_source="fax" if number > 1 else "chat") for number in range(4)]
    with pytest.raises(ContractError) as caught:
        check(batch(*rows), WINDOW)
    assert "First row: event_name='purchase', event_id='e2'; 2 of the 4 rows just read." in caught.value.message


@pytest.mark.parametrize("column", [c for c in COLUMNS if c.allowed], ids=lambda c: c.name)
def test_a_column_of_words_takes_only_these_words(column: Any) -> None:
    extra = {**REFUND, "custom_event_name": "Own"}
    for word in column.allowed:
        check(batch(row(**{**extra, column.name: word})), WINDOW)
    for wrong in ("Purchase", "GRANTED", " granted", "yes"):
        message = broken(**{column.name: wrong})
        assert f"`{column.name}`" in message
        assert f"it is one of {', '.join(column.allowed)}, or null" in message
        assert "event_id='bad'" in message


@pytest.mark.parametrize("wrong", ["usd", "US", "EURO", "US$", "", " USD", "USD\n"])
def test_a_currency_is_three_capital_letters(wrong: str) -> None:
    assert "Column `currency`" in broken(value=Decimal("1.00"), currency=wrong)
    assert "it matches ^[A-Z]{3}$, or is null" in broken(value=Decimal("1.00"), currency=wrong)


@pytest.mark.parametrize("column", ["event_id", "original_event_id"])
@pytest.mark.parametrize("wrong", ["x" * 513, "a\nb", "\x00"])
def test_an_event_id_fits_into_the_ledgers_key(column: str, wrong: str) -> None:
    assert f"Column `{column}`" in broken(**{**REFUND, column: wrong})
    check(batch(row(**{**REFUND, column: "ü" * 512})), WINDOW)


@pytest.mark.parametrize("column", ["country", "privacy_country"])
@pytest.mark.parametrize("wrong", ["us", "USA", "", "UK", "EU", "ZZ", "Germany", "DE "])
def test_a_country_is_an_iso_code(column: str, wrong: str) -> None:
    message = broken(**{column: wrong})
    assert f"Column `{column}`" in message
    assert "^[A-Z]{2}$" in message or "(the United Kingdom is GB)" in message


def test_every_country_keeps_the_contract() -> None:
    check(batch(*(row(country=code, privacy_country=code) for code in COUNTRIES)), WINDOW)
    assert len(COUNTRIES) == len(set(COUNTRIES)) == 250


@pytest.mark.parametrize("column", [c for c in COLUMNS if c.kind in (Kind.OBJECT, Kind.ARRAY)], ids=lambda c: c.name)
def test_a_json_column_holds_json_of_its_shape(column: Any) -> None:
    empty, other = ("{}", "[]") if column.kind is Kind.OBJECT else ("[]", "{}")
    check(batch(row(**{column.name: empty}), row(**{column.name: None})), WINDOW)
    for wrong in ("", "null", "not json", '{"a": ', '"text"', "1", "true", '[{"a": 1}, 2]', "[[]]", '{"a"}'):
        message = broken(**{column.name: wrong})
        assert f"Column `{column.name}`" in message
        assert f"it is a {column.kind.value}" in message
    # An empty document of the other kind says the same: nothing.
    check(batch(row(**{column.name: other})), WINDOW)


@pytest.mark.parametrize(
    ("column", "wrong", "words"),
    [
        ("contents", '["SKU-1"]', "JSON array of objects"),
        ("contents", '{"id": "SKU-1"}', "JSON array of objects"),
        ("emails", '["a@example.com", 7]', "JSON array of text"),
        ("emails", '"a@example.com"', "JSON array of text"),
        ("phones", "[4155552671]", "JSON array of text"),
        ("click_ids", '{"gclid": "abc"}', "objects with `value` and `clicked_at`"),
        ("click_ids", '{"gclid": {"value": "abc", "clicked_at": "yesterday"}}', "clicked_at` (ISO 8601)"),
        ("click_ids", '{"gclid": {"value": "abc", "clicked_at": 1790000000}}', "clicked_at` (ISO 8601)"),
        ("properties", '["a"]', "JSON object"),
        ("browser_ids", '["fbp"]', "JSON object"),
        ("device", '["ios"]', "JSON object"),
    ],
)
def test_json_of_another_shape_breaks_the_contract(column: str, wrong: str, words: str) -> None:
    message = broken(**{column: wrong})
    assert f"Column `{column}`" in message
    assert words in message


@pytest.mark.parametrize(
    ("column", "good"),
    [
        ("contents", '[{"id": 7}, {}]'),
        ("emails", '["a@example.com", null, ""]'),
        ("phones", "[null]"),
        ("click_ids", '{"gclid": {"value": "abc", "clicked_at": "2026-09-30T08:00:00Z"}, "fbclid": null, "x": {}}'),
        ("click_ids", '{"gclid": {"value": "abc", "clicked_at": null}}'),
        ("properties", '{"lead_source": {"deep": [1, null]}}'),
    ],
)
def test_json_of_the_right_shape_keeps_the_contract(column: str, good: str) -> None:
    check(batch(row(**{column: good})), WINDOW)


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_custom_event_has_a_name_of_its_own(nothing: str | None) -> None:
    message = broken(event_name="custom", custom_event_name=nothing)
    assert "Column `custom_event_name`" in message
    assert "`custom` needs it" in message
    assert "event_name='custom', event_id='bad'" in message


@pytest.mark.parametrize("missing", ["original_event_id", "original_event_time"])
def test_a_refund_names_the_conversion_that_it_adjusts(missing: str) -> None:
    check(batch(row(**REFUND)), WINDOW)
    message = broken(**{**REFUND, missing: None})
    assert f"Column `{missing}`" in message
    assert "a `refund` names the conversion that it adjusts" in message


@pytest.mark.parametrize("half", [{"value": Decimal("1.50")}, {"currency": "EUR"}])
def test_value_and_currency_come_together(half: dict[str, Any]) -> None:
    message = broken(**half)
    assert "Column `currency`" in message
    assert "`value` and `currency` come together" in message


@pytest.mark.parametrize("minutes", [-1, 60, 61])
def test_a_row_of_another_hour_breaks_the_contract(minutes: int) -> None:
    message = broken(recorded_at=HOUR + timedelta(minutes=minutes))
    assert "Column `recorded_at`" in message
    assert "it lies in the partition [2026-10-01 14:00, 15:00)" in message


def test_the_hour_holds_its_first_and_its_last_microsecond() -> None:
    check(batch(row(recorded_at=WINDOW.start), row(recorded_at=WINDOW.end - timedelta(microseconds=1))), WINDOW)


def test_the_lists_of_words_are_those_of_the_contract() -> None:
    assert len(EVENT_NAMES) == len(set(EVENT_NAMES)) == 26
    assert len(ACTION_SOURCES) == len(set(ACTION_SOURCES)) == 8
