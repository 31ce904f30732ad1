"""Every normalisation recipe, by name. A platform names recipes; none normalises or hashes on its own.

A recipe turns one raw value into what a platform wants: normalised text, then (mostly) its SHA-256 in lower-case hex.
Empty and invalid values vanish before hashing, a value that is already a SHA-256 (exactly 64 hex characters) passes
through, and the digest of the empty string never leaves. Rules come from the platforms' dossiers, named at each recipe.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace

from capi_pipeline.conversions import streets
from capi_pipeline.conversions.phones import e164

EMPTY_DIGEST = hashlib.sha256(b"").hexdigest()
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_SPACE = re.compile(r"\s+")
_EMAIL = re.compile(r"[^\s@]+@[^\s@.]+(\.[^\s@.]+)+")
_ASCII_PUNCTUATION = re.compile(r"""[!-/:-@\[-`{-~]""")

Normalise = Callable[[str, str | None], str | None]


@dataclass(frozen=True)
class Recipe:
    """One named normalisation: of which contract column, how, and whether its result is hashed.

    `normalise(value, country)` gets the raw text and the row's ISO country; None means "not a usable identifier".
    `digest`: which of DIGESTS.
    """

    name: str
    source: str
    normalise: Normalise
    rule: str
    hashed: bool = True
    by_country: bool = False
    digest: str = "SHA-256"

    def __call__(self, raw: str, country: str | None = None) -> str | None:
        """The value to send for one raw value (a 64-character hex digest, or normalised text), or None."""
        text = raw.strip()
        if len(text) == 64 and _DIGEST.fullmatch(text):  # hashed by the advertiser; useless where plain text is wanted
            ready = text.lower()
            return ready if self.hashed and self.digest == "SHA-256" and ready != EMPTY_DIGEST else None
        if not text:
            return None
        normal = self.normalise(text if text.isascii() else unicodedata.normalize("NFC", text), country)
        if not normal:
            return None
        return DIGESTS[self.digest](normal) if self.hashed else normal


def sha256(text: str) -> str:
    """SHA-256 of the UTF-8 text as 64 lower-case hex characters."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def md5(text: str) -> str:
    """MD5 of the UTF-8 text as 32 lower-case hex characters: what older identity graphs are keyed by."""
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def sha1(text: str) -> str:
    """SHA-1 of the UTF-8 text as 40 lower-case hex characters."""
    return hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


DIGESTS: dict[str, Callable[[str], str]] = {
    "SHA-256": sha256,
    "SHA-1": sha1,
    "MD5": md5,
    "SHA-256 of the MD5": lambda text: sha256(md5(text)),
}


def _without_space(text: str) -> str:
    return "".join(text.split())


def _as_is(value: str, _: str | None) -> str | None:
    return value


def _compact(value: str, _: str | None) -> str | None:
    return _without_space(value.lower())


# --- e-mail -------------------------------------------------------------------------------------------------------


def _valid(email: str) -> str | None:
    return email if _EMAIL.fullmatch(email) else None


def _email_trimmed(value: str, _: str | None) -> str | None:
    return _valid(value.lower())


def _email_google(value: str, _: str | None) -> str | None:
    email = _valid(_without_space(value).lower())
    if email is None:
        return None
    local, domain = email.split("@")
    if domain in ("gmail.com", "googlemail.com"):
        local = local.split("+", 1)[0].replace(".", "")
    return f"{local}@{domain}" if local else None


def _email_gmail(value: str, _: str | None) -> str | None:
    email = _valid(value.lower())
    if email is None or not email.endswith("@gmail.com"):
        return email
    local = email.removesuffix("@gmail.com").split("+", 1)[0].replace(".", "")
    return f"{local}@gmail.com" if local else None


def _email_quora(value: str, _: str | None) -> str | None:
    email = _email_untagged(value, _)
    if email is None or not email.endswith("@gmail.com"):
        return email
    return _valid(email.removesuffix("@gmail.com").replace(".", "") + "@gmail.com")


def _email_microsoft(value: str, _: str | None) -> str | None:
    plain = "".join(c for c in unicodedata.normalize("NFKD", value.lower()) if not unicodedata.combining(c))
    email = _valid(_without_space(plain))
    if email is None:
        return None
    local, domain = email.split("@")
    local = local.split("+", 1)[0].replace(".", "")
    return f"{local}@{domain}" if local else None


def _email_reddit(value: str, _: str | None) -> str | None:
    email = _valid(value.lower())
    if email is None:
        return None
    local, domain = email.split("@")
    local = "".join(c for c in local.split("+", 1)[0] if c.isalnum())
    return f"{local}@{domain}" if local else None


def _email_amazon(value: str, _: str | None) -> str | None:
    return _valid(streets.kept(value.lower(), ".@_-"))


def _email_untagged(value: str, _: str | None) -> str | None:
    email = _valid(value.lower())
    if email is None:
        return None
    local, domain = email.split("@")
    local = local.split("+", 1)[0]
    return f"{local}@{domain}" if local else None


class email:
    untagged = Recipe(
        "email_untagged", "emails", _email_untagged,
        "trim, lower case; before the @ of any domain: cut from `+`; dots stay",
    )  # fmt: skip
    md5 = Recipe(
        "email_md5", "emails", _email_trimmed, "trim, lower case; gmail dots and plus parts stay", digest="MD5"
    )
    sha1 = replace(md5, name="email_sha1", digest="SHA-1")
    sha256_md5 = replace(md5, name="email_sha256_md5", digest="SHA-256 of the MD5")
    amazon = Recipe(
        "email_amazon",
        "emails",
        _email_amazon,
        "lower case, keep a-z 0-9 . @ _ - only: `+` and accented letters vanish",
    )
    trimmed = Recipe("email_trimmed", "emails", _email_trimmed, "trim, lower case; gmail dots and plus parts stay")
    google = Recipe(
        "email_google", "emails", _email_google,
        "drop all white space, lower case; gmail.com and googlemail.com: cut from `+`, drop dots before the @",
    )  # fmt: skip
    gmail = Recipe(
        "email_gmail", "emails", _email_gmail,
        "trim, lower case; gmail.com (not googlemail.com): cut from `+`, drop dots before the @",
    )  # fmt: skip
    microsoft = Recipe(
        "email_microsoft", "emails", _email_microsoft,
        "lower case, drop accents and white space; before the @ of any domain: cut from `+`, drop dots",
    )  # fmt: skip
    quora = Recipe(
        "email_quora", "emails", _email_quora,
        "trim, lower case; before the @ of any domain: cut from `+`; gmail.com (not googlemail.com): drop dots there",
    )  # fmt: skip
    reddit = Recipe(
        "email_reddit", "emails", _email_reddit,
        "trim, lower case; before the @ of any domain: cut from `+`, keep letters and digits only",
    )  # fmt: skip


# --- phone --------------------------------------------------------------------------------------------------------


def _phone_digits(value: str, country: str | None) -> str | None:
    number = e164(value, country)
    return number[1:] if number else None


class phone:
    e164 = Recipe("phone_e164", "phones", e164, "E.164 with `+`, by the row's country", by_country=True)
    digits = Recipe("phone_digits", "phones", _phone_digits, "E.164 without `+`, by the row's country", by_country=True)


# --- name ---------------------------------------------------------------------------------------------------------

# As Google's own formatters: titles before given names, suffixes (also several) after family names.
_TITLE = re.compile(r"^(?:mr|mrs|ms|dr)\.(?:\s+|$)")
_SUFFIX = re.compile(r"(?:(?:,\s*|\s+)(?:jr\.?|sr\.?|2nd|3rd|ii|iii|iv|v|vi|cpa|dc|dds|vm|jd|md|phd))+$")


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _no_marks(value: str, _: str | None) -> str | None:
    return "".join(c for c in value.lower() if not c.isspace() and not _is_mark(c))


def _name_letters(value: str, _: str | None) -> str | None:
    return _without_space(_ASCII_PUNCTUATION.sub("", value.lower()))


def _lower(value: str, _: str | None) -> str | None:
    return value.lower()


def _name_words(value: str, _: str | None) -> str | None:
    return _SPACE.sub(" ", "".join(c for c in value.lower() if not _is_mark(c))).strip()


def _given_name_google(value: str, _: str | None) -> str | None:
    return _TITLE.sub("", value.lower()).strip()


def _family_name_google(value: str, _: str | None) -> str | None:
    return _SUFFIX.sub("", value.lower()).strip()


def _name_amazon(value: str, _: str | None) -> str | None:
    return "".join(c for c in value.lower() if c.isascii() and c.isalpha())


def _without_marks(value: str, _: str | None) -> str | None:
    return "".join(c for c in value.lower() if not _is_mark(c)).strip()


def _without_digits(value: str, _: str | None) -> str | None:
    return "".join(c for c in value.lower() if unicodedata.category(c)[0] not in "NPS").strip()


class first_name:
    trimmed = Recipe("first_name_trimmed", "first_name", _as_is, "trim, case kept")
    bare = Recipe(
        "first_name_bare", "first_name", _no_marks,
        "lower case, drop white space, punctuation and symbols, keep diacritics",
    )  # fmt: skip
    undigited = Recipe(
        "first_name_undigited", "first_name", _without_digits,
        "lower case, drop digits, punctuation and symbols, trim; diacritics and inner spaces stay",
    )  # fmt: skip
    compact = Recipe(
        "first_name_compact", "first_name", _compact, "lower case, drop white space; punctuation and diacritics stay"
    )
    amazon = Recipe("first_name_amazon", "first_name", _name_amazon, "lower case, keep a-z only")
    lower = Recipe("first_name_lower", "first_name", _lower, "trim, lower case; punctuation and inner spaces stay")
    alphabetic = Recipe(
        "first_name_alphabetic", "first_name", lambda value, _: _letters_only(value),
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


# --- birth date and gender ------------------------------------------------------------------------------------------


class birth_date:
    iso = Recipe("birth_date_iso", "date_of_birth", _as_is, "YYYY-MM-DD")
    digits = Recipe("birth_date_digits", "date_of_birth", lambda value, _: value.replace("-", ""), "YYYYMMDD")


class gender:
    word = Recipe("gender_word", "gender", _as_is, "`female` or `male`")
    clear = Recipe("gender_clear", "gender", lambda value, _: value[0], "`f` or `m`; not hashed", hashed=False)
    initial = Recipe("gender_initial", "gender", lambda value, _: value[0].lower(), "`f` or `m`")


# --- address --------------------------------------------------------------------------------------------------------

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


def _letters_only(value: str, _: str | None = None) -> str:
    return "".join(c for c in value.lower() if c.isalpha() or unicodedata.combining(c))


def _region_code(value: str, country: str | None) -> str | None:
    known = SUBDIVISIONS.get(country or "", {})
    if known:  # ISO 3166-2 writes the country before it: US-CA
        value = re.sub(f"^{country}-", "", value, flags=re.IGNORECASE)
    letters = _letters_only(value)
    return known.get(letters, letters)


def _region_two_letters(value: str, country: str | None) -> str | None:
    code = _region_code(value, country)
    return code if code and re.fullmatch("[a-z]{2}", code) else None


def _postal_meta(value: str, country: str | None) -> str | None:
    if country == "US":
        return "".join(re.findall("[0-9]", value))[:5]
    return _without_space(value.lower()).split("-", 1)[0]


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
        "street_address_lower", "street_address", _lower, "trim, lower case; punctuation and inner spaces stay"
    )
    unmarked = Recipe(
        "street_address_unmarked", "street_address", _without_marks,
        "lower case, drop punctuation and symbols, trim; digits and inner spaces stay",
    )  # fmt: skip
    spaced = Recipe(
        "street_address_spaced", "street_address", lambda value, _: _SPACE.sub(" ", value.lower()),
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
        "city_undigited", "city", _without_digits,
        "lower case, drop digits, punctuation and symbols, trim; inner spaces stay; not hashed", hashed=False,
    )  # fmt: skip
    amazon = Recipe("city_amazon", "city", _amazon, "lower case, keep a-z 0-9 only")
    clear = Recipe(
        "city_clear", "city", _at_most_128, "trim, lower case, at most 128 characters; not hashed", hashed=False
    )
    compact = Recipe("city_compact", "city", _no_marks, "lower case, drop white space, punctuation and symbols")
    letters = Recipe("city_letters", "city", _letters_only, "lower case, letters only, keep diacritics")
    plain = Recipe(
        "city_plain",
        "city",
        _no_marks,
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
        _no_marks,
        "lower case, drop white space, punctuation, symbols; not hashed",
        hashed=False,
    )


class postal_code:
    trimmed = Recipe("postal_code_trimmed", "postal_code", _as_is, "trim, case kept")
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


# --- the advertiser's own ids ---------------------------------------------------------------------------------------


def _clear_id(value: str, _: str | None) -> str | None:
    return None if _EMAIL.fullmatch(value) else value


def _alphanumeric_id(value: str, _: str | None) -> str | None:
    return value if re.fullmatch("[A-Za-z0-9]{1,100}", value) else None


class user_id:
    as_is = Recipe("user_id_as_is", "user_id", _as_is, "trim, case kept; not hashed", hashed=False)
    clear = Recipe(
        "user_id_clear",
        "user_id",
        _clear_id,
        "trim, case kept; an e-mail address is left out; not hashed",
        hashed=False,
    )
    alphanumeric = Recipe(
        "user_id_alphanumeric", "user_id", _alphanumeric_id,
        "trim; left out unless 1 to 100 of A-Z a-z 0-9; not hashed", hashed=False,
    )  # fmt: skip
    lower = Recipe("user_id_lower", "user_id", _lower, "trim, lower case")
    compact = Recipe("user_id_compact", "user_id", _compact, "drop all white space, lower case")
    trimmed = Recipe("user_id_trimmed", "user_id", lambda value, _: value, "trim, case kept")


class anonymous_id:
    as_is = Recipe("anonymous_id_as_is", "anonymous_id", _as_is, "trim, case kept; not hashed", hashed=False)
    clear = replace(user_id.clear, name="anonymous_id_clear", source="anonymous_id")
    lower = Recipe("anonymous_id_lower", "anonymous_id", _lower, "trim, lower case")
    compact = Recipe("anonymous_id_compact", "anonymous_id", _compact, "drop all white space, lower case")
    trimmed = Recipe("anonymous_id_trimmed", "anonymous_id", lambda value, _: value, "trim, case kept")


class advertising_id:
    """Applied at encoding: it is one field of the `device` object, which some platforms want raw."""

    idfa = Recipe("idfa", "device.advertising_id", lambda value, _: value.lower(), "lower case")
    upper = Recipe("advertising_id_upper", "device.advertising_id", lambda value, _: value.upper(), "upper case")
    gaid = Recipe("gaid", "device.advertising_id", lambda value, _: value, "as it is")
