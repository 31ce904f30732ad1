"""Addresses: street, city, region, postal code, country."""

from __future__ import annotations

import re
from dataclasses import replace

from capi_pipeline.conversions import streets
from capi_pipeline.conversions.identifiers import words
from capi_pipeline.conversions.identifiers.recipe import Recipe

_US_STATES = {
    "alabama": "al", "alaska": "ak", "arizona": "az", "arkansas": "ar", "california": "ca", "colorado": "co",
    "connecticut": "ct", "delaware": "de", "districtofcolumbia": "dc", "washingtondc": "dc",
    "florida": "fl", "georgia": "ga", "hawaii": "hi",
    "idaho": "id", "illinois": "il", "indiana": "in", "iowa": "ia", "kansas": "ks", "kentucky": "ky", "louisiana": "la",
    "maine": "me", "maryland": "md", "massachusetts": "ma", "michigan": "mi", "minnesota": "mn", "mississippi": "ms",
    "missouri": "mo", "montana": "mt", "nebraska": "ne", "nevada": "nv", "newhampshire": "nh", "newjersey": "nj",
    "newmexico": "nm", "newyork": "ny", "northcarolina": "nc", "northdakota": "nd", "ohio": "oh", "oklahoma": "ok",
    "oregon": "or", "pennsylvania": "pa", "rhodeisland": "ri", "southcarolina": "sc", "southdakota": "sd",
    "tennessee": "tn", "texas": "tx", "utah": "ut", "vermont": "vt", "virginia": "va", "washington": "wa",
    "westvirginia": "wv", "wisconsin": "wi", "wyoming": "wy",
}  # fmt: skip
_CA_PROVINCES = {
    "alberta": "ab", "britishcolumbia": "bc", "manitoba": "mb", "newbrunswick": "nb", "newfoundlandandlabrador": "nl",
    "northwestterritories": "nt", "novascotia": "ns", "nunavut": "nu", "ontario": "on", "princeedwardisland": "pe",
    "quebec": "qc", "québec": "qc", "saskatchewan": "sk", "yukon": "yt",
}  # fmt: skip
SUBDIVISIONS = {"US": _US_STATES, "CA": _CA_PROVINCES}


def _region_code(value: str, country: str | None) -> str | None:
    known = SUBDIVISIONS.get(country or "", {})
    if known:  # ISO 3166-2 writes the country before it: US-CA
        value = re.sub(f"^{country}-", "", value, flags=re.IGNORECASE)
    letters = words.letters_only(value)
    return known.get(letters, letters)


def _region_two_letters(value: str, country: str | None) -> str | None:
    code = _region_code(value, country)
    return code if code and re.fullmatch("[a-z]{2}", code) else None


def _postal_meta(value: str, country: str | None) -> str | None:
    if country == "US":
        return "".join(re.findall("[0-9]", value))[:5]
    return words.without_space(value.lower()).split("-", 1)[0]


def _postal_compact(value: str, _: str | None) -> str | None:
    return re.sub(r"[\s\-‐-―]+", "", value.lower())


def _postal_whole(value: str, country: str | None) -> str | None:
    return _postal_meta(value, country) if country == "US" else _postal_compact(value, country)


def _postal_digits(value: str, _: str | None) -> str | None:
    code = re.sub(r"[\s\-‐-―]+", "", value)
    return code if re.fullmatch("[0-9]+", code) else None


def _postal_clear(value: str, _: str | None) -> str | None:
    return value if re.fullmatch("[A-Za-z0-9 -]{1,32}", value) else None


def _at_most_128(value: str, _: str | None) -> str | None:
    text = value.lower()
    return text if len(text) <= 128 else None


def _postal_google(value: str, country: str | None) -> str | None:
    if country != "US":
        return value
    found = re.fullmatch(r"([0-9]{5})(?:[ -]?([0-9]{4}))?", value)
    return found and (found[1] if not found[2] else f"{found[1]}-{found[2]}")


def _amazon(value: str, _: str | None) -> str | None:
    return streets.kept(value.lower())


def _region_amazon(value: str, country: str | None) -> str | None:
    known = SUBDIVISIONS.get(country or "", {})
    if known:
        value = re.sub(f"^{country}-", "", value, flags=re.IGNORECASE)
    name = streets.kept(streets.letters(value.lower()))
    return "pr" if (country, name) == ("US", "puertorico") else known.get(name, name)[:2]


def _postal_amazon(value: str, _: str | None) -> str | None:
    return streets.kept(value.lower().split("-", 1)[0])


def _postal_axon(value: str, country: str | None) -> str | None:
    return _postal_meta(value, country) if country == "US" else value


class street_address:
    lower = Recipe(
        "street_address_lower", "street_address", words.lower, "trim, lower case; punctuation and inner spaces stay"
    )
    unmarked = Recipe(
        "street_address_unmarked", "street_address", words.without_marks,
        "lower case, drop punctuation and symbols, trim; digits and inner spaces stay",
    )  # fmt: skip
    spaced = Recipe(
        "street_address_spaced", "street_address", lambda value, _: words.SPACE.sub(" ", value.lower()),
        "lower case, white space to one space",
    )  # fmt: skip
    amazon = Recipe(
        "street_address_amazon", "street_address", streets.amazon,
        "lower case, words to their abbreviations (street -> st; maps by country), ä ö ü ß á é to ae oe ue ss a e, keep a-z 0-9",
        by_country=True,
    )  # fmt: skip


class city:
    as_is = Recipe("city_as_is", "city", lambda value, _: value, "trim, case kept; not hashed", hashed=False)
    undigited = Recipe(
        "city_undigited", "city", words.without_digits,
        "lower case, drop digits, punctuation and symbols, trim; inner spaces stay; not hashed", hashed=False,
    )  # fmt: skip
    amazon = Recipe("city_amazon", "city", _amazon, "lower case, keep a-z 0-9 only")
    clear = Recipe(
        "city_clear", "city", _at_most_128, "trim, lower case, at most 128 characters; not hashed", hashed=False
    )
    compact = Recipe("city_compact", "city", words.no_marks, "lower case, drop white space, punctuation and symbols")
    letters = Recipe("city_letters", "city", words.letters_only, "lower case, letters only, keep diacritics")
    plain = Recipe(
        "city_plain",
        "city",
        words.no_marks,
        "lower case, drop white space, punctuation and symbols; not hashed",
        hashed=False,
    )


class region:
    as_is = replace(city.as_is, name="region_as_is", source="region")
    undigited = replace(city.undigited, name="region_undigited", source="region")
    amazon = Recipe(
        "region_amazon", "region", _region_amazon,
        "lower case, ä ö ü ß á é to ae oe ue ss a e, keep a-z 0-9; US and Canada: the code; first two characters",
        by_country=True,
    )  # fmt: skip
    clear = Recipe(
        "region_clear", "region", _at_most_128, "trim, lower case, at most 128 characters; not hashed", hashed=False
    )
    two_letters = Recipe(
        "region_two_letters", "region", _region_two_letters,
        "lower case; US and Canada: the two-letter code; elsewhere left out unless it is two letters", by_country=True,
    )  # fmt: skip
    code = Recipe(
        "region_code", "region", _region_code,
        "US and Canada: the two-letter code; elsewhere lower case, letters only", by_country=True,
    )  # fmt: skip
    plain = Recipe(
        "region_plain",
        "region",
        words.no_marks,
        "lower case, drop white space, punctuation, symbols; not hashed",
        hashed=False,
    )


class postal_code:
    trimmed = Recipe("postal_code_trimmed", "postal_code", words.as_is, "trim, case kept")
    axon = Recipe(
        "postal_code_axon", "postal_code", _postal_axon, "trim; US: first 5 digits; not hashed", False, by_country=True
    )
    as_is = replace(city.as_is, name="postal_code_as_is", source="postal_code")
    undotted = Recipe(
        "postal_code_undotted", "postal_code", lambda value, _: re.sub("[.~]", "", value).strip(),
        "drop `.` and `~`, trim; case kept; not hashed", hashed=False,
    )  # fmt: skip
    amazon = Recipe(
        "postal_code_amazon", "postal_code", _postal_amazon, "lower case, cut at the first `-`, keep a-z 0-9 only"
    )
    whole = Recipe(
        "postal_code_whole", "postal_code", _postal_whole,
        "lower case, drop white space and dashes; US: first 5 digits", by_country=True,
    )  # fmt: skip
    digits = Recipe(
        "postal_code_digits", "postal_code", _postal_digits, "drop white space and dashes; digits only, else left out"
    )
    clear = Recipe(
        "postal_code_clear", "postal_code", _postal_clear,
        "trim, case kept; left out unless 1 to 32 of letters, digits, space, hyphen; not hashed", hashed=False,
    )  # fmt: skip
    meta = Recipe(
        "postal_code_meta", "postal_code", _postal_meta,
        "lower case, no white space, cut at the first dash; US: first 5 digits", by_country=True,
    )  # fmt: skip
    compact = Recipe("postal_code_compact", "postal_code", _postal_compact, "lower case, drop white space and dashes")
    google = Recipe(
        "postal_code_google", "postal_code", _postal_google, "trim; US: 5 or 5+4 digits; not hashed", False, True
    )


class country:
    clear = Recipe(
        "country_clear", "country", lambda value, _: value, "ISO alpha-2, upper case; not hashed", hashed=False
    )
    code = Recipe("country_code", "country", lambda value, _: value.lower(), "ISO alpha-2, lower case")
