"""Phone numbers as E.164: what the `phonenumbers` library says, without its price (15 µs) for the ordinary ones.

An ordinary number is a fixed or mobile number of a country's numbering plan, written with digits and plain separators;
it is recognised by the library's own metadata. Whatever is not certain goes to the library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

import phonenumbers

_WRITTEN = re.compile(r"\+?[0-9(][0-9 ().\-/]+")
_SEPARATORS = str.maketrans("", "", " ().-/")
_NEVER = re.compile("(?!)")


@lru_cache(maxsize=65536)
def e164(value: str, country: str | None) -> str | None:
    """`+` and digits of a valid number, read as one of `country` (ISO code) unless it begins with `+`; else None."""
    return _ordinary(value, country) or by_library(value, country)


def by_library(value: str, country: str | None) -> str | None:
    """The same for any number, by the library alone."""
    try:
        number = phonenumbers.parse(value, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A country's numbering plan, as far as an ordinary number needs it."""

    code: str  # calling code
    abroad: re.Pattern[str]  # what is dialled before a foreign number
    trunk: re.Pattern[str]  # what is dialled before a national number
    simple: bool  # a trunk prefix is cut off, and nothing put in its place
    kinds: tuple[tuple[tuple[int, ...], re.Pattern[str]], ...]  # lengths and digits: any number; fixed; mobile

    def has(self, national: str) -> bool:
        whole, *kinds = (len(national) in lengths and digits.fullmatch(national) for lengths, digits in self.kinds)
        return bool(whole and any(kinds))


def _ordinary(value: str, country: str | None) -> str | None:
    if not _WRITTEN.fullmatch(value):
        return None
    digits = value.translate(_SEPARATORS)
    if digits[:1] == "+":
        plan = _plan_of_code(digits[1:2]) or _plan_of_code(digits[1:3]) or _plan_of_code(digits[1:4])
        national = digits[1 + len(plan.code) :] if plan else ""
        if not plan or plan.trunk.match(national):
            return None
    else:
        plan = _plan(country or "")
        if not plan or digits.startswith(plan.code) or plan.abroad.match(digits):
            return None
        trunk = plan.trunk.match(digits)
        if trunk and not plan.simple:
            return None
        national = digits[trunk.end() :] if trunk else digits
    if national[:1] == "0" or not plan.has(national):
        return None
    return f"+{plan.code}{national}"


@cache
def _plan_of_code(code: str) -> _Plan | None:
    return None if code[:1] in ("", "0") else _plan(phonenumbers.region_code_for_country_code(int(code)))


@cache
def _plan(country: str) -> _Plan | None:
    """None where a number's country depends on more than its calling code (Jersey, Canada, Kazakhstan), or unknown."""
    known = phonenumbers.PhoneMetadata.metadata_for_region(country, None)
    if known is None or known.general_desc is None or known.leading_digits:
        return None
    if country != phonenumbers.region_code_for_country_code(known.country_code or 0):
        return None
    trunk = _pattern(known.national_prefix_for_parsing)
    any_length = known.general_desc.possible_length
    return _Plan(
        str(known.country_code),
        _pattern(known.international_prefix),
        trunk,
        trunk.groups == 0 and not known.national_prefix_transform_rule,
        tuple(
            (tuple(kind.possible_length or any_length), _pattern(kind.national_number_pattern))
            for kind in (known.general_desc, known.fixed_line, known.mobile)
            if kind
        ),
    )


def _pattern(text: str | None) -> re.Pattern[str]:
    return re.compile(text) if text else _NEVER
