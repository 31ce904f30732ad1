"""An ordinary number is read without the library, and must be read as the library reads it: the two are compared."""

from __future__ import annotations

import random

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from capi_pipeline.conversions.phones import _ordinary, _plan, by_library, e164

COUNTRIES = sorted(phonenumbers.SUPPORTED_REGIONS)
STYLES = (PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.NATIONAL)
KINDS = [getattr(PhoneNumberType, name) for name in dir(PhoneNumberType) if name.isupper() and name != "UNKNOWN"]


def examples(country: str) -> list[str]:
    """The library's example numbers of a country, of each kind, in each style."""
    found = (phonenumbers.example_number_for_type(country, kind) for kind in KINDS)
    return [phonenumbers.format_number(number, style) for number in found if number for style in STYLES]


def spoiled(text: str, chance: random.Random) -> str:
    """The text with a few digits changed, added or gone, or another beginning."""
    letters = list(text)
    for _ in range(chance.choice([1, 1, 2, 5])):
        place, what = chance.randrange(len(letters)), chance.random()
        if what < 0.6:
            letters[place] = chance.choice("0123456789")
        elif what < 0.75:
            letters.insert(place, chance.choice("0123456789 ()-./+"))
        elif what < 0.9 and len(letters) > 3:
            del letters[place]
        else:
            letters.insert(0, chance.choice(["0", "00", "+", "1", "(0)", "011"]))
    return "".join(letters)


@pytest.mark.parametrize("country", COUNTRIES)
def test_an_ordinary_number_is_read_as_the_library_reads_it(country: str) -> None:
    chance = random.Random(country)
    for text in examples(country):
        for tried in (text, spoiled(text, chance), spoiled(text, chance)):
            for origin in (country, chance.choice(COUNTRIES), None):
                assert _ordinary(tried, origin) in (None, by_library(tried, origin)), (tried, origin)


@given(st.from_regex(r"\+?[0-9(][0-9 ().\-/]{3,18}", fullmatch=True), st.sampled_from([*COUNTRIES, None]))
@settings(deadline=None)
def test_any_digits_are_read_as_the_library_reads_them(text: str, country: str | None) -> None:
    assert _ordinary(text, country) in (None, by_library(text, country))


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("+49 171 1234567", None), ("0171/1234567", "DE"), ("06 12 34 56 78", "FR"), ("(212) 555-0147", "US"),
        ("+1 212 555 0147", "FR"), ("07400 123456", "GB"), ("612 34 56 78", "ES"),
    ],
)  # fmt: skip
def test_the_numbers_of_every_day_do_not_need_the_library(text: str, country: str | None) -> None:
    assert _ordinary(text, country) == by_library(text, country) is not None


@pytest.mark.parametrize(
    ("text", "country"), [("020 7946 0958 ext. 5", "GB"), ("+44 (0)20 7946 0958", None), ("06 698 12345", "IT")]
)
def test_what_is_not_ordinary_goes_to_the_library(text: str, country: str | None) -> None:
    assert _ordinary(text, country) is None
    assert e164(text, country) == by_library(text, country) is not None


def test_a_country_that_shares_its_calling_code_is_left_to_the_library() -> None:
    assert [_plan(country) for country in ("CA", "JE", "KZ", "XX", "")] == [None] * 5
    assert e164("(416) 555-0147", "CA") == "+14165550147"
