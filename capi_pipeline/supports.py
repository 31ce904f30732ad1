"""What each platform can take, in a few words: the matrix of `capi destinations --matrix`, the README and the docs."""

from __future__ import annotations

from capi_pipeline.platforms import NAMES, platform
from capi_pipeline.platforms.base import Deduplication, Platform
from capi_pipeline.platforms.times import span

# What identifies a person, in the order of the columns of the contract -> its word in the matrix.
SOURCES = {
    "emails": "e-mail", "phones": "phone", "first_name": "name", "last_name": "name", "street_address": "address",
    "city": "address", "region": "address", "postal_code": "address", "country": "address", "date_of_birth": "birth date",
    "gender": "gender", "user_id": "external id", "anonymous_id": "external id",
}  # fmt: skip


def matrix() -> list[dict[str, str]]:
    """One row per platform, by slug; every value is text."""
    return [row(platform(name)) for name in NAMES]


def row(kind: type[Platform]) -> dict[str, str]:
    limits = kind.limits
    return {
        "platform": kind.name,
        "events a request": f"{limits.events:,}",
        "deduplication": _deduplication(kind.deduplication),
        "refunds": "new total"
        if kind.restates
        else "difference"
        if kind.differs
        else "event"
        if kind.takes_refunds()
        else "no",
        "limited data": "flag" if kind.limited_data else "withheld",
        "test mode": kind.test_mode or "no",
        "verdicts": "later" if kind.verdicts else "at once",
        "oldest event": span(limits.oldest) if limits.oldest else "any",
        "identifiers": ", ".join(identifiers(kind)) or "none",
    }


def _deduplication(rules: Deduplication) -> str:
    window = span(rules.window) if rules.window else "none: held"
    return f"{window} ({rules.only})" if rules.only else window


def identifiers(kind: type[Platform]) -> list[str]:
    """By what it can match: the person, its own click ids, its own cookies."""
    sources = {recipe.source for recipe in kind.recipes()}
    words = [word for source, word in SOURCES.items() if source in sources]
    words += ["click id"] * bool(kind.click_ids) + ["cookie"] * bool(kind.browser_ids)
    return list(dict.fromkeys(words))
