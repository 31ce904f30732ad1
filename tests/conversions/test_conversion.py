"""A hashed row as a platform sees it: plain numbers, whole times, JSON members of one type each."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.conversion import Conversion, conversions, number, parse_time
from capi_pipeline.conversions.identifiers import anonymous_id, email, sha256, user_id
from capi_pipeline.conversions.transform import transform
from capi_pipeline.platforms import all_recipes
from tests.conversions.support import batch, row


def conversion(**changes: Any) -> Conversion:
    (found,) = conversions(transform(batch(row(**changes)), all_recipes(), ConsentPolicy()))
    return found


@pytest.mark.parametrize(
    ("amount", "plain"),
    [
        ("149.97", 149.97), ("12000.0000", 12000), ("12.345", 12.345), ("0", 0), ("-24.9900", -24.99),
        ("0.0001", 0.0001), ("999999999999.9999", 999999999999.9999), ("99.99", 99.99),
    ],
)  # fmt: skip
def test_an_amount_is_the_number_that_a_person_would_write(amount: str, plain: float) -> None:
    found = conversion(value=Decimal(amount), currency="EUR").value
    assert found == plain
    assert type(found) is type(plain)


def test_a_whole_amount_is_a_whole_number() -> None:
    assert json.dumps([number(12000.0), number(12000.5), number(-0.0)]) == "[12000, 12000.5, 0]"


def test_times_are_microseconds_also_before_1970() -> None:
    assert conversion(event_time=datetime(2026, 10, 1, 14, 23, 5, 750_001, UTC)).event_time == 1790864585750001
    assert conversion(event_time=datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)).event_time == -1_000_000


@pytest.mark.parametrize(
    "text", ["2026-10-01T14:23:05Z", "2026-10-01T16:23:05+02:00", "2026-10-01 14:23:05", "2026-10-01T14:23:05.000000"]
)
def test_a_click_time_without_a_zone_is_utc(text: str) -> None:
    assert parse_time(text) == 1790864585000000
    assert conversion(click_ids=json.dumps({"x": {"value": "1", "clicked_at": text}})).clicked_at("x") == 1790864585000


def test_json_members_get_the_type_that_platforms_want() -> None:
    items = [{"id": 7, "quantity": "2", "price": "9.50"}, {"id": "a", "quantity": 1.5, "price": None, "x": 1}, {}]
    found = conversion(contents=json.dumps(items)).contents
    assert [(item["id"], item["quantity"], item["price"]) for item in found] == [
        ("7", 2, 9.5), ("a", None, None), (None, None, None),
    ]  # fmt: skip
    assert all(set(item) == {"id", "name", "category", "brand", "variant", "quantity", "price"} for item in found)


@pytest.mark.parametrize("wrong", [True, [1], {"a": 1}, "many", "nan", "inf", 1e300])
def test_a_quantity_or_price_that_is_no_number_is_left_out(wrong: Any) -> None:
    (item,) = conversion(contents=json.dumps([{"id": "a", "quantity": wrong, "price": wrong}])).contents
    assert (item["quantity"], item["price"]) == (None, None)


def test_click_ids_are_text_and_the_first_that_is_there_wins() -> None:
    clicks = {"gclid": {"value": "", "clicked_at": None}, "gbraid": {"value": 12345}, "wbraid": None, "x": {}}
    found = conversion(click_ids=json.dumps(clicks))
    assert found.click_id("wbraid", "gclid", "x", "gbraid") == "12345"
    assert found.click_id("gclid", "nothing") is None
    assert found.clicked_at("gbraid") is None
    assert found.clicked_at("wbraid") is None


def test_device_and_cookies_are_text_and_sizes_are_whole() -> None:
    device = {"os": "iOS", "os_version": 18.5, "screen_width": "390", "screen_height": 844.0, "model": None, "x": [1]}
    found = conversion(device=json.dumps(device), browser_ids='{"ga_session_id": 1790863000, "fbp": ""}')
    assert found.device == {"os": "iOS", "os_version": "18.5", "screen_width": 390, "screen_height": 844}
    assert found.browser_ids == {"ga_session_id": "1790863000"}


def test_documents_that_say_nothing_are_empty() -> None:
    for nothing in (None, "{}", "[]"):
        found = conversion(
            contents=nothing, properties=nothing, click_ids=nothing, browser_ids=nothing, device=nothing, emails=nothing
        )
        assert (found.contents, found.properties, found.click_ids, found.browser_ids) == ([], {}, {}, {})
        assert not any(found.device.values())


@pytest.mark.parametrize("limited", ["00000000-0000-0000-0000-000000000000", "", "  ", "0", None])
def test_an_advertising_id_of_zeros_names_nobody(limited: str | None) -> None:
    assert conversion(device=json.dumps({"advertising_id": limited})).advertising_id is None


@pytest.mark.parametrize(
    ("address", "dotted"),
    [
        (" 203.0.113.7 ", "203.0.113.7"),
        ("2001:db8::1", None),
        ("203.0.113", None),
        ("somewhere", None),
        ("", None),
        (None, None),
    ],
)
def test_some_platforms_take_addresses_of_ipv4_only(address: str | None, dotted: str | None) -> None:
    assert conversion(ip_address=address).ipv4 == dotted


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (" 203.0.113.7 ", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),  # as servers log it that listen for both
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "None"),
        ("fe80::1%\r\nX: 1", "None"),
        ("203.0.113.256", "None"),
        (None, "None"),
    ],
)
def test_an_address_is_one_of_the_internet(address: str | None, text: str) -> None:
    assert str(conversion(ip_address=address).ip) == text


def test_identifiers_come_best_first_and_recipe_by_recipe() -> None:
    found = conversion(user_id="U1", anonymous_id="A1", emails='["a@x.com", "b@x.com"]')
    assert found.all(user_id.trimmed, anonymous_id.trimmed) == [sha256("U1"), sha256("A1")]
    assert found.first(email.trimmed) == sha256("a@x.com")
    assert conversion().first(email.trimmed) is None
    assert conversion().all(email.trimmed) == []


def test_a_custom_event_goes_by_its_own_name() -> None:
    assert conversion(event_name="custom", custom_event_name="Demo Booked").name == "Demo Booked"
    assert conversion(custom_event_name="ignored").name == "purchase"


def test_a_refund_adjusts_a_purchase_unless_it_says_otherwise() -> None:
    assert conversion().original_event_name == "purchase"
    assert conversion(properties='{"original_event_name": "subscribe"}').original_event_name == "subscribe"


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"country": "US", "region": "CA"}, ("US", "CA")),
        ({"country": "DE", "region": "Hessen", "privacy_country": "US", "privacy_region": "CA"}, ("US", "CA")),
        ({"country": "DE", "region": "Hessen", "privacy_country": "US"}, ("US", None)),
        ({"country": "US", "region": "CA", "privacy_region": "NY"}, ("US", "NY")),
        ({}, (None, None)),
    ],
)
def test_the_jurisdiction_is_where_the_choice_was_made(values: dict[str, str], place: tuple[str | None, ...]) -> None:
    assert conversion(**values).jurisdiction == place


def test_every_row_of_a_batch_becomes_one_conversion_in_order() -> None:
    rows = [
        row(event_id=f"e{n}", event_time=datetime(2026, 10, 1, tzinfo=UTC) + timedelta(seconds=n)) for n in range(9)
    ]
    found = list(conversions(transform(batch(*rows).slice(2), [], ConsentPolicy())))
    assert [c.event_id for c in found] == [f"e{n}" for n in range(2, 9)]
    assert [c.event_time % 60_000_000 for c in found] == [n * 1_000_000 for n in range(2, 9)]
