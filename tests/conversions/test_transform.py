"""The transform gives what hashing each value of each row would give, and lets nothing raw through."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.contract import COLUMNS
from capi_pipeline.conversions.identifiers import Recipe, advertising_id, email, first_name, phone, user_id
from capi_pipeline.conversions.transform import schema, scrub_url, transform
from capi_pipeline.platforms import all_recipes
from tests.conversions.strings import ALL_VENDORS
from tests.conversions.support import batch, row

RECIPES = all_recipes()
POLICY = ConsentPolicy()
WITHHELD = {"consent_ad_storage": "denied"}


def hashed(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return transform(batch(*rows), RECIPES, POLICY).to_pylist()


# --- distinct values against row by row -----------------------------------------------------------------------------

EMAILS = [
    "jane.doe@example.com",
    " Jane.Doe@Example.com",
    "j.ane+x@gmail.com",
    "jane@gmail.com",
    "nobody",
    "",
    " ",
    None,
]
PHONES = ["030 901820", "+49 30 901820", "(415) 555-2671", "+14155552671", "0", "", None, "86e0b9e5" * 8]
NAMES = ["Jane", " jane ", "JANE", "O'Brien", "Mr. ", "", "--", None]
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "emails": st.none() | st.lists(st.sampled_from(EMAILS), max_size=4).map(json.dumps),
            "phones": st.none() | st.just("{}") | st.lists(st.sampled_from(PHONES), max_size=4).map(json.dumps),
            "first_name": st.sampled_from(NAMES),
            "last_name": st.sampled_from(NAMES) | st.text(max_size=5),
            "user_id": st.sampled_from(["U1", "u1 ", None, ""]),
            "anonymous_id": st.sampled_from(["a", None]),
            "gender": st.sampled_from(["female", "male", None]),
            "date_of_birth": st.none() | st.dates(date(1, 1, 1)),
            "city": st.sampled_from(NAMES),
            "region": st.sampled_from(["California", "CA", "Hessen", "US-CA", None]),
            "postal_code": st.sampled_from(["94105-1234", "61348", "M1 1AE", None]),
            "country": st.sampled_from(["US", "DE", "CA", None]),
            "consent_ad_storage": st.sampled_from(["granted", "granted", "denied", None]),
        }
    ),
    max_size=8,
)


def naive(values: dict[str, Any], recipe: Recipe) -> list[str]:
    """One recipe on one row, value by value."""
    found = values.get(recipe.source)
    texts = json.loads(found or "[]") if recipe.source in ("emails", "phones") else [found]
    results = [recipe(str(text), values["country"]) for text in texts if text is not None]
    return list(dict.fromkeys(result for result in results if result))


def blocked(values: dict[str, Any]) -> bool:
    if values["consent_ad_storage"] == "denied":
        return True
    return values["consent_ad_storage"] is None and values["country"] in ("DE", None)


@given(rows=ROWS, cut=st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_working_on_distinct_values_gives_what_working_row_by_row_gives(rows: list[dict[str, Any]], cut: int) -> None:
    out = transform(batch(*(row(**values) for values in rows)).slice(cut), RECIPES, POLICY).to_pylist()
    for got, values in zip(out, rows[cut:], strict=True):
        for recipe in RECIPES:
            assert got[recipe.name] == ([] if blocked(values) else naive(values, recipe)), (recipe.name, values)


def test_the_best_identifier_stays_first_and_two_spellings_are_one() -> None:
    (out,) = hashed(row(emails='["b@example.com", "A@example.com", "B@Example.com ", null, "", "c@example.com"]'))
    assert out["email_trimmed"] == [email.trimmed(f"{name}@example.com") for name in "bac"]


def test_the_same_national_number_is_another_person_in_another_country() -> None:
    first, second = hashed(*(row(phones='["030 901820"]', country=country) for country in ("DE", "AT")))
    assert first["phone_e164"] == [phone.e164("+4930901820")]
    assert first["phone_e164"] != second["phone_e164"]


def test_the_order_of_rows_is_kept() -> None:
    out = hashed(*(row(event_id=f"e{n}", user_id=None if n % 3 else f"u{n % 6}") for n in range(50)))
    assert [o["event_id"] for o in out] == [f"e{n}" for n in range(50)]
    assert [o["user_id_trimmed"] for o in out] == [
        [] if n % 3 else [user_id.trimmed(f"u{n % 6}")] for n in range(50)
    ]  # fmt: skip


def test_no_rows_give_no_rows_of_the_right_shape() -> None:
    out = transform(batch(), RECIPES, POLICY)
    assert out.num_rows == 0
    assert out.schema == schema(RECIPES)


def test_a_recipe_without_platform_columns_can_be_left_out() -> None:
    out = transform(batch(row(emails='["a@example.com"]')), [], POLICY)
    assert out.schema.names[-1] == "withhold"


# --- nothing raw left -----------------------------------------------------------------------------------------------

PERSON: dict[str, Any] = {
    "user_id": "CUSTRAW",
    "anonymous_id": "ANON-RAW",
    "emails": '["raw.person@example.com"]',
    "phones": '["+14155550000"]',
    "first_name": "Rawfirst",
    "last_name": "Rawlast",
    "gender": "female",
    "date_of_birth": date(1988, 2, 9),
    "street_address": "1 Raw Street",
    "city": "Rawtown",
    "region": "CA",
    "postal_code": "94105",
    "country": "US",
    "ip_address": "203.0.113.7",
    "user_agent": "RawAgent",
    "click_ids": '{"gclid": {"value": "raw-click", "clicked_at": null}}',
    "browser_ids": '{"fbp": "raw-cookie"}',
    "device": '{"advertising_id": "raw-device"}',
    "source_url": "https://shop.example.com/?email=raw.person%40example.com&a=1",
    "search_term": "raw.person@example.com",
}


def test_raw_identifiers_do_not_outlive_the_transform() -> None:
    """But for the advertiser's own ids, in the recipes of platforms that take those as they are."""
    (out,) = hashed(row(**PERSON))
    clear = {recipe.name for recipe in RECIPES if recipe.source in ("user_id", "anonymous_id") and not recipe.hashed}
    text = json.dumps({name: value for name, value in out.items() if name not in clear}, default=str).lower()
    for raw in ("custraw", "anon-raw", "raw.person", "4155550000", "rawfirst", "rawlast", "1988", "raw street"):
        assert raw not in text
    assert set(out).isdisjoint(column.name for column in COLUMNS if column.personal)


@pytest.mark.parametrize(
    "consent",
    [
        {"consent_ad_storage": "denied"},
        {"consent_ad_user_data": "denied"},
        {"consent_ad_storage": None, "privacy_country": "DE"},
    ],
)
def test_a_row_that_consent_withholds_carries_nothing_that_leads_to_a_person(consent: dict[str, Any]) -> None:
    kept, out, other = hashed(row(**PERSON), row(**{**PERSON, **consent}), row(**PERSON))
    assert out["withhold"] in ("consent_denied", "consent_unknown")
    assert all(out[recipe.name] == [] for recipe in RECIPES)
    assert all(kept[recipe.name] != [] for recipe in RECIPES)
    for column in ("ip_address", "user_agent", "click_ids", "browser_ids", "device"):
        assert out[column] is None
        assert kept[column] == other[column] == PERSON[column]
    assert "raw" not in json.dumps(out, default=str).lower()
    assert (out["event_id"], out["event_name"], out["country"]) == ("e1", "purchase", "US")  # still countable


def test_what_is_no_identifier_passes_unchanged() -> None:
    given = row(
        source_url="https://shop.example.com/p?utm_source=a&id=1#top", search_term="trail shoe @ home", coupon="A@B",
        properties='{"lead_source": "webinar"}', tcf_string=ALL_VENDORS, region="Hessen",
    )  # fmt: skip
    (out,) = hashed(given)
    for column in ("source_url", "search_term", "coupon", "properties", "tcf_string", "region"):
        assert out[column] == given[column]


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://s.example/p?email=jane@x.com&a=1", "https://s.example/p?a=1"),
        ("https://s.example/p?a=1&email=jane%40x.com", "https://s.example/p?a=1"),
        ("https://s.example/p?e=jane%2540x.com", "https://s.example/p"),
        ("https://s.example/p?a=1&e=jane%252540x.com&b=2", "https://s.example/p?a=1&b=2"),
        ("https://s.example/p?jane@x.com", "https://s.example/p"),
        ("https://s.example/u/jane@x.com/orders?a=1", "https://s.example/u//orders?a=1"),
        ("https://s.example/p?p=%2B14155552671&a=1", "https://s.example/p?a=1"),
        ("https://s.example/p?p=+1 (415) 555-2671", "https://s.example/p"),
        ("https://s.example/p?phone=4155552671&a=1", "https://s.example/p?a=1"),
        ("https://s.example/p?a=1&user[email]=jane&b=2", "https://s.example/p?a=1&b=2"),
        ("https://s.example/p?user%5BPhone%5D=030901820", "https://s.example/p"),
        ("https://s.example/p?billing_first_name=Jane&LastName=Doe&a=1", "https://s.example/p?a=1"),
        ("https://s.example/p?a=1#email=jane@x.com", "https://s.example/p?a=1"),
        ("https://s.example/p?a=1;tel=030901820;b=2", "https://s.example/p?a=1;b=2"),
        # these lead to nobody
        ("https://s.example/p?hotel=Ritz&utm_campaign=email&email_type=html", None),
        ("https://s.example/p?fbclid=IwAR-1_x&gclid=Cj0K&ttclid=E.C.P", None),
        ("https://user@s.example/p?a=1", None),
        ("https://s.example/p?q=+5", None),
        ("https://s.example/p?filename=a.pdf&name=shoe&update=1", None),
    ],
)
def test_identifiers_are_cut_out_of_addresses(url: str, clean: str | None) -> None:
    assert scrub_url(url) == (clean or url)
    (out,) = hashed(row(source_url=url, referrer_url=url))  # the cheap test beforehand lets none of them slip
    assert (out["source_url"], out["referrer_url"]) == (clean or url,) * 2


@given(st.text("ab@%40+&?=#;/:. 1234567890emailphone[]", max_size=60))
@settings(max_examples=300, deadline=None)
def test_scrubbing_again_changes_nothing_and_the_cheap_test_agrees(tail: str) -> None:
    url = f"https://s.example/{tail}"
    (out,) = hashed(row(source_url=url))
    tidy = re.sub(r"([?&;])[&;]+", r"\1", url).rstrip("?&;#")
    assert out["source_url"] == scrub_url(url) or (out["source_url"] == url and scrub_url(url) == tidy)
    assert scrub_url(scrub_url(url)) == scrub_url(url)


def test_a_recipe_of_a_device_is_no_column() -> None:
    assert advertising_id.idfa not in RECIPES
    assert {recipe.source for recipe in RECIPES} <= {column.name for column in COLUMNS}
    assert pa.types.is_list(schema([first_name.words]).field("first_name_words").type)
