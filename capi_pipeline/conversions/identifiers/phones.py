"""Phone numbers."""

from __future__ import annotations

from capi_pipeline.conversions.identifiers.recipe import Recipe
from capi_pipeline.conversions.phones import e164


def _phone_digits(value: str, country: str | None) -> str | None:
    number = e164(value, country)
    return number[1:] if number else None


class phone:
    e164 = Recipe("phone_e164", "phones", e164, "E.164 with `+`, by the row's country", by_country=True)
    digits = Recipe("phone_digits", "phones", _phone_digits, "E.164 without `+`, by the row's country", by_country=True)
