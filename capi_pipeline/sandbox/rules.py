"""Checks that several platforms' documentation asks for in the same words: types, digests, currencies, times."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import re
from collections.abc import Collection
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeGuard

SHA256_OF_NOTHING = hashlib.sha256(b"").hexdigest()

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_RFC3339 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(Z|z|[+-]\d{2}:\d{2})", re.ASCII
)


def words(text: str) -> frozenset[str]:
    """A set of names, written as a documentation lists them."""
    return frozenset(text.split())


def is_text(value: object) -> TypeGuard[str]:
    """A string that is not empty."""
    return isinstance(value, str) and value != ""


def is_one_of(value: object, known: Collection[str]) -> TypeGuard[str]:
    """A word of a list; not any other JSON value, which a set could not even look for."""
    return isinstance(value, str) and value in known


def is_decimal(value: object) -> TypeGuard[str]:
    """A number as a text, with a point."""
    return isinstance(value, str) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) is not None


def is_integer(value: object) -> TypeGuard[int]:
    """A JSON integer; true and false are not numbers in JSON."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """A finite JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_digest(value: object) -> TypeGuard[str]:
    """SHA-256 in lower-case hex, and not the digest of an empty string."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None and value != SHA256_OF_NOTHING


def looks_hashed(value: object) -> bool:
    """Whether a value that must be sent in the clear was hashed by mistake."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def is_currency(value: object) -> TypeGuard[str]:
    """Three upper-case letters, the form of ISO 4217."""
    return isinstance(value, str) and _CURRENCY.fullmatch(value) is not None


def is_amount(value: object) -> TypeGuard[int | float]:
    """A number that is not negative."""
    return is_number(value) and value >= 0


@lru_cache(maxsize=100_000)
def is_ip_address(value: str) -> bool:
    """IPv4 or IPv6 in text form."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def as_list(value: object) -> list[Any]:
    """One value or a list of values, as a list: several platforms take either."""
    return value if isinstance(value, list) else [value]


def parse_rfc3339(value: object) -> datetime | None:
    """Moment written with date, time and zone (RFC 3339), in UTC; None when the text is anything else."""
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    fraction, zone = match[7] or "", match[8]
    text = f"{match[1]}-{match[2]}-{match[3]}T{match[4]}:{match[5]}:{match[6]}.{fraction[:6]:0<6}"
    try:
        return datetime.fromisoformat(text + ("+00:00" if zone in "Zz" else zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def decimals(value: float) -> int:
    """Digits behind the decimal point as the sender wrote them."""
    text = repr(value)
    if "e" in text or "E" in text:
        text = f"{value:.20f}".rstrip("0")
    return len(text.partition(".")[2].rstrip("0"))
