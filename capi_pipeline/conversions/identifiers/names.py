"""Names, birth dates and genders."""

from __future__ import annotations

import re
from dataclasses import replace

from capi_pipeline.conversions.identifiers import words
from capi_pipeline.conversions.identifiers.recipe import Recipe

# As Google's own formatters: titles before given names, suffixes (also several) after family names.
_TITLE = re.compile(r"^(?:mr|mrs|ms|dr)\.(?:\s+|$)")
_SUFFIX = re.compile(r"(?:(?:,\s*|\s+)(?:jr\.?|sr\.?|2nd|3rd|ii|iii|iv|v|vi|cpa|dc|dds|vm|jd|md|phd))+$")


def _name_letters(value: str, _: str | None) -> str | None:
    return words.without_space(words.ASCII_PUNCTUATION.sub("", value.lower()))


def _name_words(value: str, _: str | None) -> str | None:
    return words.SPACE.sub(" ", "".join(c for c in value.lower() if not words.is_mark(c))).strip()


def _given_name_google(value: str, _: str | None) -> str | None:
    return _TITLE.sub("", value.lower()).strip()


def _family_name_google(value: str, _: str | None) -> str | None:
    return _SUFFIX.sub("", value.lower()).strip()


def _name_amazon(value: str, _: str | None) -> str | None:
    return "".join(c for c in value.lower() if c.isascii() and c.isalpha())


class first_name:
    trimmed = Recipe("first_name_trimmed", "first_name", words.as_is, "trim, case kept")
    bare = Recipe(
        "first_name_bare", "first_name", words.no_marks,
        "lower case, drop white space, punctuation and symbols, keep diacritics",
    )  # fmt: skip
    undigited = Recipe(
        "first_name_undigited", "first_name", words.without_digits,
        "lower case, drop digits, punctuation and symbols, trim; diacritics and inner spaces stay",
    )  # fmt: skip
    compact = Recipe(
        "first_name_compact",
        "first_name",
        words.compact,
        "lower case, drop white space; punctuation and diacritics stay",
    )
    amazon = Recipe("first_name_amazon", "first_name", _name_amazon, "lower case, keep a-z only")
    lower = Recipe("first_name_lower", "first_name", words.lower, "trim, lower case; punctuation and inner spaces stay")
    alphabetic = Recipe(
        "first_name_alphabetic", "first_name", lambda value, _: words.letters_only(value),
        "lower case, letters only, keep diacritics",
    )  # fmt: skip
    letters = Recipe(
        "first_name_letters",
        "first_name",
        _name_letters,
        "lower case, drop white space and ASCII punctuation, keep diacritics",
    )
    words = Recipe(
        "first_name_words",
        "first_name",
        _name_words,
        "lower case, drop punctuation and symbols, keep diacritics and single inner spaces",
    )
    google = Recipe(
        "first_name_google",
        "first_name",
        _given_name_google,
        "lower case, drop a leading mr./mrs./ms./dr.; hyphen, apostrophe and accents stay",
    )


class last_name:
    trimmed = replace(first_name.trimmed, name="last_name_trimmed", source="last_name")
    bare = replace(first_name.bare, name="last_name_bare", source="last_name")
    undigited = replace(first_name.undigited, name="last_name_undigited", source="last_name")
    compact = replace(first_name.compact, name="last_name_compact", source="last_name")
    amazon = replace(first_name.amazon, name="last_name_amazon", source="last_name")
    lower = replace(first_name.lower, name="last_name_lower", source="last_name")
    alphabetic = replace(first_name.alphabetic, name="last_name_alphabetic", source="last_name")
    letters = replace(first_name.letters, name="last_name_letters", source="last_name")
    words = replace(first_name.words, name="last_name_words", source="last_name")
    google = Recipe(
        "last_name_google",
        "last_name",
        _family_name_google,
        "lower case, drop trailing suffixes (jr., ii, md, …); hyphen, apostrophe and accents stay",
    )


class birth_date:
    iso = Recipe("birth_date_iso", "date_of_birth", words.as_is, "YYYY-MM-DD")
    digits = Recipe("birth_date_digits", "date_of_birth", lambda value, _: value.replace("-", ""), "YYYYMMDD")


class gender:
    word = Recipe("gender_word", "gender", words.as_is, "`female` or `male`")
    clear = Recipe("gender_clear", "gender", lambda value, _: value[0], "`f` or `m`; not hashed", hashed=False)
    initial = Recipe("gender_initial", "gender", lambda value, _: value[0].lower(), "`f` or `m`")
